// Are webhook endpoints kept as they were asked for, and their secrets in Vault and nowhere else?
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  generateKeyPair,
  generateSecret,
} from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { refusal, useDatabase } from '../support/database.ts'
import { createPerson, createTeam, type Team } from '../support/people.ts'
import { claim } from '../support/webhook-claims.ts'
import { createEndpoint, emitEvent } from '../support/webhook-endpoints.ts'

const database = useDatabase()
const { admin, owner, call, actAs } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

type EndpointRow = Record<string, unknown> & { id: string; version: number; updated_at: string }

const create = (options: Record<string, unknown> = {}, given: Record<string, unknown> = {}) =>
  call<EndpointRow>('service_role', 'create_webhook_endpoint', {
    p_organization_id: team.organizationId,
    p_url: 'https://hooks.example/secret-path?key=1',
    p_options: options,
    p_signing_secret: generateSecret(),
    ...given,
  })
const update = (
  id: string,
  changes: Record<string, unknown>,
  given: Record<string, unknown> = {},
) =>
  call<EndpointRow>('service_role', 'update_webhook_endpoint', {
    p_endpoint_id: id,
    p_changes: changes,
    ...given,
  })
const rotate = (id: string, secret = generateSecret(), given: Record<string, unknown> = {}) => {
  const { secretKey, publicKey } = generateKeyPair()
  return call<EndpointRow>('service_role', 'rotate_webhook_secret', {
    p_endpoint_id: id,
    p_signing_secret: secret,
    p_signing_key: secretKey,
    p_public_key: publicKey,
    ...given,
  })
}
const remove = (id: string) =>
  call('service_role', 'delete_webhook_endpoint', { p_endpoint_id: id })

type Opened = {
  version: number
  url: string
  headers: Record<string, string>
  signing_secrets: string[]
  signing_keys: string[]
}
async function open(id: string): Promise<Opened> {
  const [opened] = await call<Opened[]>('service_role', 'open_webhook_endpoints', {
    p_endpoint_ids: [id],
  })
  return opened!
}
const secretIdsOf = async (id: string): Promise<string[]> => {
  const rows =
    await admin`select secret_id from private.webhook_endpoint_secrets where endpoint_id = ${id}`
  return rows.map(({ secret_id }) => secret_id)
}
const inVault = async (ids: string[]) =>
  (await admin`select 1 from vault.secrets where id = any (${ids})`).length

