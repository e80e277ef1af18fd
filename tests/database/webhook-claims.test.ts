// What does a delivery worker get, and what does it never get?
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedBatch } from '../../supabase/functions/_shared/webhooks/claimed-deliveries.ts'
import { useDatabase } from '../support/database.ts'
import { claim, clearQueue, failed, finish, succeeded } from '../support/webhook-claims.ts'
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

const register = (options: Parameters<typeof createEndpoint>[2] = {}) =>
  createEndpoint(database, 'https://hooks.example/in', options)

/** Emits events one after the other; answers their ids. */
async function emitMany(
  { organizationId }: TestEndpoint,
  count: number,
  subject: string | null = null,
) {
  const rows = await owner`
    insert into public.events (organization_id, type, data, subject, origin, created_at)
    select ${organizationId}, 'booking.created', jsonb_build_object('number', number), ${subject}::text, 'app',
      clock_timestamp()
    from generate_series(1, ${count}) as number returning id`
  return rows.map((row): string => row.id)
}
const of = (claimed: ClaimedBatch, { id }: TestEndpoint) =>
  claimed.deliveries.filter(({ endpoint_id }) => endpoint_id === id)
const eventsIn = (claimed: ClaimedBatch) => claimed.deliveries.map(({ event_id }) => event_id)
const setStatus = ({ id }: TestEndpoint, status: string) =>
  call('service_role', 'update_webhook_endpoint', { p_endpoint_id: id, p_changes: { status } })
async function expireLeases({ id }: TestEndpoint) {
  await owner`
    update private.webhook_queue set leased_at = leased_at - interval '5 minutes', run_at = now() - interval '1 second'
    where endpoint_id = ${id} and lease_token is not null`
  await owner`
    update public.webhook_attempts as attempt set created_at = queued.leased_at
    from private.webhook_queue as queued where queued.attempt_id = attempt.id and queued.endpoint_id = ${id}`
}

it('a delivery comes with the body as it is sent, and its attempt is written down before the call', async () => {
  const endpoint = await register()
  const id = await emitEvent(database, endpoint.organizationId, { text: 'ß "x"', of: [1, null] })
  const [event] = await owner`
    select to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at from public.events where id = ${id}`

  const claimed = await claim(database)

  expect(claimed.deliveries).toMatchObject([
    { endpoint_id: endpoint.id, endpoint_version: 1, event_id: id },
  ])
  const body = claimed.bodies[id]
  expect(Object.entries(JSON.parse(body!))).toEqual([
    ['type', 'booking.created'],
    ['timestamp', event?.at],
    ['data', { text: 'ß "x"', of: [1, null] }],
  ])
  expect(await attemptsOf(database, endpoint.id)).toMatchObject([
    { event_id: id, attempt_number: 1, outcome: null, response_status: null },
  ])
})

it('a number that JavaScript cannot hold is sent as it was written', async () => {
  const { organizationId } = await register()
  const [row] = await owner`
    select private.emit_event(${organizationId}, 'booking.created', '{"id": 12345678901234567890.5}', null, 'app') as id`

  const { bodies } = await claim(database)

  expect(bodies[row?.id]).toContain('12345678901234567890.5')
})

it('an event for two endpoints comes with one body', async () => {
  const first = await register()
  await register({ organizationId: first.organizationId })
  const id = await emitEvent(database, first.organizationId)

  const { deliveries, bodies } = await claim(database)

  expect(deliveries.map(({ event_id }) => event_id)).toEqual([id, id])
  expect(Object.keys(bodies)).toEqual([id])
})

it('where nothing is due, nothing comes', async () => {
  expect(await claim(database)).toMatchObject({ deliveries: [], bodies: {}, more: false })
})

