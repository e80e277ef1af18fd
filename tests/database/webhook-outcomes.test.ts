// What becomes of a delivery, and of its endpoint, by what a worker says of the calls?
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { CallOutcome } from '../../supabase/functions/_shared/webhooks/claimed-deliveries.ts'
import { useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import {
  claim,
  clearQueue,
  failed,
  finish,
  settleAll,
  succeeded,
} from '../support/webhook-claims.ts'
import {
  attemptsOf,
  createEndpoint,
  deliveriesOf,
  emitEvent,
  letRetriesComeDue,
  type TestEndpoint,
} from '../support/webhook-endpoints.ts'

const database = useDatabase()
const { owner, call } = database
beforeEach(() => clearQueue(database))
afterAll(() => expectEventsToFit(database))

const DAY_S = 86_400
const register = (options: Parameters<typeof createEndpoint>[2] = {}) =>
  createEndpoint(database, 'https://hooks.example/in', { event_types: ['booking.*'], ...options })
const emit = ({ organizationId }: TestEndpoint) => emitEvent(database, organizationId)
const queueOf = ({ id }: TestEndpoint) =>
  owner`
    select attempt_count, lease_token, extract(epoch from run_at - now())::float as due_in_s
    from private.webhook_queue where endpoint_id = ${id} order by position`
async function standingOf({ id }: TestEndpoint) {
  const [row] = await owner`
    select endpoint.status, endpoint.disabled_reason, endpoint.failing_since, state.probe_count,
      extract(epoch from state.probe_at - now())::float as probe_in_s,
      extract(epoch from state.blocked_until - now())::float as blocked_for_s
    from public.app_webhooks as endpoint
    join private.webhook_endpoint_states as state on state.endpoint_id = endpoint.id
    where endpoint.id = ${id}`
  return row!
}
/** Emits one event and says what became of its first attempt. */
async function attempt(
  endpoint: TestEndpoint,
  outcome: CallOutcome,
): Promise<string> {
  const id = await emit(endpoint)
  await settleAll(database, outcome)
  return id
}
const failingSince = ({ id }: TestEndpoint, days: number) =>
  owner`update public.app_webhooks set failing_since = now() - make_interval(hours => ${
    Math.round(days * 24)
  }) where id = ${id}`
const probeNow = ({ id }: TestEndpoint) =>
  owner`update private.webhook_endpoint_states set probe_at = now() where endpoint_id = ${id}`
const eventsAbout = ({ id, organizationId }: TestEndpoint) =>
  owner`
    select type, data from public.events
    where organization_id = ${organizationId} and subject = ${`webhook_endpoint/${id}`} order by created_at`

describe('a success', () => {
  it('ends a delivery, with what was answered', async () => {
    const endpoint = await register()

    const id = await attempt(endpoint, {
      outcome: 'succeeded',
      status: 204,
      latency_ms: 31,
      body: '',
    })

    expect(await deliveriesOf(database, endpoint.id)).toEqual([{
      event_id: id,
      status: 'succeeded',
      attempt_count: 1,
      last_response_status: 204,
      last_error: null,
      next_in_s: null,
    }])
    expect(await attemptsOf(database, endpoint.id)).toEqual([{
      event_id: id,
      attempt_number: 1,
      outcome: 'succeeded',
      response_status: 204,
      response_body: '',
      error: null,
      latency_ms: 31,
    }])
    expect(await queueOf(endpoint)).toHaveLength(0)
  })

  it('is counted once, however often it is told', async () => {
    const endpoint = await register()
    await emit(endpoint)
    const { lease, deliveries } = await claim(database)
    const outcomes = deliveries.map(({ position, attempt_id }) => ({
      position,
      attempt_id,
      ...succeeded,
    }))

    const counted = [
      await finish(database, lease, outcomes),
      await finish(database, lease, outcomes),
    ]

    expect(counted).toEqual([1, 0])
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ attempt_count: 1 }])
  })

  it('after failures forgets the last error and since when the endpoint has failed', async () => {
    const endpoint = await register()
    await attempt(endpoint, failed)
    const failing = await standingOf(endpoint)
    await letRetriesComeDue(database, endpoint.id)

    await settleAll(database, succeeded)

    expect(failing['failing_since']).not.toBeNull()
    expect((await standingOf(endpoint))['failing_since']).toBeNull()
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([
      { status: 'succeeded', attempt_count: 2, last_error: null },
    ])
  })
})

