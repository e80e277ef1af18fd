// What is sent again, and what is not?
import { beforeEach, describe, expect, it } from 'vitest'
import { refusal, useDatabase } from '../support/database.ts'
import { createTeam } from '../support/people.ts'
import { claim, clearQueue, failed, settleAll, succeeded } from '../support/webhook-claims.ts'
import {
  attemptsOf,
  createEndpoint,
  deliveriesOf,
  emitEvent,
  type TestEndpoint,
} from '../support/webhook-endpoints.ts'

const database = useDatabase()
const { owner, call } = database
beforeEach(() => clearQueue(database))

const register = (options: Parameters<typeof createEndpoint>[2] = {}) =>
  createEndpoint(database, 'https://hooks.example/in', { retry_pauses_s: [], ...options })
const replay = ({ id }: TestEndpoint, how: Record<string, unknown> = {}) =>
  call<number>('service_role', 'replay_webhook_deliveries', { p_endpoint_id: id, ...how })
const dueOf = async ({ id }: TestEndpoint) => {
  const rows = await owner`
    select event_id from private.webhook_queue where endpoint_id = ${id} and run_at <= now() and lease_token is null
    order by position`
  return rows.map((row): string => row.event_id)
}

/** Three events whose deliveries succeeded, failed for good, and failed once. */
async function history() {
  const endpoint = await register()
  const send = async (outcome: Parameters<typeof settleAll>[1]) => {
    const id = await emitEvent(database, endpoint.organizationId)
    await settleAll(database, outcome)
    return id
  }
  const good = await send(succeeded)
  const bad = await send(failed)
  await owner`update public.app_webhooks set retry_pauses_s = '{3600}' where id = ${endpoint.id}`
  const waiting = await send(failed)
  return { endpoint, good, bad, waiting }
}

it('what failed is sent again, what waits after a failure at once, what succeeded not', async () => {
  const { endpoint, bad, waiting } = await history()

  const replayed = await replay(endpoint)

  expect(replayed).toBe(2)
  expect((await dueOf(endpoint)).toSorted()).toEqual([bad, waiting].toSorted())
  expect(await deliveriesOf(database, endpoint.id)).toMatchObject([
    { status: 'succeeded' },
    { status: 'queued', last_error: { code: failed.code } },
    { status: 'queued' },
  ])
  const due = (await deliveriesOf(database, endpoint.id)).map(({ next_in_s }) => next_in_s)
  expect(due.slice(1).every((seconds) => seconds !== null && seconds <= 0)).toBe(true)
})

it('all are sent again when that is asked for', async () => {
  const { endpoint, good, bad, waiting } = await history()

  expect(await replay(endpoint, { p_what: 'all' })).toBe(3)
  expect((await dueOf(endpoint)).toSorted()).toEqual([good, bad, waiting].toSorted())
})

it('one is sent again, with the same id and the same body, and all its attempts before it', async () => {
  const endpoint = await register({ retry_pauses_s: [3_600] })
  const id = await emitEvent(database, endpoint.organizationId, { guests: 4 })
  const first = await claim(database)
  await settleAllOf(first)
  await emitEvent(database, endpoint.organizationId)
  await settleAll(database, succeeded)

  const replayed = await replay(endpoint, { p_event_ids: [id], p_what: 'all' })
  const again = await claim(database)

  expect(replayed).toBe(1)
  expect(again.bodies).toEqual({ [id]: first.bodies[id] })
  expect((await attemptsOf(database, endpoint.id)).filter(({ event_id }) => event_id === id))
    .toMatchObject([
      { attempt_number: 1, outcome: 'succeeded' },
      { attempt_number: 1, outcome: null },
    ])
})

const settleAllOf = async ({ lease, deliveries }: Awaited<ReturnType<typeof claim>>) => {
  await call('service_role', 'finish_webhook_deliveries', {
    p_lease_token: lease,
    p_outcomes: deliveries.map(({ position, attempt_id }) => ({
      position,
      attempt_id,
      ...succeeded,
    })),
  })
}

it('a range is sent again, its beginning included and its end not', async () => {
  const endpoint = await register()
  const ids: string[] = []
  for (const day of [3, 2, 1]) {
    const [row] = await owner`
      insert into public.events (organization_id, type, data, origin, created_at)
      values (${endpoint.organizationId}, 'booking.created', '{}', 'app', date_trunc('day', now()) - make_interval(days => ${day}))
      returning id`
    ids.push(row?.id)
  }
  await settleAll(database, failed)
  const [range] = await owner`
    select date_trunc('day', now()) - interval '2 days' as since, date_trunc('day', now()) - interval '1 day' as until`

  const replayed = await replay(endpoint, { p_since: range?.since, p_until: range?.until })

  expect(replayed).toBe(1)
  expect(await dueOf(endpoint)).toEqual([ids[1]])
})