describe('how much comes at once', () => {
  it('is what an endpoint may have under way, over all workers', async () => {
    const endpoint = await register({ max_concurrency: 3 })
    await emitMany(endpoint, 8)

    const first = await claim(database)
    const second = await claim(database)
    await finish(
      database,
      first.lease,
      first.deliveries.slice(0, 2).map(({ position, attempt_id }) => ({
        position,
        attempt_id,
        ...succeeded,
      })),
    )
    const third = await claim(database)

    expect([first, second, third].map((claimed) => claimed.deliveries.length)).toEqual([3, 0, 2])
  })

  it('is no more than asked for, and says that there is more', async () => {
    const endpoint = await register({ max_concurrency: 100 })
    await emitMany(endpoint, 30)

    const some = await claim(database, { limit: 20 })
    const rest = await claim(database, { limit: 20 })

    expect([some.deliveries.length, some.more]).toEqual([20, true])
    expect([rest.deliveries.length, rest.more]).toEqual([10, false])
  })

  it('is no more than 8 MB, and the rest comes the next time as if it had not been taken', async () => {
    const endpoint = await register({ max_concurrency: 100 })
    await owner`
      insert into public.events (organization_id, type, data, origin)
      select ${endpoint.organizationId}, 'booking.created', jsonb_build_object('text', repeat('x', 250000)), 'app'
      from generate_series(1, 40)`

    const some = await claim(database)
    const rest = await claim(database)

    expect(Object.values(some.bodies).join('').length).toBeLessThanOrEqual(8 * 1024 * 1024)
    expect(Object.keys(some.bodies).toSorted()).toEqual(eventsIn(some).toSorted())
    expect(some.more).toBe(true)
    expect(some.deliveries.length).toBeGreaterThan(25)
    expect(new Set([...eventsIn(some), ...eventsIn(rest)]).size).toBe(40)
    expect(await attemptsOf(database, endpoint.id)).toHaveLength(40)
  })

  it('is shared between endpoints: a long backlog does not keep another from its turn', async () => {
    const busy = await register({ max_concurrency: 100 })
    await emitMany(busy, 300)
    const others = await Promise.all([register(), register(), register()])
    for (const other of others) await emitMany(other, 2)

    const claimed = await claim(database, { limit: 8 })

    expect(others.map((other) => of(claimed, other).length)).toEqual([2, 2, 2])
    expect(of(claimed, busy)).toHaveLength(2)
  })

  it('for an endpoint that answers slowly is bounded, and all others go on', async () => {
    const slow = await register({ max_concurrency: 2 })
    await emitMany(slow, 50)
    await claim(database) // its calls hang
    const fast = await register()
    await emitMany(fast, 5)

    const claimed = await claim(database)

    expect(of(claimed, slow)).toHaveLength(0)
    expect(of(claimed, fast)).toHaveLength(5)
  })

  it('keeps to an endpoint’s rate: a second’s worth at once, then what time brings', async () => {
    const endpoint = await register({ rate_limit_per_second: 5, max_concurrency: 100 })
    await emitMany(endpoint, 20)
    const secondsPass = (seconds: number) =>
      owner`
        update private.webhook_endpoint_states set next_free_at = next_free_at - make_interval(secs => ${seconds})
        where endpoint_id = ${endpoint.id}`

    const counts = [
      (await claim(database)).deliveries.length,
      (await claim(database)).deliveries.length,
    ]
    await secondsPass(0.6)
    counts.push((await claim(database)).deliveries.length)
    await secondsPass(60)
    counts.push((await claim(database)).deliveries.length)

    expect([counts[0], counts[1], counts[3]]).toEqual([5, 0, 5])
    expect(counts[2]).toBeGreaterThanOrEqual(3) // a busy machine takes its own time
    expect(counts[2]).toBeLessThanOrEqual(5)
  })

  it('keeps to a rate below one a second', async () => {
    const endpoint = await register({ rate_limit_per_second: 0.01 })
    await emitMany(endpoint, 3)

    const counts = [
      (await claim(database)).deliveries.length,
      (await claim(database)).deliveries.length,
    ]

    expect(counts).toEqual([1, 0])
  })
})