describe('a failure', () => {
  it('is tried again after 5 s, 5 and 30 min, 2, 5, 10, 14, 20 and 24 h, each ±20 %, then given up', async () => {
    const endpoint = await register()
    const pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    const waited: number[] = []
    await emit(endpoint)

    for (let number = 1; number <= 10; number++) {
      await settleAll(database, failed)
      const [delivery] = await deliveriesOf(database, endpoint.id)
      if (delivery?.next_in_s !== null) waited.push(Math.round(delivery!.next_in_s!))
      await letRetriesComeDue(database, endpoint.id)
    }

    expect(waited).toHaveLength(9)
    waited.forEach((seconds, index) => {
      expect(seconds).toBeGreaterThanOrEqual(Math.floor(pauses[index]! * 0.8) - 2)
      expect(seconds).toBeLessThanOrEqual(Math.ceil(pauses[index]! * 1.2))
    })
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{
      status: 'failed',
      attempt_count: 10,
      last_response_status: 500,
      last_error: { code: failed.code, message: failed.message },
      next_in_s: null,
    }])
    expect(await queueOf(endpoint)).toHaveLength(0)
    expect(await attemptsOf(database, endpoint.id)).toHaveLength(10)
  })

  it('is tried again as often as its endpoint says, and what failed together comes back apart', async () => {
    const endpoint = await register({ retry_pauses_s: [1_000], max_concurrency: 50 })
    for (let number = 0; number < 20; number++) await emit(endpoint)

    await settleAll(database, failed)
    const waiting = (await deliveriesOf(database, endpoint.id)).map(({ next_in_s }) =>
      Math.round(next_in_s!)
    )
    await letRetriesComeDue(database, endpoint.id)
    await settleAll(database, failed)

    expect(new Set(waiting).size).toBeGreaterThan(10)
    expect(Math.min(...waiting)).toBeGreaterThanOrEqual(795)
    expect(Math.max(...waiting)).toBeLessThanOrEqual(1_200)
    expect(new Set((await deliveriesOf(database, endpoint.id)).map(({ status }) => status)))
      .toEqual(new Set(['failed']))
  })

  it.each([[3_600, 3_600], [200_000, DAY_S]])(
    'with Retry-After: %i waits %i s at least, and so does all else for that endpoint',
    async (retry_after_s, expected) => {
      const endpoint = await register({ retry_pauses_s: [5] })
      await attempt(endpoint, { ...failed, status: 429, retry_after_s })
      await emit(endpoint)

      const meanwhile = await claim(database)

      const [queued] = await queueOf(endpoint)
      const { blocked_for_s } = await standingOf(endpoint)
      expect(meanwhile.deliveries).toEqual([])
      expect(Math.abs(queued?.['due_in_s'] - expected)).toBeLessThan(10)
      expect(Math.abs(blocked_for_s - expected)).toBeLessThan(10)
    },
  )

  it('with Retry-After holds back all else, also when others of the same batch succeeded', async () => {
    const endpoint = await register({ retry_pauses_s: [5] })
    await emit(endpoint)
    await emit(endpoint)
    const { lease, deliveries } = await claim(database)
    const outcomes = deliveries.map(({ position, attempt_id }, index) => ({
      position,
      attempt_id,
      ...(index === 0 ? succeeded : { ...failed, status: 429, retry_after_s: 600 }),
    }))

    await finish(database, lease, outcomes)

    expect((await standingOf(endpoint))['blocked_for_s']).toBeGreaterThan(590)
  })

  it('with a shorter Retry-After than one before does not end that one', async () => {
    const endpoint = await register()
    await emit(endpoint)
    await emit(endpoint)
    const { lease, deliveries } = await claim(database)

    for (const [index, retry_after_s] of [600, 1].entries()) {
      const { position, attempt_id } = deliveries[index]!
      await finish(database, lease, [{ position, attempt_id, ...failed, retry_after_s }])
    }

    expect((await standingOf(endpoint))['blocked_for_s']).toBeGreaterThan(590)
  })

  it('with a Retry-After shorter than its pause waits the pause', async () => {
    const endpoint = await register({ retry_pauses_s: [1_000] })

    await attempt(endpoint, { ...failed, retry_after_s: 1 })

    const [queued] = await queueOf(endpoint)
    expect(queued?.['due_in_s']).toBeGreaterThan(795)
  })
})

it('what was claimed and not sent is due again at once, as if it had never been claimed', async () => {
  const endpoint = await register()
  await attempt(endpoint, { outcome: 'released' })

  expect(await attemptsOf(database, endpoint.id)).toEqual([])
  expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{
    status: 'queued',
    attempt_count: 0,
  }])
  expect(await queueOf(endpoint)).toMatchObject([{ attempt_count: 0, lease_token: null }])
  expect((await claim(database)).deliveries).toHaveLength(1)
})

