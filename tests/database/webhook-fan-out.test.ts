// Which endpoints get a delivery of an event, and when is there none?
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { callFunction, undone, useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { createIntegration, sampleStore } from '../support/integrations.ts'
import { createPerson, createTeam } from '../support/people.ts'
import { product } from '../support/sync-runs.ts'
import { createEndpoint, deliveriesOf, emitEvent } from '../support/webhook-endpoints.ts'

const database = useDatabase()
const { owner, call, actAs } = database
const URL = 'https://hooks.example/in'

async function receives(
  options: Record<string, unknown>,
  type: string,
  data = {},
  subject: string | null = null,
) {
  const { id, organizationId } = await createEndpoint(database, URL, options)
  await emitEvent(database, organizationId, data, { type, subject })
  return (await deliveriesOf(database, id)).length === 1
}

describe('an event type', () => {
  it.each<[string[], string, boolean]>([
    [['*'], 'booking.created', true],
    [['booking.created'], 'booking.created', true],
    [['booking.created'], 'booking.created.twice', false],
    [['booking.created'], 'booking.create', false],
    [['booking.*'], 'booking.created', true],
    [['booking.*'], 'booking.slot.freed', true],
    [['booking.slot.*'], 'booking.slot.freed', true],
    [['booking.slot.*'], 'booking.created', false],
    [['booking.*'], 'bookings.created', false],
    [['slot.*', 'booking.*'], 'booking.created', true],
    [['slot.*', 'visit.*'], 'booking.created', false],
    // an underscore is no wildcard
    [['table_1.*'], 'table_1.freed', true],
    [['table_1.*'], 'tablex1.freed', false],
    [['a_b.c_d'], 'a_b.c_d', true],
    [['a_b.c_d'], 'a_b.cxd', false],
  ])('%j takes %s: %s', async (event_types, type, expected) => {
    expect(await receives({ event_types }, type)).toBe(expected)
  })
})

describe('a filter', () => {
  const filter = {
    and: [
      { field: 'type', operator: 'starts_with', value: 'booking.' },
      { field: 'data.guests', operator: 'gte', value: 4 },
      { not: { field: 'subject', operator: 'eq', value: 'booking/1' } },
    ],
  }

  it.each<[string, Record<string, unknown>, string | null, boolean]>([
    ['booking.created', { guests: 4 }, 'booking/2', true],
    ['booking.created', { guests: 4 }, null, true],
    ['booking.created', { guests: 4 }, 'booking/1', false],
    ['booking.created', { guests: 3 }, 'booking/2', false],
    ['booking.created', {}, 'booking/2', false],
    ['visit.created', { guests: 4 }, 'booking/2', false],
  ])('lets %s with %j about %s through: %s', async (type, data, subject, expected) => {
    expect(await receives({ filter }, type, data, subject)).toBe(expected)
  })
})

it('every endpoint that wants an event gets a delivery of it, and no other organization’s', async () => {
  const first = await createEndpoint(database, URL)
  const { organizationId } = first
  const second = await createEndpoint(database, URL, { organizationId, event_types: ['booking.*'] })
  const theirs = await createEndpoint(database, URL)

  const id = await emitEvent(database, organizationId)

  const deliveries = await Promise.all(
    [first, second, theirs].map((one) => deliveriesOf(database, one.id)),
  )
  expect(deliveries).toMatchObject([
    [{ event_id: id, status: 'queued', attempt_count: 0 }],
    [{ event_id: id, status: 'queued', attempt_count: 0 }],
    [],
  ])
})

it('an endpoint gets what is committed after it was made', async () => {
  const { organizationId } = await createTeam(database)
  await emitEvent(database, organizationId)

  const { id } = await createEndpoint(database, URL, { organizationId })
  const event = await emitEvent(database, organizationId)

  expect((await deliveriesOf(database, id)).map(({ event_id }) => event_id)).toEqual([event])
})

it.each(['paused', 'disabled'])(
  'what comes while an endpoint is %s is held for it',
  async (status) => {
    const { id, organizationId } = await createEndpoint(database, URL)
    await owner`
    update public.app_webhooks set status = ${status},
      disabled_at = case when ${status} = 'disabled' then now() end,
      disabled_reason = case when ${status} = 'disabled' then '{"code": "a", "message": "b"}'::jsonb end
    where id = ${id}`

    await emitEvent(database, organizationId)

    expect(await deliveriesOf(database, id)).toMatchObject([{ status: 'queued' }])
  },
)

it('a change that is rolled back leaves neither event nor delivery nor work', async () => {
  const { id, organizationId } = await createEndpoint(database, URL)
  const args = { p_organization_id: organizationId, p_type: 'booking.created', p_data: {} }
  const written = () =>
    owner`
      select 1 from public.events where organization_id = ${organizationId}
      union all select 1 from public.webhook_deliveries where endpoint_id = ${id}
      union all select 1 from private.webhook_queue where endpoint_id = ${id}`

  await actAs('service_role', (sql) => callFunction(sql, 'emit_event', args), 'roll back')
  const rolledBack = await written()
  await actAs('service_role', (sql) => callFunction(sql, 'emit_event', args))

  expect(rolledBack).toHaveLength(0)
  expect(await written()).toHaveLength(3)
})

it('what is emitted in one transaction is queued in the order of its emission', async () => {
  const { id, organizationId } = await createEndpoint(database, URL, { ordered_by_subject: true })
  await owner`
    insert into public.events (organization_id, type, data, subject, origin)
    select ${organizationId}, 'booking.updated', jsonb_build_object('number', number), 'booking/1', 'app'
    from generate_series(1, 50) as number`

  const queued = await owner`
    select event.data ->> 'number' as number from private.webhook_queue as queued
    join public.events as event on event.id = queued.event_id and event.created_at = queued.event_created_at
    where queued.endpoint_id = ${id} order by queued.position`

  expect(queued.map(({ number }) => Number(number))).toEqual(
    Array.from({ length: 50 }, (_, index) => index + 1),
  )
})

it.each([['active', 1], ['paused', 0]])(
  'emitting to an endpoint that is %s rings for a worker %i times',
  async (status, times) => {
    const { id, organizationId } = await createEndpoint(database, URL)
    await call('service_role', 'update_webhook_endpoint', {
      p_endpoint_id: id,
      p_changes: { status },
    })

    const rings = await undone(owner, async (sql) => {
      await sql`update private.worker_wakes set rung_at = null, awake_until = null where worker = 'webhook-deliver'`
      const before = await sql`select 1 from net.http_request_queue`
      await sql`select private.emit_event(${organizationId}, 'booking.created', '{}', null, 'app')`
      await sql`set constraints all immediate` // as the commit does
      return (await sql`select 1 from net.http_request_queue`).length - before.length
    })

    expect(rings).toBe(times)
  },
)

it('whoever changes something needs no right to deliveries: a member’s own act is sent', async () => {
  const team = await createTeam(database)
  const { id } = await createEndpoint(database, URL, {
    organizationId: team.organizationId,
    event_types: ['user.removed', 'booking.*'],
  })

  await actAs(
    team.viewer,
    (sql) => sql`delete from public.organization_members where user_id = ${team.viewer.id}`,
  )
  await call(team.member, 'emit_event', {
    p_organization_id: team.organizationId,
    p_type: 'booking.created',
    p_data: {},
  })

  expect(await deliveriesOf(database, id)).toHaveLength(2)
})

it(
  'ten thousand records written at once are thirty thousand deliveries in two statements',
  async () => {
    const { id, organization_id: organizationId } = await createIntegration(database, {
      connector: sampleStore,
    })
    await owner`update public.sync_streams set record_events = 'ids' where integration_id = ${id}`
    for (const event_types of [['*'], ['product.*'], ['product.created', 'order.created']]) {
      await createEndpoint(database, URL, { organizationId, event_types })
    }
    const p_records = Array.from({ length: 10_000 }, (_, number) => product(`${number}`))

    const counted = await undone(owner, async (sql) => {
      await sql.unsafe(`
      create temp table statements (written int);
      create function pg_temp.count_written() returns trigger language plpgsql as $$
      begin insert into statements select count(*) from written; return null; end; $$;
      create trigger count_written after insert on public.webhook_deliveries referencing new table as written
        for each statement execute function pg_temp.count_written();
      create trigger count_written after insert on private.webhook_queue referencing new table as written
        for each statement execute function pg_temp.count_written()`)
      await callFunction(sql, 'apply_records', {
        p_integration_id: id,
        p_stream: 'products',
        p_records,
      })
      return [...await sql`select written from statements`]
    })

    expect(counted).toEqual([{ written: 30_000 }, { written: 30_000 }])
  },
  60_000,
)

describe('a test event', () => {
  const ping = (endpointId: string) =>
    call<Record<string, unknown>>('service_role', 'ping_webhook_endpoint', {
      p_endpoint_id: endpointId,
    })

  it('goes to the endpoint it is asked for, whatever that wants, and to no other', async () => {
    const pinged = await createEndpoint(database, URL, { event_types: ['order.created'] })
    const other = await createEndpoint(database, URL, { organizationId: pinged.organizationId })

    const delivery = await ping(pinged.id)

    expect(delivery).toMatchObject({
      endpoint_id: pinged.id,
      event_type: 'webhook.test',
      status: 'queued',
    })
    expect(await deliveriesOf(database, pinged.id)).toMatchObject([{
      event_id: delivery['event_id'],
    }])
    expect(await deliveriesOf(database, other.id)).toEqual([])
    expect(await owner`select 1 from private.webhook_queue where endpoint_id = ${pinged.id}`)
      .toHaveLength(1)
  })

  it('is refused while the endpoint is paused', async () => {
    const { id } = await createEndpoint(database, URL)
    const pause = (status: string) =>
      call('service_role', 'update_webhook_endpoint', { p_endpoint_id: id, p_changes: { status } })

    await pause('paused')
    await expect(ping(id)).rejects.toMatchObject({ message: 'webhook_endpoint_not_active' })
    await pause('active')
    await expect(ping(id)).resolves.toMatchObject({ status: 'queued' })
  })
})

it('nobody but the service may have deliveries sent, or sees the queue', async () => {
  const stranger = await createPerson(database)
  const { id } = await createEndpoint(database, URL)

  for (const actor of [stranger, 'anon'] as const) {
    await expect(call(actor, 'ping_webhook_endpoint', { p_endpoint_id: id })).rejects.toMatchObject(
      { code: '42501' },
    )
    await expect(call(actor, 'claim_webhook_deliveries', { p_lease_token: randomUUID() })).rejects
      .toMatchObject({ code: '42501' })
    await expect(actAs(actor, (sql) => sql`select 1 from private.webhook_queue`)).rejects
      .toMatchObject({ code: '42501' })
  }
  await expect(call('service_role', 'ping_webhook_endpoint', { p_endpoint_id: id })).resolves
    .toBeDefined()
  await expectEventsToFit(database)
})
