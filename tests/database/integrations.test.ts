// What does connecting, changing and disconnecting an account leave behind, in rows and in Vault?
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { refusal, useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import {
  connectIntegration,
  createIntegration,
  type IntegrationRow,
} from '../support/integrations.ts'
import { createOrganization, createPerson, createTeam } from '../support/people.ts'
import {
  claimRun,
  finishRun,
  openRun,
  product,
  readLog,
  startSync,
  syncOnce,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
afterAll(() => expectEventsToFit(database))
const { admin, call } = database

type OpenIntegration = {
  integration: IntegrationRow
  credentials_id: string | null
  credentials: Record<string, unknown> | null
  token: { access_token: string; expires_at: string | null } | null
}

const open = (id: string) =>
  call<OpenIntegration | null>('service_role', 'open_integration', { p_integration_id: id })
const update = (id: string, change: Record<string, unknown>) =>
  call<IntegrationRow>('service_role', 'update_integration', { p_integration_id: id, ...change })
const disconnect = (id: string, change: Record<string, unknown> = {}) =>
  call<IntegrationRow>('service_role', 'disconnect_integration', {
    p_integration_id: id,
    ...change,
  })
const saveToken = (
  id: string,
  token: string | null,
  options: { expiresAt?: string; credentialsId?: string | null } = {},
) =>
  call('service_role', 'save_integration_token', {
    p_integration_id: id,
    p_access_token: token,
    p_expires_at: options.expiresAt ?? null,
    p_credentials_id: options.credentialsId ?? null,
  })
const check = (id: string, error: object | null = null) =>
  call<IntegrationRow>('service_role', 'record_integration_check', {
    p_integration_id: id,
    p_error: error,
  })
const ownerMustAct = { code: 'provider_unauthorized', message: 'The key is wrong.', next: 'owner' }

/** Lets the schedule have the integration's turn in an hour. */
const postpone = (id: string) =>
  admin`
  update public.sync_streams set next_sync_at = now() + interval '1 hour' where integration_id = ${id}`
async function isDue(id: string): Promise<boolean> {
  const [stream] = await admin`
    select next_sync_at <= now() as is_due from public.sync_streams where integration_id = ${id}`
  return stream?.is_due
}

/** How many of Vault's secrets hold this text. */
async function secretsWith(text: string): Promise<number> {
  const found = await admin`
    select 1 from vault.decrypted_secrets where decrypted_secret like ${`%${text}%`}`
  return found.length
}

describe('connecting', () => {
  it('makes an integration with its streams, due at once', async () => {
    const person = await createPerson(database)
    const organizationId = await createOrganization(database, person)

    const integration = await connectIntegration(database, organizationId, {
      credentials: { api_key: 'k' },
      actorId: person.id,
    })

    const streams = await admin`
      select stream, direction, enabled, next_sync_at <= now() as is_due
      from public.sync_streams where integration_id = ${integration.id}`
    expect(integration).toMatchObject({
      organization_id: organizationId,
      status: 'connected',
      settings: { store: 'main-street' },
      sync_interval_minutes: 60,
      created_by: person.id,
    })
    expect(streams).toEqual([{
      stream: 'products',
      direction: 'pull',
      enabled: true,
      is_due: true,
    }])
    expect(await open(integration.id)).toMatchObject({
      credentials: { api_key: 'k' },
      token: null,
    })
  })

  it('keeps a token with the credentials it was made with, and forgets it with them', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))
    const token = (access_token: string) => ({
      p_access_token: access_token,
      p_token_expires_at: '2030-01-01T00:00:00Z',
    })
    const old = randomUUID()
    const { id } = await call<IntegrationRow>('service_role', 'connect_integration', {
      p_organization_id: organizationId,
      p_connector: 'treez',
      p_external_account_id: randomUUID(),
      p_name: 'Main street',
      p_settings: {},
      p_credentials: { api_key: 'old' },
      ...token(old),
    })
    const connected = await open(id)

    await update(id, { p_credentials: { api_key: 'new' }, ...token('made from new') })
    const updated = await open(id)
    await update(id, { p_settings: { store: 'x' }, ...token('made from others') })
    const settingsOnly = await open(id)
    await update(id, { p_credentials: { api_key: 'newest' } })
    const newest = await open(id)

    expect(connected?.token).toMatchObject({ access_token: old })
    expect(updated).toMatchObject({
      credentials: { api_key: 'new' },
      token: { access_token: 'made from new' },
    })
    expect(settingsOnly?.token).toMatchObject({ access_token: 'made from new' })
    expect(newest).toMatchObject({ credentials: { api_key: 'newest' }, token: null })
    expect(await secretsWith(old)).toBe(0)
  })

  it('the same account again keeps the integration, its streams, cursor and interval', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))
    const account = randomUUID()
    const first = await connectIntegration(database, organizationId, {
      account,
      syncIntervalMinutes: 15,
    })
    await syncOnce(database, first.id, [product('1')])
    await disconnect(first.id)
    const wasDue = await isDue(first.id)

    const second = await connectIntegration(database, organizationId, { account, name: 'Renamed' })

    const streams = await admin`
      select cursor is not null as has_cursor from public.sync_streams where integration_id = ${first.id}`
    expect(second).toMatchObject({
      id: first.id,
      name: 'Renamed',
      status: 'connected',
      sync_interval_minutes: 15,
      disconnected_at: null,
    })
    expect(streams).toEqual([{ has_cursor: true }])
    expect([wasDue, await isDue(first.id)]).toEqual([false, true])
  })

  it('the same account again replaces the credentials and forgets a token made from the old ones', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))
    const account = randomUUID()
    const [old, fresh, token] = [randomUUID(), randomUUID(), randomUUID()]
    const { id } = await connectIntegration(database, organizationId, {
      account,
      credentials: { api_key: old },
    })
    await saveToken(id, token)

    await connectIntegration(database, organizationId, { account, credentials: { api_key: fresh } })

    expect(await open(id)).toMatchObject({ credentials: { api_key: fresh }, token: null })
    expect([await secretsWith(old), await secretsWith(token), await secretsWith(fresh)]).toEqual([
      0,
      0,
      1,
    ])
  })

  it('the same account twice at once makes one integration', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))
    const account = randomUUID()
    await connectIntegration(database, organizationId) // makes the connector

    const both = await Promise.all(
      [1, 2].map(() => connectIntegration(database, organizationId, { account })),
    )

    expect(both[0]?.id).toBe(both[1]?.id)
  })

  it('the same account in two organizations makes two integrations', async () => {
    const account = randomUUID()

    const [one, other] = [
      await createIntegration(database, { account }),
      await createIntegration(database, { account }),
    ]

    expect(one.id).not.toBe(other.id)
  })

  it('is refused for an organization or a connector that is not there', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))

    await expect(connectIntegration(database, randomUUID())).rejects.toMatchObject(
      refusal('organization_not_found'),
    )
    await expect(connectIntegration(database, organizationId, { connector: 'unknown' })).rejects
      .toMatchObject(refusal('connector_not_found'))
    await expect(connectIntegration(database, organizationId)).resolves.toBeTruthy()
  })

  it.each([0, 10_081])('is refused with an interval of %i minutes', async (syncIntervalMinutes) => {
    await expect(createIntegration(database, { syncIntervalMinutes })).rejects.toMatchObject({
      constraint_name: 'integrations_interval_is_1_minute_to_7_days',
    })
  })
})