describe('registering', () => {
  it('keeps what was asked for, and the usual for the rest', async () => {
    const { secretKey, publicKey } = generateKeyPair()
    const asked = {
      description: 'The till',
      event_types: ['order.*', 'sync.failed'],
      filter: { field: 'type', operator: 'ne', value: 'order.deleted' },
      signatures: ['v1', 'v1a'],
      public_key: publicKey,
      hex_signature: true,
      ordered_by_subject: true,
      max_concurrency: 3,
      rate_limit_per_second: 0.5,
      retry_pauses_s: [1, 86_400],
    }

    const full = await create(asked, {
      p_signing_key: secretKey,
      p_headers: { 'X-Till': '7' },
      p_actor_id: team.manager.id,
    })
    const plain = await create()

    expect(full).toMatchObject({
      ...asked,
      header_names: ['X-Till'],
      created_by: team.manager.id,
      status: 'active',
    })
    expect(plain).toMatchObject({
      description: null,
      event_types: ['*'],
      filter: null,
      header_names: [],
      signatures: ['v1'],
      public_key: null,
      hex_signature: false,
      ordered_by_subject: false,
      max_concurrency: 10,
      rate_limit_per_second: null,
      retry_pauses_s: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
      status: 'active',
    })
  })

  it('keeps secret, key and header values in Vault, and no table of ours holds them', async () => {
    const secret = generateSecret()
    const { secretKey, publicKey } = generateKeyPair()
    const value = `Bearer ${randomUUID()}`
    const { id } = await create({ signatures: ['v1a', 'v1'], public_key: publicKey }, {
      p_signing_secret: secret,
      p_signing_key: secretKey,
      p_headers: { authorization: value },
    })

    const columns = await admin`
      select table_schema as schema, table_name as name, column_name as column from information_schema.columns
      where table_schema in ('public', 'private') and data_type in ('text', 'jsonb', 'ARRAY')
        and table_name ~ 'webhook|activity'`
    const holding = await Promise.all(columns.map(async ({ schema, name, column }) => {
      const [row] = await admin.unsafe(
        `select count(*)::int as count from ${schema}.${name}
         where strpos("${column}"::text, $1) + strpos("${column}"::text, $2) + strpos("${column}"::text, $3) > 0`,
        [secret, secretKey, value],
      )
      return row?.count > 0 ? `${schema}.${name}.${column}` : null
    }))

    expect(columns.length).toBeGreaterThan(20)
    expect(holding.filter(Boolean)).toEqual([])
    expect(await open(id)).toMatchObject({
      signing_secrets: [secret],
      signing_keys: [secretKey],
      headers: { authorization: value },
    })
    expect(await inVault(await secretIdsOf(id))).toBe(3)
  })

  it('asked twice with one id, as after an answer that was lost, makes one endpoint', async () => {
    const p_endpoint_id = randomUUID()

    const first = await create({}, { p_endpoint_id })
    const second = await create({}, { p_endpoint_id })

    expect(first.id).toBe(p_endpoint_id)
    expect(second).toEqual(first)
    expect(await secretIdsOf(p_endpoint_id)).toHaveLength(1)
  })

  it('is refused for an organization that is not there', async () => {
    await expect(create({}, { p_organization_id: randomUUID() })).rejects.toMatchObject(
      refusal('organization_not_found'),
    )
  })

  it('stops at fifty, also when two come at once', async () => {
    const { organizationId } = await createTeam(database)
    await owner`
      insert into public.app_webhooks (organization_id, url, event_types)
      select ${organizationId}, 'https://hooks.example/', '{*}' from generate_series(1, 49)`
    const one = () => create({}, { p_organization_id: organizationId })

    const outcomes = await Promise.allSettled([one(), one()])

    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: refusal('too_many_webhook_endpoints'),
    })
  })

  it.each<[string, Record<string, unknown>]>([
    ['event_types_are_patterns', { event_types: [] }],
    ['event_types_are_patterns', { event_types: Array(51).fill('*') }],
    ['event_types_are_patterns', { event_types: ['order'] }],
    ['event_types_are_patterns', { event_types: ['order.'] }],
    ['event_types_are_patterns', { event_types: ['order.*.created'] }],
    ['event_types_are_patterns', { event_types: ['*.created'] }],
    ['event_types_are_patterns', { event_types: ['order%'] }],
    ['event_types_are_patterns', { event_types: ['order.*', null] }],
    ['event_types_are_patterns', { event_types: [`a.${'b'.repeat(99)}`] }],
    ['filter_is_a_condition', { filter: {} }],
    ['filter_is_a_condition', { filter: { field: 'type', operator: 'like', value: 'a' } }],
    ['signatures_are_known', { signatures: [] }],
    ['signatures_are_known', { signatures: ['v2'] }],
    ['v1a_has_a_public_key', { signatures: ['v1a'] }],
    ['concurrency_is_1_to_100', { max_concurrency: 0 }],
    ['concurrency_is_1_to_100', { max_concurrency: 101 }],
    ['rate_limit_is_sane', { rate_limit_per_second: 0 }],
    ['retry_pauses_are_seconds', { retry_pauses_s: [0] }],
    ['retry_pauses_are_seconds', { retry_pauses_s: [86_401] }],
    ['retry_pauses_are_seconds', { retry_pauses_s: [1, null] }],
    ['retry_pauses_are_seconds', { retry_pauses_s: Array(21).fill(1) }],
    ['description_is_short', { description: 'x'.repeat(501) }],
  ])('is refused by the table’s own rule %s: %j', async (rule, options) => {
    await expect(create(options)).rejects.toMatchObject({ constraint_name: `app_webhooks_${rule}` })
  })
})

