// The door for business apps over the Data API, which is a server of the test here: how near in time, and how many calls.
import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { readEnvelope } from '../../../supabase/functions/_shared/webhooks/app-events.ts'
import { receiveWebhooks } from '../../../supabase/functions/_shared/webhooks/receive-webhooks.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { loopbackServer } from '../../support/loopback-server.ts'

const START = '2026-11-20T09:00:00.000Z'
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const INSTANCE = '1f0e2d3c-4b5a-4697-8897-a6b5c4d3e2f1'

async function setUp(isKnown = true) {
  const clock = fakeClock(START)
  const lines: string[] = []
  const server = await loopbackServer((request, response) => {
    const answer = request.url?.endsWith('/open_app_instance')
      ? isKnown ? { version: 1, secrets: [{ secret: SECRET, expires_at: null }] } : null
      : { accepted: true, duplicate: false }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  const door = receiveWebhooks({
    environment: { SUPABASE_URL: server.url },
    supabase: { url: server.url, secretKeys: { default: 'sb_secret_test' } },
    clock,
    log: createLog({}, (line) => lines.push(line)),
  })
  const send = (event: Record<string, unknown> = {}, secret = SECRET) => {
    const body = JSON.stringify({ app_instance_id: INSTANCE, timestamp: START, ...event })
    return door(
      new Request('http://functions/webhook-receive/apps', {
        method: 'POST',
        headers: {
          'x-webhook-signature': createHmac('sha256', secret).update(body).digest('hex'),
          authorization: 'Bearer x',
        },
        body,
      }),
    )
  }
  const calls = () => server.requests.map(({ path }) => path.split('/').at(-1))
  return { clock, lines, send, calls, requests: server.requests }
}

it.each([
  ['2026-11-20T08:55:00Z', 200],
  ['2026-11-20T10:05:00+01:00', 200],
  ['2026-11-20T08:54:59Z', 401],
  ['2026-11-20T09:05:01Z', 401],
  ['2026-11-20T08:54:59.999Z', 401],
  ['2026-11-20T09:00:00', 401], // no offset
  ['2026-11-20', 401],
  [1_795_165_200, 401],
  [null, 401],
])(
  'sent at nine by our clock and at %s by its own, an event is answered with %i',
  async (timestamp, status) => {
    const { send } = await setUp()

    expect((await send({ timestamp })).status).toBe(status)
  },
)

it('asks the Data API once for each event, and once a minute for the instance', async () => {
  const { clock, send, calls } = await setUp()

  for (let number = 0; number < 3; number++) await send({ id: number })
  clock.advance(61_000)
  await send()

  expect(calls()).toEqual([
    'open_app_instance',
    ...Array(3).fill('receive_app_event'),
    'open_app_instance',
    'receive_app_event',
  ])
})

it('asks once a second at most for whoever guesses, known or not', async () => {
  for (const isKnown of [true, false]) {
    const { clock, send, calls } = await setUp(isKnown)

    for (let number = 0; number < 10; number++) await send({}, 'a guess')
    clock.advance(1_001)
    for (let number = 0; number < 10; number++) await send({}, 'a guess')

    expect(calls()).toEqual(['open_app_instance', 'open_app_instance'])
  }
})

it('keeps the header it was verified with, and none that opens other doors; the log tells neither', async () => {
  const { send, requests, lines } = await setUp()

  await send({ id: 'booking-17', type: 'booking.created' })
  await send({}, 'a guess')

  const kept = JSON.parse(requests[1]!.body)
  expect(Object.keys(kept.p_headers).sort()).toEqual(['content-type', 'x-webhook-signature'])
  expect(kept).toMatchObject({
    p_app_instance_id: INSTANCE,
    p_version: 1,
    p_type: 'booking.created',
    p_dedupe_key: 'booking-17',
  })
  expect(lines.join('\n')).toContain('wrong_signature')
  expect(lines.join('\n')).not.toContain(SECRET)
})

it.each([
  ['', 'no JSON'],
  ['[]', 'no object'],
  ['null', 'no object'],
  ['{}', 'no instance'],
  ['{"app_instance_id":"booking"}', 'no UUID'],
  [`{"app_instance_id":["${INSTANCE}"]}`, 'no text'],
  [`{"app_instance_id":"${INSTANCE}","data":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 'too deep'],
])('names no instance: %.40s (%s)', (body) => {
  expect(readEnvelope(new TextEncoder().encode(body))).toBeNull()
})

it('names an instance in whatever case, and takes no id for one that is none', () => {
  const body = { app_instance_id: INSTANCE.toUpperCase(), id: { a: 1 }, type: 7 }

  expect(readEnvelope(new TextEncoder().encode(JSON.stringify(body)))).toMatchObject({
    app_instance_id: INSTANCE,
    id: undefined,
    type: null,
  })
})