describe('an endpoint that wants subjects in order', () => {
  it('gets one of a subject at a time, and others beside it', async () => {
    const endpoint = await register({ ordered_by_subject: true })
    const ids = []
    for (const subject of ['booking/1', 'booking/1', 'booking/2', null, null]) {
      ids.push(...await emitMany(endpoint, 1, subject))
    }

    const first = await claim(database)
    const meanwhile = await claim(database)
    await finish(
      database,
      first.lease,
      first.deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
    )
    const second = await claim(database)

    expect(eventsIn(first).toSorted()).toEqual([ids[0], ids[2], ids[3], ids[4]].toSorted())
    expect(meanwhile.deliveries).toEqual([])
    expect(eventsIn(second)).toEqual([ids[1]])
  })

  it('gets nothing of a subject before the one that failed has been tried again', async () => {
    const endpoint = await register({ ordered_by_subject: true })
    const [one] = await emitMany(endpoint, 1, 'booking/1')
    await emitMany(endpoint, 1, 'booking/1')
    const first = await claim(database)
    await finish(
      database,
      first.lease,
      first.deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...failed })),
    )

    const waiting = await claim(database)
    await letRetriesComeDue(database, endpoint.id)
    const again = await claim(database)

    expect(waiting.deliveries).toEqual([])
    expect(eventsIn(again)).toEqual([one])
  })

  it('goes on when the attempts of one are used up', async () => {
    const endpoint = await register({ ordered_by_subject: true, retry_pauses_s: [] })
    await emitMany(endpoint, 1, 'booking/1')
    const [two] = await emitMany(endpoint, 1, 'booking/1')
    const first = await claim(database)

    await finish(
      database,
      first.lease,
      first.deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...failed })),
    )

    expect(eventsIn(await claim(database))).toEqual([two])
  })
})

describe('endpoints that want subjects in order, and wait for a retry with another behind it', () => {
  const failingWithFollower = async () => {
    const endpoint = await register({ ordered_by_subject: true })
    await emitMany(endpoint, 2, 'booking/1')
    return endpoint
  }

  it('keep nobody else from a turn, however many they are', async () => {
    await Promise.all(Array.from({ length: 66 }, failingWithFollower))
    for (let round = 0; round < 2; round++) {
      const { lease, deliveries } = await claim(database)
      await finish(
        database,
        lease,
        deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...failed })),
      )
    }
    const other = await register()
    await emitMany(other, 1)

    const claimed = [await claim(database), await claim(database)]

    expect(claimed.flatMap((one) => of(one, other))).toHaveLength(1)
  })

  it('are due when the retry is, not before', async () => {
    await failingWithFollower()
    const { lease, deliveries } = await claim(database)
    await finish(
      database,
      lease,
      deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...failed })),
    )

    await claim(database)
    const [retry] = await owner`select min(run_at) as at from private.webhook_queue`

    const nextAt = await call<string>('service_role', 'next_webhook_delivery_at')
    expect(Date.parse(nextAt)).toBe(retry?.at.getTime())
  })
})

it('a change of order costs no look at the backlog: begun, it is kept among what is emitted from then on; ended, for nothing', async () => {
  const endpoint = await register({ max_concurrency: 3 })
  const unordered = await emitMany(endpoint, 2, 'booking/1')
  const setOrder = (ordered_by_subject: boolean) =>
    call('service_role', 'update_webhook_endpoint', {
      p_endpoint_id: endpoint.id,
      p_changes: { ordered_by_subject },
    })
  const settle = ({ lease, deliveries }: Awaited<ReturnType<typeof claim>>) =>
    finish(
      database,
      lease,
      deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
    )

  await setOrder(true)
  const ids = await emitMany(endpoint, 3, 'booking/1')
  const ordered = await claim(database)
  await settle(ordered)
  await setOrder(false)
  const rest = await claim(database)

  expect(eventsIn(ordered)).toEqual([...unordered, ids[0]])
  expect(eventsIn(rest)).toEqual([ids[1], ids[2]])
})