describe('changing', () => {
  it('changes what is given, nothing else, and tells workers by the version', async () => {
    const before = await create({ description: 'Old', rate_limit_per_second: 5 }, {
      p_headers: { 'x-a': '1' },
    })

    const after = await update(before.id, { description: null, max_concurrency: 4 })

    const { updated_at: _, ...kept } = before
    expect(after).toMatchObject({
      ...kept,
      description: null,
      max_concurrency: 4,
      version: before.version + 1,
    })
    expect((await open(before.id)).headers).toEqual({ 'x-a': '1' })
  })

  it('puts headers in the place of all there were', async () => {
    const { id } = await create({}, { p_headers: { 'x-a': '1', 'x-b': '2' } })
    const before = await secretIdsOf(id)

    const changed = await update(id, {}, { p_headers: { 'x-c': '3' } })
    const opened = await open(id)
    const emptied = await update(id, {}, { p_headers: {} })

    expect(changed['header_names']).toEqual(['x-c'])
    expect(opened.headers).toEqual({ 'x-c': '3' })
    expect(emptied['header_names']).toEqual([])
    expect((await open(id)).headers).toEqual({})
    expect(await inVault(before)).toBe(1) // the signing secret
  })

  it('takes a key pair where there is none, and keeps the one there is', async () => {
    const { id } = await create()
    const [first, second] = [generateKeyPair(), generateKeyPair()]
    const sign = ({ secretKey, publicKey }: typeof first) =>
      update(id, { signatures: ['v1', 'v1a'], public_key: publicKey }, { p_signing_key: secretKey })

    await sign(first)
    const again = await sign(second)

    expect(again['public_key']).toBe(first.publicKey)
    expect((await open(id)).signing_keys).toEqual([first.secretKey])
  })

  it('pauses and activates; a disabled endpoint is not hidden by a pause, and starts afresh when activated', async () => {
    const { id } = await create()

    const paused = await update(id, { status: 'paused' })
    await owner`
      update public.app_webhooks set status = 'disabled', disabled_at = now(), failing_since = now() - interval '6 days',
        disabled_reason = '{"code": "endpoint_failing", "message": "no"}' where id = ${id}`
    const stillDisabled = await update(id, { status: 'paused' })
    const active = await update(id, { status: 'active' })

    expect(paused['status']).toBe('paused')
    expect(stillDisabled).toMatchObject({
      status: 'disabled',
      disabled_reason: { code: 'endpoint_failing' },
    })
    expect(active).toMatchObject({
      status: 'active',
      disabled_reason: null,
      disabled_at: null,
      failing_since: null,
    })
  })

  it('pausing a disabled endpoint also keeps it from being tried again by itself', async () => {
    const { id } = await create()
    await owner`
      update public.app_webhooks set status = 'disabled', disabled_at = now(),
        disabled_reason = '{"code": "endpoint_failing", "message": "no"}' where id = ${id}`
    await owner`
      update private.webhook_endpoint_states set probe_at = now() + interval '1 hour' where endpoint_id = ${id}`
    const hasProbe = async () => {
      const [state] = await owner`
        select probe_at is not null as has_probe from private.webhook_endpoint_states where endpoint_id = ${id}`
      return state?.has_probe
    }

    await update(id, { description: 'another change' })
    const afterAnother = await hasProbe()
    await update(id, { status: 'paused' })

    expect(afterAnother).toBe(true)
    expect(await hasProbe()).toBe(false)
  })

  it('of the address leaves what the old one asked for behind: the time to wait, and its failures', async () => {
    const { id } = await create()
    await owner`update public.app_webhooks set failing_since = now() - interval '6 days' where id = ${id}`
    await owner`
      update private.webhook_endpoint_states set blocked_until = now() + interval '1 day' where endpoint_id = ${id}`
    const state = async () => {
      const [row] = await owner`
        select failing_since is not null as fails, blocked_until > now() as is_blocked
        from private.webhook_endpoint_states as state join public.app_webhooks as endpoint on endpoint.id = state.endpoint_id
        where endpoint.id = ${id}`
      return row
    }

    await update(id, { description: 'another change' })
    const before = await state()
    await update(id, { url: 'https://hooks.example/moved' })

    expect(before).toEqual({ fails: true, is_blocked: true })
    expect(await state()).toEqual({ fails: false, is_blocked: false })
  })

  it.each([
    'https://elsewhere.example/secret-path',
    'https://hooks.example:8443/secret-path',
    'http://hooks.example/secret-path',
  ])(
    'sends no header to %s that was given for another server, unless it is given again',
    async (url) => {
      const { id } = await create({}, { p_headers: { authorization: 'Bearer 1' } })
      const plain = await create()

      await expect(update(id, { url })).rejects.toMatchObject(refusal('invalid_endpoint'))
      const samePlace = await update(id, { url: 'https://hooks.example/other-path' })
      const given = await update(id, { url }, { p_headers: { authorization: 'Bearer 2' } })
      const withoutAny = await update(plain.id, { url })

      expect(samePlace['header_names']).toEqual(['authorization'])
      expect(given).toMatchObject({ url, header_names: ['authorization'] })
      expect((await open(id)).headers).toEqual({ authorization: 'Bearer 2' })
      expect(withoutAny).toMatchObject({ url, header_names: [] })
    },
  )

  it('of the version is refused where there is no such version', async () => {
    const { id } = await create({ api_version: '2026-11-28' })

    await expect(update(id, { api_version: '2020-01-01' })).rejects.toMatchObject({
      constraint_name: 'app_webhooks_api_version_is_known',
    })
    await expect(create({ api_version: '2020-01-01' })).rejects.toMatchObject({
      constraint_name: 'app_webhooks_api_version_is_known',
    })
    expect(await update(id, { api_version: '2026-11-28' })).toMatchObject({ id })
  })

  it('of an endpoint that is not there is refused', async () => {
    const calls = [
      () => update(randomUUID(), {}),
      () => rotate(randomUUID()),
      () => remove(randomUUID()),
      () => call('service_role', 'ping_webhook_endpoint', { p_endpoint_id: randomUUID() }),
      () => call('service_role', 'replay_webhook_deliveries', { p_endpoint_id: randomUUID() }),
    ]

    for (const attempt of calls) {
      await expect(attempt()).rejects.toMatchObject(refusal('webhook_endpoint_not_found'))
    }
  })
})

