// Are business apps registered for whom they belong to, are their secrets in Vault alone, and is what they send taken in once?
import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret } from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { registerAppInstance, type TestAppInstance } from '../support/app-instances.ts'
import { refusal, useDatabase } from '../support/database.ts'
import { eventsOf, misfit } from '../support/event-catalog.ts'
import { createPerson, createTeam, type Team } from '../support/people.ts'
import { createEndpoint } from '../support/webhook-endpoints.ts'
import {
  claimWebhooks,
  emptyWebhookQueue,
  finishWebhooks,
  receiveAppEvent,
} from '../support/webhook-events.ts'

const database = useDatabase()
const { admin, owner, call, actAs } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

const register = (given: Record<string, unknown> & { secret?: string } = {}) =>
  registerAppInstance(database, team.organizationId, given)
const update = (
  id: string,
  changes: Record<string, unknown>,
  given: Record<string, unknown> = {},
) =>
  call<TestAppInstance>('service_role', 'update_app_instance', {
    p_app_instance_id: id,
    p_changes: changes,
    ...given,
  })
const rotate = (id: string, secret: string, given: Record<string, unknown> = {}) =>
  call<TestAppInstance>('service_role', 'rotate_app_instance_secret', {
    p_app_instance_id: id,
    p_secret: secret,
    ...given,
  })
const remove = (id: string, given: Record<string, unknown> = {}) =>
  call('service_role', 'delete_app_instance', { p_app_instance_id: id, ...given })

type Open = { version: number; secrets: { secret: string; expires_at: string | null }[] }
const open = (id: string) =>
  call<Open | null>('service_role', 'open_app_instance', { p_app_instance_id: id })
const secretsOf = async (id: string) => (await open(id))!.secrets.map(({ secret }) => secret)
const inVault = async (secret: string) =>
  (await admin`select 1 from vault.decrypted_secrets where decrypted_secret = ${secret}`).length

const receive = (instance: TestAppInstance, given: Record<string, unknown> = {}) =>
  receiveAppEvent(database, instance, given)
const receivedFrom = (id: string) =>
  owner`select * from public.webhook_events where app_instance_id = ${id} order by received_at`

describe('registering', () => {
  it('keeps the secret in Vault, and no table of ours holds it', async () => {
    const { secret, ...instance } = await register({ p_actor_id: team.manager.id })

    const columns = await admin`
      select table_schema as schema, table_name as name, column_name as column from information_schema.columns
      where table_schema in ('public', 'private') and data_type in ('text', 'jsonb') and table_name ~ 'app_instance|activity'`
    const counts = await Promise.all(columns.map(async ({ schema, name, column }) => {
      const [row] = await admin.unsafe(
        `select count(*)::int as count from ${schema}.${name} where strpos("${column}"::text, $1) > 0`,
        [secret],
      )
      return row?.count
    }))

    expect(instance).toMatchObject({
      organization_id: team.organizationId,
      app: 'booking',
      name: 'Bookings',
      status: 'enabled',
      created_by: team.manager.id,
    })
    expect(counts.length).toBeGreaterThan(5)
    expect(counts.filter((count) => count > 0)).toEqual([])
    expect(await inVault(secret)).toBe(1)
    expect(await secretsOf(instance.id)).toEqual([secret])
  })

  it('asked twice with one id, as after an answer that was lost, makes one instance', async () => {
    const given = { p_app_instance_id: randomUUID(), secret: generateSecret() }

    const first = await register(given)
    const second = await register(given)

    expect(first.id).toBe(given.p_app_instance_id)
    expect(second).toEqual(first)
    expect(await inVault(given.secret)).toBe(1)
  })

  it('is refused for an organization that is not there', async () => {
    await expect(registerAppInstance(database, randomUUID())).rejects.toMatchObject(
      refusal('organization_not_found'),
    )
  })

  it('stops at fifty, also when two come at once', async () => {
    const { organizationId } = await createTeam(database)
    await owner`
      insert into public.app_instances (organization_id, app, name)
      select ${organizationId}, 'booking', 'Bookings' from generate_series(1, 49)`

    const outcomes = await Promise.allSettled([
      registerAppInstance(database, organizationId),
      registerAppInstance(database, organizationId),
    ])

    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: refusal('too_many_app_instances'),
    })
  })

  it.each([
    ['app_is_kebab_case', { p_app: 'Booking' }],
    ['app_is_kebab_case', { p_app: 'a'.repeat(51) }],
    ['name_is_1_to_100_characters', { p_name: '' }],
    ['name_is_1_to_100_characters', { p_name: 'a'.repeat(101) }],
  ])('breaks the rule %s with %j', async (rule, given) => {
    await expect(register(given)).rejects.toMatchObject({
      constraint_name: `app_instances_${rule}`,
    })
  })
})