describe('updating', () => {
  it('changes what is given and nothing else', async () => {
    const integration = await createIntegration(database, { credentials: { api_key: 'kept' } })

    const changed = await update(integration.id, { p_name: 'High street' })

    expect(changed).toMatchObject({
      name: 'High street',
      settings: integration.settings,
      sync_interval_minutes: integration.sync_interval_minutes,
      status: 'connected',
    })
    expect(await open(integration.id)).toMatchObject({ credentials: { api_key: 'kept' } })
  })

  it('pauses and resumes; a paused integration starts no run', async () => {
    const { id } = await createIntegration(database)

    const paused = await update(id, { p_paused: true })
    await expect(startSync(database, id)).rejects.toMatchObject(refusal('integration_paused'))
    const resumed = await update(id, { p_paused: false })

    expect([paused.status, resumed.status]).toEqual(['paused', 'connected'])
    await expect(startSync(database, id)).resolves.toMatchObject({ status: 'queued' })
  })

  it.each([
    ['credentials', { p_credentials: { api_key: 'new' } }, { credentials: { api_key: 'new' } }],
    [
      'settings',
      { p_settings: { store: 'high-street' } },
      { integration: { settings: { store: 'high-street' } } },
    ],
  ])(
    'with proved %s takes an integration out of error and makes it due; a new name does not',
    async (_, change, kept) => {
      const { id } = await createIntegration(database)
      await check(id, ownerMustAct)
      await postpone(id)

      const renamed = await update(id, { p_name: 'High street' })
      const isDueOnceRenamed = await isDue(id)
      const repaired = await update(id, change)

      expect(renamed).toMatchObject({ status: 'error', last_error: ownerMustAct })
      expect(isDueOnceRenamed).toBe(false)
      expect(repaired).toMatchObject({
        status: 'connected',
        consecutive_failures: 0,
        last_error: null,
      })
      expect(await isDue(id)).toBe(true)
      expect(await open(id)).toMatchObject(kept)
    },
  )

  it('with new credentials takes the lease of a run, which goes on with them at once', async () => {
    const integration = await createIntegration(database)
    const { id } = integration
    const old = await openRun(database, id)
    await writePage(database, old, [product('1')], { progress: { cursor: 'page 2' } })

    await update(id, { p_credentials: { api_key: 'new' } })
    const next = await claimRun(database, old.sync_log_id)

    expect(next).toMatchObject({
      sync_log_id: old.sync_log_id,
      progress: { cursor: 'page 2' },
      credentials: { api_key: 'new' },
    })
    expect(next?.credentials_id).not.toBe(old.credentials_id)
    await expect(writePage(database, old, [product('2')], { number: 2 })).rejects.toMatchObject(
      refusal('lease_lost'),
    )
    await expect(writePage(database, next!, [product('2')], { number: 2 })).resolves.toMatchObject({
      created: 1,
    })
  })

  it('with a new name leaves a run to its worker', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await update(id, { p_name: 'High street' })

    await expect(writePage(database, run, [product('1')])).resolves.toMatchObject({ created: 1 })
  })

  it('to paused ends the running and the queued run; one of another integration goes on', async () => {
    const [paused, other] = [await createIntegration(database), await createIntegration(database)]
    await syncOnce(database, paused.id, []) // so that a run can be incremental
    const running = await openRun(database, paused.id, { mode: 'incremental' })
    const queued = await startSync(database, paused.id, { mode: 'full' })
    const elsewhere = await openRun(database, other.id)

    await update(paused.id, { p_paused: true })

    expect(await Promise.all([running.sync_log_id, queued.id].map((id) => readLog(database, id))))
      .toMatchObject([
        { status: 'failed', error: { code: 'integration_paused' } },
        { status: 'failed', error: { code: 'integration_paused' } },
      ])
    await expect(finishRun(database, running)).rejects.toMatchObject(refusal('lease_lost'))
    await expect(finishRun(database, elsewhere)).resolves.toMatchObject({ status: 'success' })
  })

  it('is refused when the integration is disconnected or unknown', async () => {
    const { id } = await createIntegration(database)
    await disconnect(id)

    await expect(update(id, { p_name: 'High street' })).rejects.toMatchObject(
      refusal('integration_disconnected'),
    )
    await expect(update(randomUUID(), { p_name: 'High street' })).rejects.toMatchObject(
      refusal('integration_not_found'),
    )
  })
})

