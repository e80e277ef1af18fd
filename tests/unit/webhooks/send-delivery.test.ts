// What does an answer mean for a delivery? Codes and words, from one call.
import { describe, expect, it } from 'vitest'
import type {
  PinnedAnswer,
  PinnedFailure,
  PinnedRequest,
} from '../../../supabase/functions/_shared/http/pinned-call.ts'
import type { EndpointSettings } from '../../../supabase/functions/_shared/webhooks/claimed-deliveries.ts'
import { generateSecret } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { sendDelivery } from '../../../supabase/functions/_shared/webhooks/send-delivery.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const endpoint: EndpointSettings = {
  id: '6b1f3a52-6f0e-4f7e-9d6a-0d5a3f6b7c11',
  version: 1,
  url: 'https://receiver.example/hook',
  api_version: '2026-11-28',
  headers: {},
  signatures: ['v1'],
  signing_secrets: [generateSecret()],
  signing_keys: [],
  hex_signature: false,
  max_concurrency: 10,
  expires_at: null,
}
const event = { id: '0d5a3f6b-7c11-4f7e-9d6a-6b1f3a526f0e', body: new TextEncoder().encode('{}') }

async function send(
  answer: Partial<PinnedAnswer> | Omit<PinnedFailure, 'latencyMs'>,
  settings: Partial<EndpointSettings> = {},
) {
  const requests: PinnedRequest[] = []
  const outcome = await sendDelivery(event, { ...endpoint, ...settings }, {
    clock: fakeClock('2026-11-28T09:00:00Z'),
    timeoutMs: 20_000,
    call(request) {
      requests.push(request)
      const whole = { status: 200, headers: new Headers(), answer: '', isWhole: true }
      return Promise.resolve(
        'reason' in answer
          ? { ...answer, latencyMs: 7 }
          : { ...whole, ...answer, ok: true, latencyMs: 7 },
      )
    },
  })
  return { outcome, requests }
}

describe('an answer', () => {
  it.each([200, 201, 204, 299])('%i is a success', async (status) => {
    const { outcome } = await send({ status, answer: 'thanks' })

    expect(outcome).toEqual({ outcome: 'succeeded', status, latency_ms: 7, body: 'thanks' })
  })

  it.each([
    [400, 'answered_400', 'The endpoint answered 400.'],
    [429, 'answered_429', 'The endpoint answered 429.'],
    [500, 'answered_500', 'The endpoint answered 500.'],
    [199, 'answered_199', 'The endpoint answered 199.'],
    [
      301,
      'redirect_not_followed',
      'The endpoint answered 301. Redirects are not followed: register the address it leads to.',
    ],
  ])('%i is a failure', async (status, code, message) => {
    const { outcome } = await send({ status })

    expect(outcome).toMatchObject({ outcome: 'failed', status, code, message })
    expect(outcome).not.toHaveProperty('retry_after_s')
  })

  it('410 says that the endpoint is gone', async () => {
    const { outcome } = await send({ status: 410 })

    expect(outcome).toMatchObject({ outcome: 'gone', status: 410 })
  })

  it.each([
    ['7', 7],
    ['Sat, 28 Nov 2026 09:01:30 GMT', 90],
    ['Sat, 28 Nov 2026 08:00:00 GMT', 0],
    ['soon', undefined],
  ])('Retry-After: %s asks for a pause of %s s', async (text, seconds) => {
    const { outcome } = await send({ status: 503, headers: new Headers({ 'retry-after': text }) })

    expect(outcome.retry_after_s).toBe(seconds)
  })
})

describe('no answer', () => {
  it('says why in the words of the call', async () => {
    const reason = 'The server refused the connection.'

    const { outcome } = await send({ ok: false, code: 'connection_refused', reason })

    expect(outcome).toEqual({
      outcome: 'failed',
      latency_ms: 7,
      code: 'connection_refused',
      message: reason,
    })
  })

  it('in time says how long that was', async () => {
    const { outcome } = await send({ ok: false, code: 'timed_out', reason: '…' })

    expect(outcome).toMatchObject({
      code: 'timed_out',
      message: 'The endpoint did not answer within 20 s.',
    })
  })
})

it('an endpoint without a secret is not called, and says what to do', async () => {
  const { outcome, requests } = await send({}, { signing_secrets: [] })

  expect(outcome).toMatchObject({ outcome: 'failed', code: 'signing_secret_missing' })
  expect(requests).toEqual([])
})