describe('what is missing', () => {
  it('is what the endpoint wants and was never sent, such as what is older than it, in order', async () => {
    const { organizationId } = await createTeam(database)
    const before: string[] = []
    for (const type of ['booking.created', 'visit.created', 'booking.updated']) {
      before.push(await emitEvent(database, organizationId, {}, { type }))
    }
    const endpoint = await register({ organizationId, event_types: ['booking.*'] })
    await emitEvent(database, organizationId)
    await settleAll(database, succeeded)

    const replayed = await replay(endpoint, { p_what: 'missing' })

    expect(replayed).toBe(2)
    expect(await dueOf(endpoint)).toEqual([before[0], before[2]])
    expect(await replay(endpoint, { p_what: 'missing' })).toBe(0)
  })

  it('is no test event, nothing that the filter keeps back, and nothing of others', async () => {
    const endpoint = await register({
      filter: { field: 'data.guests', operator: 'gt', value: 3 },
      event_types: ['booking.*', 'webhook.test'],
    })
    const other = await register({ organizationId: endpoint.organizationId })
    await register()
    await emitEvent(database, endpoint.organizationId, { guests: 2 })
    await call('service_role', 'ping_webhook_endpoint', { p_endpoint_id: other.id })

    expect(await replay(endpoint, { p_what: 'missing' })).toBe(0)
  })

  it('comes in order where subjects are in order, also what one transaction emitted', async () => {
    const { organizationId } = await createTeam(database)
    const rows = await owner`
      insert into public.events (organization_id, type, data, subject, origin)
      select ${organizationId}, 'booking.created', '{}', 'booking/1', 'app' from generate_series(1, 30) returning id`
    const endpoint = await register({
      organizationId,
      event_types: ['booking.*'],
      ordered_by_subject: true,
    })

    await replay(endpoint, { p_what: 'missing' })
    const first = await claim(database)

    expect(await dueOf(endpoint)).toEqual([])
    expect(first.deliveries.map(({ event_id }) => event_id)).toEqual([rows[0]?.id])
  })
})

it.each(['failed', 'all'])(
  'of %s no more is sent again at once than asked for, and the rest the next time',
  async (what) => {
    const { endpoint, bad, waiting } = await history()
    if (
      what === 'all'
    ) {
      await owner`delete from public.webhook_deliveries where status = 'succeeded' and endpoint_id = ${endpoint.id}`
    }
    const replaySome = async () => {
      const [row] = await owner`
      select private.replay_webhook_deliveries(${endpoint.id}, what => ${what}, at_most => 1) as count`
      return row?.count
    }

    const counts = [await replaySome(), await replaySome(), await replaySome()]

    expect(counts).toEqual([1, 1, 0])
    expect((await dueOf(endpoint)).toSorted()).toEqual([bad, waiting].toSorted())
  },
)

it('of what is missing, too', async () => {
  const { organizationId } = await createTeam(database)
  for (let number = 0; number < 3; number++) await emitEvent(database, organizationId)
  const endpoint = await register({ organizationId, event_types: ['booking.*'] })
  const replaySome = async () => {
    const [row] = await owner`
      select private.replay_webhook_deliveries(${endpoint.id}, what => 'missing', at_most => 2) as count`
    return row?.count
  }

  expect([await replaySome(), await replaySome(), await replaySome()]).toEqual([2, 1, 0])
})

it('asking twice is harmless: each waits once', async () => {
  const { endpoint } = await history()

  await replay(endpoint, { p_what: 'all' })
  await replay(endpoint, { p_what: 'all' })

  expect(await dueOf(endpoint)).toHaveLength(3)
})

it('asking twice at once is harmless too', async () => {
  const { endpoint } = await history()

  await Promise.all([1, 2, 3, 4].map(() => replay(endpoint, { p_what: 'all' })))

  expect(await dueOf(endpoint)).toHaveLength(3)
})

it('a call under way is left alone', async () => {
  const endpoint = await register()
  await emitEvent(database, endpoint.organizationId)
  await claim(database)

  expect(await replay(endpoint, { p_what: 'all' })).toBe(0)
})

it('what was sent again and failed is tried as often as the first time', async () => {
  const { endpoint, waiting } = await history()
  await replay(endpoint, { p_event_ids: [waiting] })

  await settleAll(database, failed)

  expect((await deliveriesOf(database, endpoint.id)).find(({ event_id }) => event_id === waiting))
    .toMatchObject({ status: 'queued', attempt_count: 2 })
})

it('another endpoint’s deliveries stay as they are', async () => {
  const { endpoint } = await history()
  const other = await register()
  const id = await emitEvent(database, other.organizationId)
  await settleAll(database, failed)

  await replay(endpoint, { p_what: 'all' })
  const named = await replay(endpoint, { p_what: 'all', p_event_ids: [id] })

  expect(named).toBe(0)
  expect(await deliveriesOf(database, other.id)).toMatchObject([{ status: 'failed' }])
})

it('while an endpoint is paused, what is to be sent again is held', async () => {
  const { endpoint } = await history()
  await call('service_role', 'update_webhook_endpoint', {
    p_endpoint_id: endpoint.id,
    p_changes: { status: 'paused' },
  })

  const replayed = await replay(endpoint)

  expect(replayed).toBe(2)
  expect((await claim(database)).deliveries).toEqual([])
})

it('plain SQL may do it too', async () => {
  const { endpoint } = await history()

  const [row] =
    await owner`select private.replay_webhook_deliveries(${endpoint.id}, since => now() - interval '1 hour') as count`

  expect(row?.count).toBe(2)
})

it.each(['everything', '', null])('what %j means is not guessed', async (p_what) => {
  const endpoint = await register()

  await expect(replay(endpoint, { p_what })).rejects.toMatchObject(refusal('invalid_request'))
})