it('a long backlog of one subject is sent one by one, in order', async () => {
  const endpoint = await register({ ordered_by_subject: true })
  const ids = await emitMany(endpoint, 700, 'booking/1')
  const sent: string[] = []

  for (let round = 0; round < 5; round++) {
    const { lease, deliveries } = await claim(database)
    sent.push(...deliveries.map(({ event_id }) => event_id))
    await finish(
      database,
      lease,
      deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
    )
  }

  expect(sent).toEqual(ids.slice(0, 5))
})

it('what waited for one of its subject that is gone is sent all the same', async () => {
  const endpoint = await register({ ordered_by_subject: true })
  const ids = await emitMany(endpoint, 3, 'booking/1')
  await claim(database)
  await owner`delete from private.webhook_queue where event_id = ${ids[0]!}` // with its day
  const stranded = await claim(database)

  await owner`select private.free_stranded_lanes()`

  expect(stranded.deliveries).toEqual([])
  expect(eventsIn(await claim(database))).toEqual([ids[1]])
})

it('a claim waits for nobody: what another transaction has its hand on is passed over', async () => {
  const endpoint = await register()
  await emitMany(endpoint, 1)
  const other = await register()
  await emitMany(other, 1)

  const claimed = await owner.begin(async (sql) => {
    await sql`update private.webhook_queue set attempt_count = 0 where endpoint_id = ${endpoint.id}`
    return await claim(database)
  })

  expect(of(claimed, endpoint)).toEqual([])
  expect(of(claimed, other)).toHaveLength(1)
  expect(of(await claim(database), endpoint)).toHaveLength(1)
})

it('without order, one that failed holds up nothing', async () => {
  const endpoint = await register({ max_concurrency: 1 })
  await emitMany(endpoint, 1, 'booking/1')
  const [two] = await emitMany(endpoint, 1, 'booking/1')
  const first = await claim(database)
  await finish(
    database,
    first.lease,
    first.deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...failed })),
  )

  expect(eventsIn(await claim(database))).toEqual([two])
})

it('what is held for a paused endpoint comes when it is activated', async () => {
  const endpoint = await register()
  await setStatus(endpoint, 'paused')
  const ids = await emitMany(endpoint, 3)

  const paused = await claim(database)
  await setStatus(endpoint, 'active')
  const active = await claim(database)

  expect(paused.deliveries).toEqual([])
  expect(eventsIn(active).toSorted()).toEqual(ids.toSorted())
})

describe('the lease of a worker that died', () => {
  it('ends by itself: another takes the delivery, and the attempt is unknown', async () => {
    const endpoint = await register()
    const [id] = await emitMany(endpoint, 1)
    await claim(database)

    const tooEarly = await claim(database)
    await expireLeases(endpoint)
    const taken = await claim(database)

    expect(tooEarly.deliveries).toEqual([])
    expect(eventsIn(taken)).toEqual([id])
    expect(await attemptsOf(database, endpoint.id)).toMatchObject([
      { attempt_number: 1, outcome: 'unknown', error: { code: 'worker_died' } },
      { attempt_number: 2, outcome: null },
    ])
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ attempt_count: 1 }])
  })

  it('makes what that worker still says count for nothing', async () => {
    const endpoint = await register()
    await emitMany(endpoint, 1)
    const lost = await claim(database)
    await expireLeases(endpoint)
    const taken = await claim(database)
    const outcomes = lost.deliveries.map(({ position, attempt_id }) => ({
      position,
      attempt_id,
      ...failed,
    }))

    const counted = await finish(database, lost.lease, outcomes)
    const standing = await deliveriesOf(database, endpoint.id)
    const countedOfTaken = await finish(
      database,
      taken.lease,
      taken.deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
    )

    expect(counted).toBe(0)
    expect(standing).toMatchObject([{ status: 'queued', attempt_count: 1 }])
    expect(countedOfTaken).toBe(1)
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ status: 'succeeded' }])
  })

  it('makes what is said of it count for nothing, also when the same worker took it again', async () => {
    const endpoint = await register()
    await emitMany(endpoint, 1)
    const lost = await claim(database)
    await expireLeases(endpoint)
    const taken = await claim(database, { lease: lost.lease })
    const say = ({ deliveries }: ClaimedBatch) =>
      finish(
        database,
        lost.lease,
        deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...succeeded })),
      )

    expect(taken.deliveries).toHaveLength(1)
    expect(await say(lost)).toBe(0)
    expect(await deliveriesOf(database, endpoint.id)).toMatchObject([{ status: 'queued' }])
    expect(await say(taken)).toBe(1)
  })

  it('may not be shorter than the longest call', async () => {
    const endpoint = await register()
    await emitMany(endpoint, 1)

    await expect(claim(database, { leaseSeconds: 44 })).rejects.toMatchObject({
      constraint_name: 'webhook_queue_lease_outlives_a_call',
    })
    await expect(claim(database, { leaseSeconds: 46 })).resolves.toMatchObject({ deliveries: [{}] })
  })
})