it('what was claimed and not sent is given back to the endpoint’s rate', async () => {
  const endpoint = await register({ rate_limit_per_second: 0.01 })
  await attempt(endpoint, { outcome: 'released' })

  const again = await claim(database)
  const beyond = await claim(database)

  expect([again, beyond].map(({ deliveries }) => deliveries.length)).toEqual([1, 0])
})

it('an event past its retention ends its delivery, and says nothing about the endpoint', async () => {
  const endpoint = await register()
  const id = await emit(endpoint)
  await owner`delete from public.events where id = ${id}`
  const { lease, deliveries, bodies } = await claim(database)

  await finish(
    database,
    lease,
    deliveries.map(({ position, attempt_id }) => ({
      position,
      attempt_id,
      outcome: 'expired',
      code: 'event_expired',
      message: 'Too late.',
    })),
  )

  expect(bodies).toEqual({})
  expect(await queueOf(endpoint)).toEqual([])
  expect(await deliveriesOf(database, endpoint.id)).toMatchObject([
    { status: 'failed', last_error: { code: 'event_expired' } },
  ])
  expect(await standingOf(endpoint)).toMatchObject({ status: 'active', failing_since: null })
})

describe('an endpoint that says it is gone', () => {
  it('is disabled at once, with a reason and an event; what comes is held, and nobody tries by themselves', async () => {
    const endpoint = await register()

    await attempt(endpoint, { ...failed, outcome: 'gone', status: 410 })
    await emit(endpoint)

    expect(await standingOf(endpoint)).toMatchObject({
      status: 'disabled',
      disabled_reason: { code: 'endpoint_gone' },
      probe_in_s: null,
    })
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([
      { status: 'queued', last_response_status: 410 },
      { status: 'queued' },
    ])
    expect((await claim(database)).deliveries).toEqual([])
    expect(await eventsAbout(endpoint)).toMatchObject([
      { type: 'webhook_endpoint.disabled', data: { reason: { code: 'endpoint_gone' } } },
    ])
  })

  it('gets all that was held when a person activates it', async () => {
    const endpoint = await register()
    await attempt(endpoint, { ...failed, outcome: 'gone', status: 410 })
    await emit(endpoint)

    await call('service_role', 'update_webhook_endpoint', {
      p_endpoint_id: endpoint.id,
      p_changes: { status: 'active' },
    })

    expect((await claim(database)).deliveries).toHaveLength(2)
  })
})