describe('an instance', () => {
  it('is seen by everyone in its organization, and by no stranger', async () => {
    const { id } = await register()
    const stranger = await createPerson(database)

    const seen = await Promise.all(
      [team.owner, team.manager, team.member, team.viewer, stranger].map((person) =>
        actAs(person, (sql) => sql`select id from public.app_instances where id = ${id}`)
      ),
    )

    expect(seen.map((rows) => rows.length)).toEqual([1, 1, 1, 1, 0])
  })

  it('that is not there is neither changed, nor rotated, nor deleted, nor opened', async () => {
    const id = randomUUID()

    const changes = [() => update(id, { name: 'x' }), () => rotate(id, 'x'), () => remove(id)]
    for (const change of changes) {
      await expect(change()).rejects.toMatchObject(refusal('app_instance_not_found'))
    }
    expect(await open(id)).toBeNull()
  })

  it('that is disabled is not opened until it is enabled again, as another version', async () => {
    const { id, version } = await register()

    await update(id, { enabled: false })
    const disabled = await open(id)
    await update(id, { enabled: true })

    expect(disabled).toBeNull()
    expect((await open(id))?.version).toBeGreaterThan(version)
  })

  it('leaves its traces: events that fit the catalog, and who did it', async () => {
    const { organizationId, manager } = await createTeam(database)
    const by = { p_actor_id: manager.id }
    const { id } = await registerAppInstance(database, organizationId, by)
    await update(id, { name: 'Renamed' }, by)
    await update(id, { enabled: false }, by)
    await update(id, { enabled: false }, by) // as it is
    await update(id, { enabled: true }, by)
    await rotate(id, generateSecret(), by)
    await remove(id, by)

    const events = await eventsOf(database, organizationId)
    const activity = await owner`
      select action, actor_id from public.activity_logs
      where organization_id = ${organizationId} and subject_type = 'app_instance' order by created_at, id`

    const instance = {
      subject: `app_instance/${id}`,
      data: { app_instance_id: id, app: 'booking' },
    }
    expect(events).toMatchObject([
      { type: 'app.enabled', ...instance },
      { type: 'app.disabled', ...instance },
      { type: 'app.enabled', ...instance },
      { type: 'app.disabled', ...instance },
    ])
    expect(events.map(({ type, data }) => misfit(type, data))).toEqual([null, null, null, null])
    expect(activity.map(({ action }) => action).toSorted()).toEqual([
      'app_instance.created',
      'app_instance.deleted',
      'app_instance.disabled',
      'app_instance.enabled',
      'app_instance.renamed',
      'app_instance.secret_rotated',
    ])
    expect(new Set(activity.map(({ actor_id }) => actor_id))).toEqual(new Set([manager.id]))
  })
})

describe('a secret', () => {
  it('that is replaced counts until its overlap ends, and then leaves Vault', async () => {
    const { id, secret } = await register()
    const next = generateSecret()

    await rotate(id, next, { p_overlap_hours: 1 })
    const during = await secretsOf(id)
    await owner`
      update private.app_instance_secrets set expires_at = now() - interval '1 second'
      where app_instance_id = ${id} and expires_at is not null`
    const after = await secretsOf(id)
    await owner`select private.delete_old_rows()`

    expect(during).toEqual([next, secret])
    expect(after).toEqual([next])
    expect([await inVault(secret), await inVault(next)]).toEqual([0, 1])
  })

  it('that is replaced without overlap leaves Vault at once', async () => {
    const { id, secret } = await register()
    const next = generateSecret()

    await rotate(id, next, { p_overlap_hours: 0 })

    expect(await secretsOf(id)).toEqual([next])
    expect(await inVault(secret)).toBe(0)
  })

  it('given twice is rotated once', async () => {
    const { id } = await register()
    const next = generateSecret()

    const first = await rotate(id, next)
    const second = await rotate(id, next)

    expect(second).toEqual(first)
    expect(await secretsOf(id)).toHaveLength(2)
  })

  it.each([-1, 169, null])('is not rotated with an overlap of %s hours', async (hours) => {
    const { id, secret } = await register()

    await expect(rotate(id, generateSecret(), { p_overlap_hours: hours })).rejects.toMatchObject(
      refusal('invalid_request'),
    )
    expect(await secretsOf(id)).toEqual([secret])
  })

  it('leaves Vault with its instance, and with its organization', async () => {
    const other = await createTeam(database)
    const deleted = await register()
    const cascaded = await registerAppInstance(database, other.organizationId)
    const kept = await register()

    await remove(deleted.id)
    await actAs(
      other.owner,
      (sql) => sql`delete from public.organizations where id = ${other.organizationId}`,
    )

    expect(await Promise.all([deleted, cascaded, kept].map(({ secret }) => inVault(secret))))
      .toEqual([0, 0, 1])
    expect(await owner`select 1 from public.events where organization_id = ${other.organizationId}`)
      .toEqual([])
  })
})

