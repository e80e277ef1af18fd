// Is an event written exactly when something happens, and does it say what the catalog promises?
import { randomUUID } from 'node:crypto'
import type { TransactionSql } from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventTypeRows } from '../../scripts/generate-event-types.ts'
import { RECORDS } from '../../supabase/functions/_shared/contracts/record-examples.ts'
import {
  type Actor,
  callFunction,
  permissionDenied,
  refusal,
  undone,
  useDatabase,
} from '../support/database.ts'
import { eventsOf, expectEventsToFit } from '../support/event-catalog.ts'
import { openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { connectIntegration, createIntegration, sampleSuite } from '../support/integrations.ts'
import { addMember, createPerson, createTeam, type Team } from '../support/people.ts'
import { applyRecords, SAMPLE_COLUMNS, streamRecord } from '../support/stream-records.ts'
import { finishRun, openRun, startSync } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner, call, actAs } = database

describe('the catalog', () => {
  it('in the database is the one in the code', async () => {
    const rows = await admin`
      select name, description, data_schema, example from public.event_types order by name`

    expect([...rows]).toEqual(eventTypeRows().toSorted((a, b) => a.name < b.name ? -1 : 1))
  })

  it('can be filled again: what left it is gone', async () => {
    const row = eventTypeRows()[0]!

    const names = await undone(owner, async (sql) => {
      await sql`select private.register_event_types(${
        sql.json([{ ...row, description: 'New.' }] as never)
      })`
      return await sql`select name, description from public.event_types`
    })

    expect([...names]).toEqual([{ name: row.name, description: 'New.' }])
  })

  it('has three types for the records of each stream', async () => {
    const streams = await admin`select record_name, stream from private.stream_tables order by 1`

    expect(streams.map(({ record_name, stream }) => [record_name, stream])).toEqual(
      Object.entries(RECORDS).map(([name, { stream }]) => [name, stream]).toSorted(),
    )
  })
})

describe("an app's own event", () => {
  let team: Team
  beforeAll(async () => {
    team = await createTeam(database)
  })
  const emit = (actor: Actor, changes: Record<string, unknown> = {}) =>
    call<string>(actor, 'emit_event', {
      p_organization_id: team.organizationId,
      p_type: 'booking.created',
      p_data: { id: 17 },
      ...changes,
    })

  it.each(['owner', 'manager', 'member'] as const)('may be written by a %s', async (role) => {
    const id = await emit(team[role], { p_subject: 'booking/17' })

    expect(await admin`select * from public.events where id = ${id}`).toMatchObject([{
      organization_id: team.organizationId,
      type: 'booking.created',
      subject: 'booking/17',
      data: { id: 17 },
      origin: 'app',
    }])
  })

  it('may be written by the service, for an organization that is there', async () => {
    expect(await emit('service_role')).toEqual(expect.any(String))
    await expect(emit('service_role', { p_organization_id: randomUUID() })).rejects.toMatchObject(
      refusal('organization_not_found'),
    )
  })

  it('is refused to viewers and strangers as if the organization were unknown, and to anonymous callers', async () => {
    const stranger = await createPerson(database)
    const unknown = { p_organization_id: randomUUID() }

    const attempts = [
      () => emit(team.viewer),
      () => emit(stranger),
      () => emit(stranger, unknown),
      () => emit(team.owner, unknown),
    ]
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject(refusal('organization_not_found'))
    }
    await expect(emit('anon')).rejects.toMatchObject(permissionDenied)
    await expect(emit('authenticated')).rejects.toMatchObject(refusal('organization_not_found'))
  })

  it('may not pass for one of ours, whatever follows the first word', async () => {
    const firstWords = [...new Set(eventTypeRows().map(({ name }) => name.split('.')[0]))]

    for (const word of firstWords) {
      await expect(emit(team.member, { p_type: `${word}.made_up` })).rejects.toMatchObject(
        refusal('event_type_reserved'),
      )
    }
    expect(firstWords).toEqual(expect.arrayContaining(['sync', 'integration', 'order', 'webhook']))
    await expect(emit(team.member, { p_type: 'orders.created' })).resolves.toEqual(
      expect.any(String),
    )
  })

  it.each([
    'booking',
    '',
    '.',
    'booking.',
    '.created',
    'Booking.created',
    'booking..created',
    'booking created.x',
    '1.created',
    'booking.*',
    'booking-2.created',
    'booking.créé',
    `booking.${'a'.repeat(93)}`,
    'booking.created\n',
    null,
  ])('may not be of type %j', async (p_type) => {
    await expect(emit(team.member, { p_type })).rejects.toMatchObject(refusal('invalid_event_type'))
  })

  it.each(['booking.created', 'b.1', 'booking.slot.freed_again', `booking.${'a'.repeat(92)}`])(
    'may be of type %s',
    async (p_type) => {
      await expect(emit(team.member, { p_type })).resolves.toEqual(expect.any(String))
    },
  )

  it('has at most 256 KB of data', async () => {
    const ofBytes = (bytes: number) => ({ p_data: { a: 'x'.repeat(bytes - '{"a": ""}'.length) } })

    const largest = await emit(team.member, ofBytes(262_144))

    expect(largest).toEqual(expect.any(String))
    await expect(emit(team.member, ofBytes(262_145))).rejects.toMatchObject(
      refusal('event_too_large'),
    )
    // bytes, not characters
    await expect(emit(team.member, { p_data: { a: 'é'.repeat(131_072) } })).rejects.toMatchObject(
      refusal('event_too_large'),
    )
  })

  it.each([[[]], ['text'], [7], [null]])('has an object as data, not %j', async (value) => {
    const asJson = (sql: TransactionSql) =>
      sql`select public.emit_event(${team.organizationId}, 'booking.created', ${
        JSON.stringify(value)
      }::text::jsonb)`

    await expect(actAs(team.member, asJson)).rejects.toMatchObject(refusal('invalid_request'))
  })

  it('has a subject of 1 to 200 characters, or none', async () => {
    await expect(emit(team.member, { p_subject: 'é'.repeat(200) })).resolves.toBeDefined()
    await expect(emit(team.member, { p_subject: null })).resolves.toBeDefined()
    for (const p_subject of ['', 'é'.repeat(201)]) {
      await expect(emit(team.member, { p_subject })).rejects.toMatchObject(
        refusal('invalid_request'),
      )
    }
  })

  it('is not there when its transaction is rolled back', async () => {
    let id = ''

    await actAs(team.member, async (sql) => {
      id = await callFunction<string>(sql, 'emit_event', {
        p_organization_id: team.organizationId,
        p_type: 'booking.created',
        p_data: {},
      })
    }, 'roll back')

    expect(id).not.toBe('')
    expect(await admin`select 1 from public.events where id = ${id}`).toHaveLength(0)
  })
})