describe('disconnecting', () => {
  it('deletes credentials and token from Vault, and keeps the data', async () => {
    const [key, token] = [randomUUID(), randomUUID()]
    const { id } = await createIntegration(database, { credentials: { api_key: key } })
    await saveToken(id, token)
    await syncOnce(database, id, [product('1')])
    const before = [await secretsWith(key), await secretsWith(token)]

    const left = await disconnect(id)

    const products = await admin`select 1 from public.products where integration_id = ${id}`
    expect(before).toEqual([1, 1])
    expect([await secretsWith(key), await secretsWith(token)]).toEqual([0, 0])
    expect(left).toMatchObject({ status: 'disconnected', disconnected_at: expect.any(String) })
    expect(products).toHaveLength(1)
  })

  it('deletes the data too when asked, so that a reconnect starts from nothing', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])

    await disconnect(id, { p_delete_data: true })

    const products = await admin`select 1 from public.products where integration_id = ${id}`
    const [stream] = await admin`
      select cursor, last_full_sync_at from public.sync_streams where integration_id = ${id}`
    expect(products).toEqual([])
    expect(stream).toEqual({ cursor: null, last_full_sync_at: null })
  })

  it('ends the running and the queued run as failed; the worker finds its lease lost', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, []) // so that a run can be incremental
    const running = await openRun(database, id, { mode: 'incremental' })
    const queued = await startSync(database, id, { mode: 'full' })

    await disconnect(id)

    const logs = await admin`
      select id, status, error ->> 'code' as code from public.sync_logs
      where id in (${running.sync_log_id}, ${queued.id})`
    expect(logs.map(({ status, code }) => ({ status, code }))).toEqual([
      { status: 'failed', code: 'integration_disconnected' },
      { status: 'failed', code: 'integration_disconnected' },
    ])
    await expect(writePage(database, running, [product('1')])).rejects.toMatchObject(
      refusal('lease_lost'),
    )
    expect(await claimRun(database, queued.id)).toBeNull()
    await expect(startSync(database, id)).rejects.toMatchObject(refusal('integration_disconnected'))
  })

  it('of an unknown integration is refused', async () => {
    await expect(disconnect(randomUUID())).rejects.toMatchObject(refusal('integration_not_found'))
  })
})