describe('an endpoint that has all the calls it may have at once', () => {
  const nextAt = () => call<string | null>('service_role', 'next_webhook_delivery_at')
  /** Whether more workers would be rung for now. */
  const rings = (p_as_successor: boolean) =>
    owner.begin(async (sql) => {
      await sql`update private.worker_wakes set awake_until = now() + interval '1 minute' where worker = 'webhook-deliver'`
      await sql`select public.ring_delivery_worker(4, ${p_as_successor})`
      const [doorbell] = await sql`
        select awake_until is null as is_asleep from private.worker_wakes where worker = 'webhook-deliver'`
      return doorbell?.is_asleep as boolean
    })

  it('keeps no idle worker up and has no other rung for, but leaves to a successor what it has waiting', async () => {
    const endpoint = await register({ max_concurrency: 2 })
    await emitMany(endpoint, 5)
    const whileFree = [await nextAt(), await rings(false)]
    await claim(database)

    expect(whileFree).toEqual([expect.any(String), true])
    expect([await nextAt(), await rings(false), await rings(true)]).toEqual([null, false, true])
  })

  it('is no reason to do without a successor because workers before it wait for calls that hang', async () => {
    const endpoint = await register({ max_concurrency: 100 })
    await emitMany(endpoint, 9)
    for (let worker = 0; worker < 4; worker++) await claim(database, { limit: 2 })
    const claimedSecondsAgo = (seconds: number) =>
      owner`
        update private.webhook_queue
        set leased_at = clock_timestamp() - ${seconds} * interval '1 second',
          run_at = clock_timestamp() + interval '1 minute'
        where endpoint_id = ${endpoint.id} and lease_token is not null`

    await claimedSecondsAgo(-1)
    expect(await rings(true)).toBe(false)
    await claimedSecondsAgo(2)
    expect([await rings(true), await rings(false)]).toEqual([true, false])
  })

  it('is left out only as long as the leases last', async () => {
    const endpoint = await register({ max_concurrency: 2 })
    await emitMany(endpoint, 2)
    await claim(database)
    await expireLeases(endpoint)

    expect(Date.parse((await nextAt())!)).toBeLessThan(Date.now())
  })
})

it('eight workers at once take each delivery once, and an endpoint’s concurrency holds over all of them', async () => {
  const wide = await register({ max_concurrency: 100 })
  const narrow = await register({ max_concurrency: 4 })
  await emitMany(wide, 60)
  await emitMany(narrow, 60)

  const claims: ClaimedBatch[] = []
  for (let round = 0; round < 4; round++) {
    const lease = () => claim(database, { limit: 20, lease: randomUUID() })
    claims.push(...await Promise.all(Array.from({ length: 8 }, lease)))
  }

  const positions = claims.flatMap(({ deliveries }) => deliveries.map(({ position }) => position))
  expect(new Set(positions).size).toBe(positions.length)
  expect(claims.flatMap((claimed) => of(claimed, wide))).toHaveLength(60)
  expect(claims.flatMap((claimed) => of(claimed, narrow))).toHaveLength(4)
})