it('one of ours has at most 256 KB of data too', async () => {
  const { organizationId } = await createTeam(database)
  const emit = (bytes: number) =>
    undone(owner, (sql) =>
      sql`
        select private.emit_event(${organizationId}, 'sync.completed',
          jsonb_build_object('a', repeat('x', ${bytes - '{"a": ""}'.length}::int))) as id`)

  expect(await emit(262_144)).toEqual([{ id: expect.any(String) }])
  await expect(emit(262_145)).rejects.toMatchObject({
    constraint_name: 'events_data_is_at_most_256_kb',
  })
})

it('joining, leaving and another role are events; the same role again is none', async () => {
  const team = await createTeam(database)
  const guest = await createPerson(database)
  const role = (sql: TransactionSql, role: string) =>
    sql`update public.organization_members set role = ${role} where user_id = ${guest.id}`

  await addMember(database, team.organizationId, guest, 'viewer')
  await actAs(team.owner, (sql) => role(sql, 'member'))
  await actAs(team.owner, (sql) => role(sql, 'member'))
  await actAs(
    guest,
    (sql) => sql`delete from public.organization_members where user_id = ${guest.id}`,
  )

  const events = await admin`
    select type, data from public.events where subject = ${`user/${guest.id}`} order by created_at`
  expect([...events]).toEqual([
    { type: 'user.added', data: { user_id: guest.id, role: 'viewer' } },
    {
      type: 'user.role_changed',
      data: { user_id: guest.id, role: 'member', previous_role: 'viewer' },
    },
    { type: 'user.removed', data: { user_id: guest.id, role: 'member' } },
  ])
})

it('the life of an account is told, and renaming it is not', async () => {
  const account = randomUUID()
  const { id, organization_id } = await createIntegration(database, { account })
  const update = (changes: Record<string, unknown>) =>
    call('service_role', 'update_integration', { p_integration_id: id, ...changes })
  const check = (error: Record<string, unknown> | null) =>
    call('service_role', 'record_integration_check', { p_integration_id: id, p_error: error })
  const broken = { code: 'provider_unauthorized', message: 'no', next: 'owner' }

  await update({ p_name: 'Elsewhere' })
  await update({ p_paused: true })
  await update({ p_paused: false })
  await check(broken)
  await check(null)
  await call('service_role', 'disconnect_integration', { p_integration_id: id })
  await connectIntegration(database, organization_id, { account })
  await connectIntegration(database, organization_id, { account })

  const events = await eventsOf(database, organization_id)
  expect(events.map(({ type }) => type)).toEqual([
    'integration.connected',
    'integration.paused',
    'integration.resumed',
    'integration.error',
    'integration.recovered',
    'integration.disconnected',
    'integration.connected',
    'integration.reconnected',
  ])
  expect(new Set(events.map(({ subject }) => subject))).toEqual(new Set([`integration/${id}`]))
  expect(events.map(({ data }) => data['error'])[3]).toEqual(broken)
})