describe('a new secret', () => {
  it('signs beside the old one until that ends', async () => {
    const [old, fresh] = [generateSecret(), generateSecret()]
    const { id } = await create({}, { p_signing_secret: old })

    await rotate(id, fresh)
    const both = (await open(id)).signing_secrets
    await owner`
      update private.webhook_endpoint_secrets set expires_at = now() - interval '1 second'
      where endpoint_id = ${id} and expires_at is not null`

    expect(both).toEqual([fresh, old])
    expect((await open(id)).signing_secrets).toEqual([fresh])
  })

  it('signs alone at once when that is asked for, and the old one is in Vault no longer', async () => {
    const { id } = await create()
    const before = await secretIdsOf(id)
    const fresh = generateSecret()

    await rotate(id, fresh, { p_overlap_hours: 0 })

    expect((await open(id)).signing_secrets).toEqual([fresh])
    expect(await inVault(before)).toBe(0)
  })

  it.each([[24, undefined], [168, 168], [1, 1]])(
    'overlaps for %i hours when asked for %j',
    async (hours, asked) => {
      const { id } = await create()

      await rotate(id, generateSecret(), asked === undefined ? {} : { p_overlap_hours: asked })

      const [held] = await admin`
      select extract(epoch from expires_at - clock_timestamp()) / 3600 as hours
      from private.webhook_endpoint_secrets where endpoint_id = ${id} and expires_at is not null`
      expect(Number(held?.hours)).toBeCloseTo(hours, 1)
    },
  )

  it.each([-1, 169, null])('does not overlap for %j hours', async (p_overlap_hours) => {
    const { id } = await create()

    await expect(rotate(id, generateSecret(), { p_overlap_hours })).rejects.toMatchObject(
      refusal('invalid_request'),
    )
  })

  it('ends none of those before it, which sign on until each one’s own end', async () => {
    const secrets = Array.from({ length: 3 }, generateSecret)
    const { id } = await create({}, { p_signing_secret: secrets[0] })
    const ends = async () =>
      (await admin`
        select expires_at from private.webhook_endpoint_secrets
        where endpoint_id = ${id} and expires_at is not null order by created_at`)
        .map(({ expires_at }) => expires_at)

    await rotate(id, secrets[1], { p_overlap_hours: 24 })
    const [endOfFirst] = await ends()
    await rotate(id, secrets[2], { p_overlap_hours: 1 })

    expect((await open(id)).signing_secrets).toEqual(secrets.toReversed())
    expect((await ends())[0]).toEqual(endOfFirst)
  })

  it('is refused beside four that still sign, unless they are to end at once', async () => {
    const { id } = await create()
    for (let time = 0; time < 3; time++) await rotate(id)
    const four = (await open(id)).signing_secrets
    const fresh = generateSecret()

    await expect(rotate(id)).rejects.toMatchObject(refusal('too_many_webhook_secrets'))
    const afterRefusal = (await open(id)).signing_secrets
    await rotate(id, fresh, { p_overlap_hours: 0 })

    expect(four).toHaveLength(4)
    expect(afterRefusal).toEqual(four)
    expect((await open(id)).signing_secrets).toEqual([fresh])
  })

  it('takes the place of one that has ended', async () => {
    const { id } = await create()
    for (let time = 0; time < 3; time++) await rotate(id)
    await owner`
      update private.webhook_endpoint_secrets set expires_at = now() - interval '1 second'
      where secret_id = (
        select secret_id from private.webhook_endpoint_secrets where endpoint_id = ${id} order by created_at limit 1)`

    await rotate(id)

    expect((await open(id)).signing_secrets).toHaveLength(4)
    expect(await secretIdsOf(id)).toHaveLength(4)
  })

  it('given twice, as after an answer that was lost, is one rotation', async () => {
    const [old, fresh] = [generateSecret(), generateSecret()]
    const { id } = await create({}, { p_signing_secret: old })

    const first = await rotate(id, fresh)
    const second = await rotate(id, fresh)

    expect(second).toEqual(first)
    expect((await open(id)).signing_secrets).toEqual([fresh, old])
  })

  it('comes with a new key pair where there is one, and with none where there is none', async () => {
    const pair = generateKeyPair()
    const plain = await create()
    const signed = await create({ signatures: ['v1', 'v1a'], public_key: pair.publicKey }, {
      p_signing_key: pair.secretKey,
    })

    const [rotatedPlain, rotatedSigned] = [await rotate(plain.id), await rotate(signed.id)]

    expect(rotatedPlain['public_key']).toBeNull()
    expect(rotatedSigned['public_key']).toMatch(/^whpk_/)
    expect(rotatedSigned['public_key']).not.toBe(pair.publicKey)
    const { signing_keys } = await open(signed.id)
    expect(signing_keys).toHaveLength(2)
    expect(signing_keys[1]).toBe(pair.secretKey)
  })
})