describe('an event of an app', () => {
  beforeEach(() => emptyWebhookQueue(database))

  it('is kept as it was sent, for the organization of its instance, once', async () => {
    const instance = await register()

    const received = await Promise.all(
      Array.from({ length: 20 }, () => receive(instance, { p_dedupe_key: 'booking-1' })),
    )
    const other = await receive(await register(), { p_dedupe_key: 'booking-1' })

    expect(received.filter(({ duplicate }) => !duplicate)).toEqual([
      { accepted: true, duplicate: false },
    ])
    expect(other).toEqual({ accepted: true, duplicate: false })
    const rows = await receivedFrom(instance.id)
    expect(rows).toMatchObject([{
      organization_id: team.organizationId,
      integration_id: null,
      connector: null,
      status: 'received',
    }])
    expect(rows[0]?.body.toString()).toBe('{"a": 1}\r\n')
  })

  it('is not taken in from an instance that is unknown, disabled, or has changed since', async () => {
    const instance = await register()
    const disabled = await register()
    await update(disabled.id, { enabled: false })
    const current = await rotate(instance.id, generateSecret())

    const refused = [
      await receive({ ...instance, id: randomUUID() }),
      await receive({ ...disabled, version: disabled.version + 1 }),
      await receive(instance),
    ]
    const accepted = await receive({ ...instance, version: current.version })

    expect(refused).toEqual(Array(3).fill({ accepted: false, duplicate: false }))
    expect(accepted.accepted).toBe(true)
    expect(await receivedFrom(disabled.id)).toEqual([])
  })

  it('of more than 1 MB is refused whole', async () => {
    const instance = await register()
    const body = (bytes: number) => ({ p_body: Buffer.alloc(bytes, 'x').toString('base64') })

    await expect(receive(instance, body(1_000_001))).rejects.toMatchObject(
      refusal('body_too_large'),
    )
    expect((await receive(instance, body(1_000_000))).accepted).toBe(true)
  })

  it('reaches an endpoint that keeps the order in the order in which they came', async () => {
    const { organizationId } = await createTeam(database)
    const instance = await registerAppInstance(database, organizationId)
    const endpoint = await createEndpoint(database, 'https://hooks.example/in', {
      organizationId,
      event_types: ['booking.*'],
      ordered_by_subject: true,
    })
    const numbers = Array.from({ length: 12 }, (_, number) => number)
    for (const _ of numbers) await receive(instance)

    const lease = randomUUID()
    const { events } = await claimWebhooks(database, lease)
    const outcomes = events.map(({ id }, number) => ({
      id,
      status: 'processed',
      app_event: { type: 'booking.moved', data: { number }, subject: 'booking/17' },
    }))
    await finishWebhooks(database, lease, outcomes.toReversed())

    const waiting = await owner`
      select event.data -> 'number' as number
      from private.webhook_queue as queued
      join public.events as event on event.id = queued.event_id and event.created_at = queued.event_created_at
      where queued.endpoint_id = ${endpoint.id} and queued.lane = 'booking/17' order by queued.position`
    expect(waiting.map(({ number }) => number)).toEqual(numbers)
  })

  it('becomes an event; one that an app may not emit fails for good', async () => {
    const { organizationId } = await createTeam(database)
    const instance = await registerAppInstance(database, organizationId)
    const contents = [
      { type: 'booking.created', data: { id: 17 }, subject: 'booking/17' },
      { type: 'config.updated', data: {}, subject: null },
      { type: 'Booking', data: {}, subject: null },
      { type: 'booking.moved', data: [], subject: null },
      { type: 'booking.moved', data: { text: 'x'.repeat(262_144) }, subject: null },
      { type: 'booking.moved', data: {}, subject: '' },
      { type: 'booking.paid', data: {} },
    ]
    for (const _ of contents) await receive(instance)

    const lease = randomUUID()
    const { events } = await claimWebhooks(database, lease)
    await finishWebhooks(
      database,
      lease,
      events.map(({ id }, index) => ({ id, status: 'processed', app_event: contents[index] })),
    )

    const rows = await receivedFrom(instance.id)
    expect(rows.map(({ status, error }) => error?.code ?? status)).toEqual([
      'processed',
      'event_type_reserved',
      'invalid_event_type',
      'invalid_request',
      'event_too_large',
      'invalid_request',
      'processed',
    ])
    expect(rows.slice(1, 6).every(({ status, error }) => status === 'failed' && error.message))
      .toBe(true)
    const [waiting] = await owner`
      select count(*)::int as count from private.webhook_event_keys where receiver = ${instance.id} and run_at is not null`
    expect(waiting?.count).toBe(0)
    const emitted = await owner`
      select type, data, subject, origin from public.events
      where organization_id = ${organizationId} and origin = 'app' order by type`
    expect([...emitted]).toEqual([
      { type: 'booking.created', data: { id: 17 }, subject: 'booking/17', origin: 'app' },
      { type: 'booking.paid', data: {}, subject: null, origin: 'app' },
    ])
  })

  it('that was finished under a lease of another worker emits nothing', async () => {
    const { organizationId } = await createTeam(database)
    const instance = await registerAppInstance(database, organizationId)
    await receive(instance)
    const { events } = await claimWebhooks(database)

    await finishWebhooks(
      database,
      randomUUID(),
      events.map(({ id }) => ({
        id,
        status: 'processed',
        app_event: { type: 'booking.created', data: {} },
      })),
    )

    expect(
      await owner`
      select 1 from public.events where organization_id = ${organizationId} and origin = 'app'`,
    ).toEqual([])
  })
})