describe('Vault', () => {
  it('keeps nothing of an organization that was deleted with its connected accounts', async () => {
    const team = await createTeam(database)
    const [key, token] = [randomUUID(), randomUUID()]
    const { id } = await connectIntegration(database, team.organizationId, {
      credentials: { api_key: key },
    })
    await saveToken(id, token)

    await admin`delete from public.organizations where id = ${team.organizationId}`

    expect([await secretsWith(key), await secretsWith(token)]).toEqual([0, 0])
    expect(await open(id)).toBeNull()
  })

  it('keeps one token an integration: a new one replaces it, null forgets it', async () => {
    const { id } = await createIntegration(database)
    const [first, second] = [randomUUID(), randomUUID()]

    await saveToken(id, first)
    await saveToken(id, second, { expiresAt: '2030-01-01T00:00:00Z' })
    const held = await open(id)
    const kept = [await secretsWith(first), await secretsWith(second)]
    await saveToken(id, null)

    expect(held?.token).toEqual({
      access_token: second,
      expires_at: expect.stringMatching(/^2030-01-01/),
    })
    expect(kept).toEqual([0, 1])
    expect(await secretsWith(second)).toBe(0)
    expect((await open(id))?.token).toBeNull()
  })

  it('takes a token made from the credentials held, and none made from the ones before', async () => {
    const { id } = await createIntegration(database)
    const [late, timely] = [randomUUID(), randomUUID()]
    const before = await open(id)
    await update(id, { p_credentials: { api_key: 'new' } })
    const held = await open(id)

    await saveToken(id, late, { credentialsId: before!.credentials_id })
    const afterLate = await open(id)
    await saveToken(id, timely, { credentialsId: held!.credentials_id })
    await saveToken(id, null, { credentialsId: before!.credentials_id })

    expect(afterLate?.token).toBeNull()
    expect(await secretsWith(late)).toBe(0)
    expect(await open(id)).toMatchObject({ token: { access_token: timely } })
  })

  it('holds credentials as ciphertext, and no table of ours holds them at all', async () => {
    const key = randomUUID()
    const { id } = await createIntegration(database, { credentials: { api_key: key } })

    const stored = await admin`
      select 1 from vault.secrets where secret like ${`%${key}%`}
      union all select 1 from public.integrations as row where to_jsonb(row)::text like ${`%${key}%`}
      union all select 1 from private.integration_credentials as row where to_jsonb(row)::text like ${`%${key}%`}`

    expect(stored).toEqual([])
    expect((await open(id))?.credentials).toEqual({ api_key: key })
  })
})

describe('a check', () => {
  it('that only the owner can mend puts the integration into error, a good one takes it out', async () => {
    const { id } = await createIntegration(database)

    const failed = await check(id, ownerMustAct)
    const repaired = await check(id)

    expect(failed).toMatchObject({ status: 'error', last_error: ownerMustAct })
    expect(repaired).toMatchObject({ status: 'connected', last_error: null })
  })

  it('that is good after an error makes the streams due; otherwise the schedule stays', async () => {
    const [broken, working] = [await createIntegration(database), await createIntegration(database)]
    await check(broken.id, ownerMustAct)
    for (const { id } of [broken, working]) await postpone(id)

    await check(broken.id, ownerMustAct)
    const dueAfterBadCheck = await isDue(broken.id)
    await check(broken.id)
    await check(working.id)

    expect(dueAfterBadCheck).toBe(false)
    expect([await isDue(broken.id), await isDue(working.id)]).toEqual([true, false])
  })

  it('that fails for the moment leaves the integration connected', async () => {
    const { id } = await createIntegration(database)

    const checked = await check(id, { code: 'provider_timeout', message: 'Slow.', next: 'retry' })

    expect(checked).toMatchObject({ status: 'connected', last_error: { code: 'provider_timeout' } })
  })

  it('does not wake a paused or disconnected integration', async () => {
    const [paused, gone] = [await createIntegration(database), await createIntegration(database)]
    await update(paused.id, { p_paused: true })
    await disconnect(gone.id)

    const checked = [await check(paused.id), await check(gone.id, ownerMustAct)]

    expect(checked.map((integration) => integration.status)).toEqual(['paused', 'disconnected'])
  })
})