describe('deleting', () => {
  const clearOrphans = () => admin`select private.clear_orphaned_deliveries()`

  it('an endpoint does not wait for its backlog, which goes in batches, and takes nobody else’s', async () => {
    const { id, organizationId } = await createEndpoint(database, 'https://hooks.example/')
    const other = await createEndpoint(database, 'https://hooks.example/', { organizationId })
    for (let number = 0; number < 3; number++) await emitEvent(database, organizationId)
    const waiting = async (endpointId: string) => {
      const rows =
        await admin`select 1 from private.webhook_queue where endpoint_id = ${endpointId}`
      return rows.length
    }

    await clearOrphans() // of other tests
    await remove(id)
    const left = [await waiting(id)]
    for (let round = 0; round < 2; round++) {
      await admin`select private.clear_orphaned_deliveries(2)`
      left.push(await waiting(id))
    }

    expect(left).toEqual([3, 1, 0])
    expect(await waiting(other.id)).toBe(3)
  })

  it('an endpoint while an event for it is emitted leaves no delivery that waits for ever', async () => {
    const { id, organizationId } = await createEndpoint(database, 'https://hooks.example/')

    await admin.begin(async (sql) => {
      await sql`select private.emit_event(${organizationId}, 'user.added',
        jsonb_build_object('user_id', gen_random_uuid(), 'role', 'member'))`
      await remove(id)
    })
    await clearOrphans()

    expect(await admin`select status from public.webhook_deliveries where endpoint_id = ${id}`)
      .toEqual([{ status: 'failed' }])
    expect(await admin`select 1 from private.webhook_queue where endpoint_id = ${id}`).toEqual([])
  })

  it('an endpoint during a call that is never heard of again leaves its attempt unknown', async () => {
    const { id, organizationId } = await createEndpoint(database, 'https://hooks.example/')
    await emitEvent(database, organizationId)
    await claim(database)
    await remove(id)
    await clearOrphans()
    const outcome = () =>
      admin`select outcome, error ->> 'code' as code from public.webhook_attempts where endpoint_id = ${id}`
    const meanwhile = await outcome()

    await admin`
      update private.webhook_queue set leased_at = leased_at - interval '5 minutes', run_at = now() where endpoint_id = ${id}`
    await admin`
      update public.webhook_attempts as attempt set created_at = queued.leased_at
      from private.webhook_queue as queued where queued.attempt_id = attempt.id and queued.endpoint_id = ${id}`
    await clearOrphans()

    expect(meanwhile).toEqual([{ outcome: null, code: null }])
    expect(await outcome()).toEqual([{ outcome: 'unknown', code: 'worker_died' }])
  })

  it('an endpoint leaves neither secrets nor work, and what waited for it is told to have failed', async () => {
    const { id, organizationId } = await createEndpoint(database, 'https://hooks.example/', {
      headers: { 'x-a': '1' },
    })
    await emitEvent(database, organizationId)
    const secrets = await secretIdsOf(id)

    await remove(id)
    await clearOrphans()

    expect(secrets).toHaveLength(2)
    expect(await inVault(secrets)).toBe(0)
    expect(await admin`select 1 from private.webhook_queue where endpoint_id = ${id}`).toHaveLength(
      0,
    )
    expect(await admin`select 1 from private.webhook_endpoint_states where endpoint_id = ${id}`)
      .toHaveLength(0)
    expect(
      await admin`select status, last_error from public.webhook_deliveries where endpoint_id = ${id}`,
    )
      .toMatchObject([{ status: 'failed', last_error: { code: 'webhook_endpoint_deleted' } }])
  })

  it('an organization leaves none of it, nor its log', async () => {
    const { organizationId, owner: person } = await createTeam(database)
    const { id } = await createEndpoint(database, 'https://hooks.example/', { organizationId })
    await emitEvent(database, organizationId)
    await owner`
      insert into public.webhook_attempts (organization_id, endpoint_id, event_id, attempt_number)
      select organization_id, endpoint_id, event_id, 1 from public.webhook_deliveries where endpoint_id = ${id}`
    const secrets = await secretIdsOf(id)
    const left = async () => {
      const counts = await admin`
        select (select count(*) from public.webhook_deliveries where endpoint_id = ${id})
          + (select count(*) from public.webhook_attempts where endpoint_id = ${id})
          + (select count(*) from private.webhook_queue where endpoint_id = ${id}) as count`
      return Number(counts[0]?.count)
    }
    const before = await left()

    await actAs(person, (sql) => sql`delete from public.organizations where id = ${organizationId}`)
    await clearOrphans()

    expect(before).toBe(3)
    expect(await left()).toBe(0)
    expect(await inVault(secrets)).toBe(0)
  })
})