it('a sync that was completed, held, failed or ended with its account is told, each once', async () => {
  const { id, organization_id } = await createIntegration(database)
  const held = { code: 'mass_delete_held', message: 'Sync anyway?', next: 'owner' }
  const failure = { code: 'provider_unavailable', message: 'away', next: 'retry' }

  const runs = []
  for (
    const [status, error] of [['success', null], ['partial', held], ['failed', failure]] as const
  ) {
    const run = await openRun(database, id)
    runs.push(run.sync_log_id)
    await finishRun(database, run, status, error)
  }
  const { id: ended } = await startSync(database, id)
  await call('service_role', 'disconnect_integration', { p_integration_id: id })

  const told = (await eventsOf(database, organization_id)).filter(({ type }) =>
    type.startsWith('sync.')
  )
  expect(told.map(({ type, data }) => [type, data['sync_log_id'], data['status']])).toEqual([
    ['sync.completed', runs[0], 'success'],
    ['sync.held', runs[1], 'partial'],
    ['sync.failed', runs[2], 'failed'],
    ['sync.failed', ended, 'failed'],
  ])
})

it('an organization that is deleted takes its events along, and its end is no event', async () => {
  const team = await createTeam(database)
  const { id } = await connectIntegration(database, team.organizationId)
  const count = async () =>
    (await admin`select 1 from public.events where organization_id = ${team.organizationId}`).length
  const before = await count()

  await database.call('service_role', 'disconnect_integration', { p_integration_id: id })
  await actAs(
    team.owner,
    (sql) => sql`delete from public.organizations where id = ${team.organizationId}`,
  )

  expect(before).toBeGreaterThan(4)
  expect(await count()).toBe(0)
})

