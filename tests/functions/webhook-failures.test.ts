// What happens when an endpoint does not take an event, and what is said about it.
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { useFunctions } from '../support/functions.ts'
import {
  attempted,
  attemptsOf,
  createEndpoint,
  deliveriesOf,
  emitEvent,
  letRetriesComeDue,
} from '../support/webhook-endpoints.ts'
import {
  type Answering,
  answering,
  startWebhookReceiver,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts'

const { database } = useFunctions()
const { owner } = database
let receiver: WebhookReceiver
let paths = 0
beforeAll(async () => {
  receiver = await startWebhookReceiver()
  return () => receiver.stop()
})

/** An endpoint of its own that answers so. */
async function endpointThat(answers: Answering, options: Record<string, unknown> = {}) {
  const path = `/endpoint-${++paths}`
  receiver.answer(path, answers)
  const endpoint = await createEndpoint(database, receiver.url + path, options)
  return { ...endpoint, path, calls: () => receiver.at(path).length }
}

const endpointRow = async (id: string) =>
  (await owner`select * from public.app_webhooks where id = ${id}`)[0]

describe('an endpoint that does not take an event', () => {
  it.each(
    [
      ['answers 503', answering(503, {}, 'try later'), {
        response_status: 503,
        response_body: 'try later',
        error: { code: 'answered_503', message: 'The endpoint answered 503.' },
      }],
      ['redirects to loopback', answering(302, { location: 'http://127.0.0.1:1/' }), {
        response_status: 302,
        error: {
          code: 'redirect_not_followed',
          message:
            'The endpoint answered 302. Redirects are not followed: register the address it leads to.',
        },
      }],
      ['breaks off the connection', (_webhook, response) => response.socket?.resetAndDestroy(), {
        response_status: null,
        error: {
          code: 'connection_reset',
          message: 'The server broke off the connection before it answered.',
        },
      }],
    ] as [string, Answering, Record<string, unknown>][],
  )(
    '%s: is tried again after the first pause, and the attempt says why',
    async (_name, answers, attempt) => {
      const endpoint = await endpointThat(answers)

      await emitEvent(database, endpoint.organizationId)
      const [delivery] = await attempted(database, endpoint.id)

      expect(await attemptsOf(database, endpoint.id)).toMatchObject([
        { attempt_number: 1, outcome: 'failed', ...attempt },
      ])
      expect(delivery).toMatchObject({
        status: 'queued',
        attempt_count: 1,
        last_error: attempt['error'],
      })
      // 5 s ± 20 %, some of which may have passed
      expect(delivery?.next_in_s).toBeGreaterThan(2)
      expect(delivery?.next_in_s).toBeLessThanOrEqual(6)
    },
  )

  it('is not at the address: says so', async () => {
    const endpoint = await createEndpoint(database, 'http://127.0.0.1:9999/nobody')

    await emitEvent(database, endpoint.organizationId)
    await attempted(database, endpoint.id)

    expect(await attemptsOf(database, endpoint.id)).toMatchObject([{
      outcome: 'failed',
      error: { code: 'connection_refused', message: 'The server refused the connection.' },
    }])
  })

  it('has a name nobody knows: says so', async () => {
    const endpoint = await createEndpoint(database, 'https://nobody.invalid/hook')

    await emitEvent(database, endpoint.organizationId)
    await attempted(database, endpoint.id)

    expect(await attemptsOf(database, endpoint.id)).toMatchObject([{
      outcome: 'failed',
      error: {
        code: 'name_not_found',
        message: expect.stringContaining('nobody.invalid could not be resolved'),
      },
    }])
  })

  it('fails as often as there are pauses and once more, then is left alone until it is replayed', async () => {
    let isBroken = true
    const endpoint = await endpointThat(
      (_webhook, response) => response.writeHead(isBroken ? 500 : 200).end(),
      { retry_pauses_s: [60, 60] },
    )
    await emitEvent(database, endpoint.organizationId)
    for (let attempts = 1; attempts <= 3; attempts++) {
      await attempted(database, endpoint.id, attempts)
      await letRetriesComeDue(database, endpoint.id)
    }
    const [ended] = await deliveriesOf(database, endpoint.id)
    isBroken = false

    await owner`select private.replay_webhook_deliveries(${endpoint.id})`
    const [replayed] = await attempted(database, endpoint.id, 4)

    expect(ended).toMatchObject({ status: 'failed', attempt_count: 3, next_in_s: null })
    expect(replayed).toMatchObject({ status: 'succeeded', attempt_count: 4 })
    expect(new Set(receiver.at(endpoint.path).map(({ id }) => id)).size).toBe(1)
  })
})

describe('an answer that is long', () => {
  it('counts by its status, and the first 16 KB are kept', async () => {
    const endpoint = await endpointThat((_webhook, response) => {
      response.writeHead(200)
      response.end('a'.repeat(10_000_000))
    })

    await emitEvent(database, endpoint.organizationId)
    await attempted(database, endpoint.id)

    const [attempt] = await attemptsOf(database, endpoint.id)
    expect(attempt).toMatchObject({ outcome: 'succeeded', response_status: 200 })
    expect(attempt?.response_body).toBe('a'.repeat(16_384))
  })
})

describe('Retry-After', () => {
  it.each([
    ['in seconds', () => '120'],
    ['as a date', () => new Date(Date.now() + 120_000).toUTCString()],
  ])('%s is obeyed for all of the endpoint’s events', async (_name, retryAfter) => {
    let isBusy = true
    const endpoint = await endpointThat(
      (_webhook, response) =>
        isBusy
          ? response.writeHead(429, { 'retry-after': retryAfter() }).end()
          : response.writeHead(200).end(),
      { max_concurrency: 1 },
    )
    await emitEvent(database, endpoint.organizationId)
    const [first] = await attempted(database, endpoint.id)
    isBusy = false
    await emitEvent(database, endpoint.organizationId)
    const [other] = await endpointThatWorks().then(({ id }) => attempted(database, id))

    const held = endpoint.calls()
    await letRetriesComeDue(database, endpoint.id)
    const deliveries = await attempted(database, endpoint.id, 3)

    expect(other).toMatchObject({ status: 'succeeded' }) // a worker was there all the time
    expect(held).toBe(1)
    expect(first?.next_in_s).toBeGreaterThan(110)
    expect(first?.next_in_s).toBeLessThanOrEqual(121)
    expect(deliveries).toMatchObject([{ status: 'succeeded' }, { status: 'succeeded' }])
  })
})

async function endpointThatWorks() {
  const endpoint = await endpointThat(answering(200))
  await emitEvent(database, endpoint.organizationId)
  return endpoint
}

const update = (endpointId: string, changes: Record<string, unknown>) =>
  database.call('service_role', 'update_webhook_endpoint', {
    p_endpoint_id: endpointId,
    p_changes: changes,
  })

describe('an endpoint that is paused', () => {
  it('gets nothing, and everything when it is active again', async () => {
    const endpoint = await endpointThat(answering(200))
    await update(endpoint.id, { status: 'paused' })
    const ids = []
    for (let number = 0; number < 5; number++) {
      ids.push(await emitEvent(database, endpoint.organizationId, { number }))
    }
    await endpointThatWorks().then(({ id }) => attempted(database, id))
    const held = endpoint.calls()

    await update(endpoint.id, { status: 'active' })
    await attempted(database, endpoint.id, 5)

    expect(held).toBe(0)
    expect(receiver.at(endpoint.path).map(({ id }) => id).sort()).toEqual(ids.sort())
  })
})

describe('an endpoint that answers 410', () => {
  it('is disabled at once, keeps its backlog and gets it when it is enabled again', async () => {
    let isGone = true
    const endpoint = await endpointThat((_webhook, response) => {
      response.writeHead(isGone ? 410 : 200).end()
    }, { event_types: ['booking.created'] })
    await emitEvent(database, endpoint.organizationId)
    await attempted(database, endpoint.id)
    const disabled = await endpointRow(endpoint.id)
    await emitEvent(database, endpoint.organizationId)
    await endpointThatWorks().then(({ id }) => attempted(database, id))
    const held = endpoint.calls()
    isGone = false

    await update(endpoint.id, { status: 'active' })
    const deliveries = await attempted(database, endpoint.id, 3)

    expect(disabled).toMatchObject({
      status: 'disabled',
      disabled_reason: { code: 'endpoint_gone' },
    })
    expect(held).toBe(1)
    expect(deliveries).toMatchObject([
      { status: 'succeeded', attempt_count: 2 },
      { status: 'succeeded', attempt_count: 1 },
    ])
  })
})

describe('an endpoint that has failed everything for five days', () => {
  it(
    'is disabled with an event, tried again with one delivery, and drains when that succeeds',
    async () => {
      let isBroken = true
      const endpoint = await endpointThat((_webhook, response) => {
        response.writeHead(isBroken ? 500 : 200).end()
      }, { event_types: ['booking.created'], retry_pauses_s: [86_400] })
      const watcher = await endpointThat(answering(200), {
        event_types: ['webhook_endpoint.*'],
        organizationId: endpoint.organizationId,
      })
      await emitEvent(database, endpoint.organizationId)
      await attempted(database, endpoint.id)
      await owner`
      update public.app_webhooks set failing_since = now() - interval '5 days 1 minute' where id = ${endpoint.id}`

      await emitEvent(database, endpoint.organizationId)
      await attempted(database, endpoint.id, 2)
      const disabled = await endpointRow(endpoint.id)
      for (let number = 0; number < 5; number++) {
        await emitEvent(database, endpoint.organizationId, { number })
      }
      await attempted(database, watcher.id)
      const held = endpoint.calls()
      await comeToTheProbe(endpoint.id)
      await attempted(database, endpoint.id, 3) // it fails too
      const stillDisabled = await endpointRow(endpoint.id)
      isBroken = false
      await comeToTheProbe(endpoint.id)
      await vi.waitFor(async () => {
        const succeeded = (await deliveriesOf(database, endpoint.id))
          .filter(({ status }) => status === 'succeeded')
        expect(succeeded).toHaveLength(5) // of seven, two failed before it was disabled, and wait a day
      }, { timeout: 12_000 })

      expect(disabled).toMatchObject({
        status: 'disabled',
        disabled_reason: { code: 'endpoint_failing' },
      })
      expect(held).toBe(2)
      expect(stillDisabled).toMatchObject({ status: 'disabled' })
      expect(await endpointRow(endpoint.id)).toMatchObject({
        status: 'active',
        disabled_reason: null,
        failing_since: null,
      })
      const told = receiver.at(watcher.path).map(({ body }) => JSON.parse(body.toString()).type)
      expect(told).toEqual(['webhook_endpoint.disabled', 'webhook_endpoint.enabled'])
    },
    30_000,
  )

  async function comeToTheProbe(endpointId: string) {
    await owner`
      update private.webhook_endpoint_states set probe_at = now() where endpoint_id = ${endpointId}`
    await owner`update private.worker_wakes set rung_at = null, awake_until = null where worker = 'webhook-deliver'`
    await owner`select private.wake_worker('webhook-deliver')`
  }
})