describe('an endpoint that fails everything', () => {
  it('for less than five days is only tried again', async () => {
    const endpoint = await register()
    await failingSince(endpoint, 4.9)

    await attempt(endpoint, failed)

    expect(await standingOf(endpoint)).toMatchObject({ status: 'active', disabled_reason: null })
    expect(await eventsAbout(endpoint)).toHaveLength(0)
  })

  it('for five days is disabled with a reason, an event and a line in the trail, and its backlog is held', async () => {
    const endpoint = await register()
    await failingSince(endpoint, 5.1)

    await attempt(endpoint, failed)
    await emit(endpoint)
    await letRetriesComeDue(database, endpoint.id)

    expect(await standingOf(endpoint)).toMatchObject({
      status: 'disabled',
      disabled_reason: {
        code: 'endpoint_failing',
        message: expect.stringContaining(failed.message),
      },
    })
    expect((await claim(database)).deliveries).toEqual([])
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ status: 'queued' }, {
      status: 'queued',
    }])
    expect(await eventsAbout(endpoint)).toMatchObject([{ type: 'webhook_endpoint.disabled' }])
    expect(
      await owner`
        select action, outcome, actor_type from public.activity_logs
        where subject_id = ${endpoint.id} and action = 'webhook_endpoint.disabled'`,
    ).toMatchObject([{ outcome: 'failure', actor_type: 'system' }])
  })

  it('tells another endpoint of its organization, which may have asked to hear of it', async () => {
    const endpoint = await register()
    const { organizationId } = endpoint
    const watcher = await register({ organizationId, event_types: ['webhook_endpoint.*'] })
    await failingSince(endpoint, 6)

    await attempt(endpoint, failed)

    expect(await deliveriesOf(database, watcher.id)).toHaveLength(1)
  })

  const disable = async () => {
    const endpoint = await register({ max_concurrency: 5 })
    await failingSince(endpoint, 6)
    await attempt(endpoint, failed)
    for (let number = 0; number < 3; number++) await emit(endpoint)
    return endpoint
  }

  it('is tried with one delivery after half an hour, then after ever longer pauses up to half a day', async () => {
    const endpoint = await disable()
    const pauses = [Math.round((await standingOf(endpoint))['probe_in_s'] / 60)]
    const tried: number[] = []

    for (let probe = 0; probe < 6; probe++) {
      await probeNow(endpoint)
      await letRetriesComeDue(database, endpoint.id)
      tried.push(await settleAll(database, failed))
      tried.push((await claim(database)).deliveries.length)
      pauses.push(Math.round((await standingOf(endpoint))['probe_in_s'] / 60))
    }

    expect(tried).toEqual([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
    expect(pauses).toEqual([30, 60, 120, 240, 480, 720, 720])
    expect((await standingOf(endpoint))['status']).toBe('disabled')
  })

  it('is enabled by one success, with an event, and its backlog is sent', async () => {
    const endpoint = await disable()
    await probeNow(endpoint)
    await letRetriesComeDue(database, endpoint.id)

    await settleAll(database, succeeded)
    const rest = await claim(database)

    expect(await standingOf(endpoint)).toMatchObject({
      status: 'active',
      disabled_reason: null,
      failing_since: null,
      probe_in_s: null,
      probe_count: 0,
    })
    expect(rest.deliveries).toHaveLength(3)
    expect((await eventsAbout(endpoint)).map(({ type }) => type)).toEqual([
      'webhook_endpoint.disabled',
      'webhook_endpoint.enabled',
    ])
  })

  it('uses up no attempts of what it holds, however often it is tried', async () => {
    const endpoint = await register({ retry_pauses_s: [5] })
    await failingSince(endpoint, 6)
    await attempt(endpoint, failed)

    for (let probe = 0; probe < 3; probe++) {
      await probeNow(endpoint)
      await letRetriesComeDue(database, endpoint.id)
      await settleAll(database, failed)
    }

    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([
      { status: 'queued', attempt_count: 4 },
    ])
    expect(await queueOf(endpoint)).toMatchObject([{ attempt_count: 1 }])
  })

  it('and then says that it is gone is tried no more by itself', async () => {
    const endpoint = await disable()
    await probeNow(endpoint)
    await letRetriesComeDue(database, endpoint.id)

    await settleAll(database, { ...failed, outcome: 'gone', status: 410 })

    expect(await standingOf(endpoint)).toMatchObject({
      status: 'disabled',
      disabled_reason: { code: 'endpoint_gone' },
      probe_in_s: null,
    })
  })

  it('is tried again when the worker that tried it died', async () => {
    const endpoint = await disable()
    await probeNow(endpoint)
    const first = await claim(database)

    await owner`
      update private.webhook_queue set leased_at = leased_at - interval '5 minutes', run_at = now() - interval '1 second'
      where endpoint_id = ${endpoint.id} and lease_token is not null`
    const tooEarly = await claim(database)
    const { probe_in_s } = await standingOf(endpoint)
    await probeNow(endpoint)
    const second = await claim(database)

    expect([first, tooEarly, second].map(({ deliveries }) => deliveries.length)).toEqual([1, 0, 1])
    expect(probe_in_s).toBeGreaterThan(60)
    expect(probe_in_s).toBeLessThanOrEqual(120)
  })
})

it('an endpoint that was deleted during the call is no trouble', async () => {
  const endpoint = await register()
  const kept = await register()
  await emit(endpoint)
  await emit(kept)
  const { lease, deliveries } = await claim(database)
  await call('service_role', 'delete_webhook_endpoint', { p_endpoint_id: endpoint.id })

  const counted = await finish(
    database,
    lease,
    deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
  )

  expect(deliveries).toHaveLength(2)
  expect(counted).toBe(2)
  expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ status: 'succeeded' }])
  expect(await deliveriesOf(database, kept.id)).toMatchObject([{ status: 'succeeded' }])
})

it('outcomes of many endpoints are written in one call', async () => {
  const endpoints = await Promise.all(Array.from({ length: 10 }, () => register()))
  for (const endpoint of endpoints) for (let number = 0; number < 5; number++) await emit(endpoint)
  const { lease, deliveries } = await claim(database)
  const outcomes = deliveries.map(({ position, attempt_id }, index) => ({
    position,
    attempt_id,
    ...(index % 2 === 0 ? succeeded : failed),
  }))

  const counted = await finish(database, lease, outcomes)

  expect(counted).toBe(50)
  const all = (await Promise.all(endpoints.map(({ id }) => deliveriesOf(database, id)))).flat()
  expect(all.filter(({ status }) => status === 'succeeded')).toHaveLength(25)
  expect(all.filter(({ status, next_in_s }) => status === 'queued' && next_in_s !== null))
    .toHaveLength(25)
})