it('every change is in the trail that members read, with the host and never the address', async () => {
  const { id } = await create({}, { p_actor_id: team.owner.id })
  await update(id, { description: 'New' })
  await update(id, { status: 'paused' })
  await update(id, { status: 'active' })
  await rotate(id)
  await call('service_role', 'replay_webhook_deliveries', { p_endpoint_id: id })
  await call('service_role', 'ping_webhook_endpoint', {
    p_endpoint_id: id,
    p_actor_id: team.owner.id,
  })
  await remove(id)

  const trail = await actAs(team.viewer, (sql) =>
    sql`
    select action, detail, actor_id from public.activity_logs where subject_id = ${id} order by created_at`)

  expect(trail.map(({ action }) => action)).toEqual([
    'webhook_endpoint.created',
    'webhook_endpoint.updated',
    'webhook_endpoint.paused',
    'webhook_endpoint.enabled',
    'webhook_endpoint.secret_rotated',
    'webhook_endpoint.replayed',
    'webhook_endpoint.pinged',
    'webhook_endpoint.deleted',
  ])
  expect(trail.map(({ detail }) => detail.host)).toEqual(Array(8).fill('hooks.example'))
  expect(JSON.stringify(trail)).not.toContain('secret-path')
  expect([trail[0]?.actor_id, trail[6]?.actor_id]).toEqual([team.owner.id, team.owner.id])
})

it('a stranger sees neither endpoint nor delivery of somebody else, and its members see none either', async () => {
  const { organizationId, manager, member, viewer } = await createTeam(database)
  const stranger = await createPerson(database)
  await createEndpoint(database, 'https://hooks.example/', { organizationId })
  await emitEvent(database, organizationId)
  const seenBy = (person: typeof stranger) =>
    actAs(person, async (sql) => {
      const [seen] = await sql`
        select (select count(*)::int from public.app_webhooks) as endpoints,
          (select count(*)::int from public.webhook_deliveries) as deliveries`
      return seen
    })

  const seen = await Promise.all([manager, member, viewer, stranger].map(seenBy))

  const nothing = { endpoints: 0, deliveries: 0 }
  expect(seen).toEqual([{ endpoints: 1, deliveries: 1 }, nothing, nothing, nothing])
})