describe('records', () => {
  type Asked = 'none' | 'ids' | 'records'
  async function connect(record_events: Asked, stream = 'products') {
    const integration = await createIntegration(database, { connector: sampleSuite })
    await owner`
      update public.sync_streams set record_events = ${record_events}
      where integration_id = ${integration.id} and stream = ${stream}`
    return integration
  }
  const recordEvents = async (organizationId: string) =>
    (await eventsOf(database, organizationId)).filter(({ type }) =>
      !type.startsWith('integration.')
    )
  const deletion = (day: number) => ({
    source_id: '1',
    source_deleted_at: `2026-01-0${day}T00:00:00Z`,
  })

  it('of a stream that does not ask for it are no events', async () => {
    const { id, organization_id } = await connect('none')

    await applyRecords(database, id, 'products', [streamRecord('products', '1')])
    await applyRecords(database, id, 'products', [
      streamRecord('products', '1', { name: 'New' }, 2),
    ])
    await applyRecords(database, id, 'products', [], [deletion(3)])

    expect(await recordEvents(organization_id)).toEqual([])
  })

  it('are told by id when they come, change, go and come back', async () => {
    const { id, organization_id } = await connect('ids')
    const apply = (columns: Record<string, unknown>, day: number) =>
      applyRecords(database, id, 'products', [streamRecord('products', '1', columns, day)])

    await apply({}, 1)
    await apply({}, 1) // the same again
    await apply({ name: 'New', stock_quantity: '2' }, 3)
    await apply({ name: 'Old' }, 2) // late
    await applyRecords(database, id, 'products', [], [deletion(4)])
    await applyRecords(database, id, 'products', [], [deletion(4)]) // heard twice
    await apply({ name: 'Back' }, 5)

    const [product] = await admin`select id from public.products where integration_id = ${id}`
    const which = { stream: 'products', integration_id: id, record_id: product?.id, source_id: '1' }
    const subject = `product/${product?.id}`
    expect(await recordEvents(organization_id)).toMatchObject([
      { type: 'product.created', subject, data: which },
      {
        type: 'product.updated',
        subject,
        data: { ...which, changed_fields: ['name', 'stock_quantity'] },
      },
      { type: 'product.deleted', subject, data: which },
      { type: 'product.created', subject, data: which },
    ])
  })

  it.each(Object.entries(RECORDS))(
    'that are a %s are told with all their columns when asked for',
    async (name, { stream }) => {
      const key = stream as keyof typeof SAMPLE_COLUMNS
      const { id, organization_id } = await connect('records', stream)

      await applyRecords(database, id, key, [streamRecord(key, '1')])
      await applyRecords(database, id, key, [{
        ...streamRecord(key, '1', {}, 2),
        content_hash: 'other',
      }])
      await applyRecords(database, id, key, [], [deletion(3)])

      const events = await recordEvents(organization_id)
      expect(events.map(({ type }) => type)).toEqual(
        ['created', 'updated', 'deleted'].map((what) => `${name}.${what}`),
      )
      expect(events.map(({ data }) => data['record'])).toEqual(
        [SAMPLE_COLUMNS[key], SAMPLE_COLUMNS[key], undefined],
      )
      expect(events.map(({ data }) => data['changed_fields'])).toEqual([undefined, [], undefined])
    },
  )

  it('that would not fit into an event are told by id', async () => {
    const { id, organization_id } = await connect('records')

    await applyRecords(database, id, 'products', [
      streamRecord('products', '1', { description: 'x'.repeat(150_000) }),
      streamRecord('products', '2', { description: 'x'.repeat(250_000) }),
    ])

    const events = await recordEvents(organization_id)
    expect(Object.fromEntries(events.map(({ data }) => [data['source_id'], 'record' in data])))
      .toEqual({ 1: true, 2: false })
  })

  it('whose write is rolled back are no events', async () => {
    const { id, organization_id } = await connect('ids')
    const args = {
      p_integration_id: id,
      p_stream: 'products',
      p_records: [streamRecord('products', '1')],
    }

    await actAs('service_role', (sql) => callFunction(sql, 'apply_records', args), 'roll back')

    expect(await recordEvents(organization_id)).toEqual([])
  })

  describe('that two transactions change at once', () => {
    type Change = { records?: unknown[]; deletions?: unknown[] }
    /** Both begin before either has committed, and the second waits for the first. */
    async function atOnce(integrationId: string, first: Change, second: Change): Promise<void> {
      const apply = (sql: TransactionSql, { records = [], deletions = [] }: Change) =>
        callFunction(sql, 'apply_records', {
          p_integration_id: integrationId,
          p_stream: 'products',
          p_records: records,
          p_deletions: deletions,
        })
      const ahead = await openTransaction(database)
      await apply(ahead.sql, first)
      const behind = owner.begin((sql) => apply(sql, second))
      await someoneWaitsForALock(database)
      await ahead.commit()
      await behind
    }
    const version = (day: number) => streamRecord('products', '1', { name: `Of day ${day}` }, day)

    it('are created once', async () => {
      const { id, organization_id } = await connect('ids')

      await atOnce(id, { records: [version(1)] }, { records: [version(2)] })

      const events = await recordEvents(organization_id)
      expect(events.map(({ type }) => type)).toEqual(['product.created', 'product.updated'])
    })

    it('are deleted once', async () => {
      const { id, organization_id } = await connect('ids')
      await applyRecords(database, id, 'products', [version(1)])

      await atOnce(id, { deletions: [deletion(2)] }, { deletions: [deletion(3)] })

      const events = await recordEvents(organization_id)
      expect(events.map(({ type }) => type)).toEqual(['product.created', 'product.deleted'])
    })
  })

  it('written ten thousand at once are ten thousand events in one statement', async () => {
    const { id, organization_id } = await connect('ids')
    const records = Array.from(
      { length: 10_000 },
      (_, number) => streamRecord('products', `${number}`),
    )

    const counted = await undone(owner, async (sql) => {
      await sql.unsafe(`
        create temp table statements (events int);
        create function pg_temp.count_events() returns trigger language plpgsql as $$
        begin insert into statements select count(*) from emitted; return null; end; $$;
        create trigger count_events after insert on public.events referencing new table as emitted
          for each statement execute function pg_temp.count_events()`)
      const applied = await callFunction(sql, 'apply_records', {
        p_integration_id: id,
        p_stream: 'products',
        p_records: records,
      })
      const statements = await sql`select events from statements`
      const [told] = await sql`
        select count(distinct subject)::int as count from public.events
        where organization_id = ${organization_id} and type = 'product.created'`
      return { applied, statements: [...statements], told: told?.count }
    })

    expect(counted).toMatchObject({
      applied: { created: 10_000 },
      statements: [{ events: 10_000 }],
      told: 10_000,
    })
  })
})

afterAll(async () => {
  // whatever this file has caused fits the catalog
  const met = await expectEventsToFit(database)
  expect([...met]).toEqual(expect.arrayContaining([
    'integration.error',
    'sync.held',
    'user.role_changed',
    'metric.updated',
    'record.deleted',
  ]))
})
