// What happens when an account's credentials are wrong, at first or later?
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { readLog } from '../support/ended-run.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'

const functions = useFunctions()
const { call, database } = functions
const { admin: sql } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

async function storedSecrets(): Promise<number> {
  const [row] = await sql`select count(*)::int as count from vault.secrets`
  return row?.count
}

describe('connecting', () => {
  it('with credentials that the store refuses keeps nothing; with the right ones it connects', async () => {
    const { organizationId, manager } = await createTeam(database)
    const store = await functions.openStore()
    const request = {
      organization_id: organizationId,
      connector: 'treez',
      settings: store.settings,
      credentials: { ...store.credentials.v2, api_key: `wrong-${randomUUID()}` },
    }
    functions.keepSecret(request.credentials.api_key)
    const before = await storedSecrets()

    const refused = await call(manager, '/integrations/connect', request)
    const kept =
      await sql`select id from public.integrations where organization_id = ${organizationId}`
    const afterRefusal = await storedSecrets()
    const accepted = await functions.connect(manager, organizationId, store)

    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_credentials' } })
    expect(refused.body.detail).toContain('Treez')
    expect(kept).toEqual([])
    expect(afterRefusal).toBe(before)
    expect(accepted).toMatchObject({ status: 'connected', organization_id: organizationId })
  })

  it('to a store that is not there says that the settings are wrong', async () => {
    const store = await functions.openStore()

    const answer = await call(team.manager, '/integrations/connect', {
      organization_id: team.organizationId,
      connector: 'treez',
      settings: { dispensary: `nowhere-${randomUUID()}` },
      credentials: store.credentials.v2,
    })

    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_settings' } })
  })

  it('again keeps the integration, its rows and its cursor', async () => {
    const store = await functions.openStore()
    const first = await functions.connect(team.manager, team.organizationId, store)
    await functions.syncProducts(team.manager, first.id)
    await call(team.manager, '/integrations/disconnect', { integration_id: first.id })

    const again = await functions.connect(team.manager, team.organizationId, store)
    const { body } = await functions.syncProducts(team.manager, again.id)

    expect(again).toMatchObject({ id: first.id, status: 'connected', disconnected_at: null })
    expect(body).toMatchObject({ success: true, stats: { created: 0, unchanged: 12 } })
  })
})

describe('credentials revoked at the store', () => {
  it('fail the sync with a text that says what to do, and delete nothing; new ones mend it', async () => {
    const dispensary = `store-${randomUUID()}`
    const store = await functions.openStore({ dispensary })
    const integration = await functions.connect(team.manager, team.organizationId, store, {
      name: 'Harbor Street',
    })
    await functions.syncProducts(team.manager, integration.id)
    const before = await liveProducts(database, integration.id)
    store.control.revokeCredentials()

    const failed = await functions.syncProducts(team.manager, integration.id)

    expect(failed).toMatchObject({
      status: 200,
      body: { success: false, status: 'failed', error_code: 'provider_unauthorized' },
    })
    expect(failed.body.error).toMatch(/^Harbor Street \(treez\): .*Enter new credentials/)
    expect(await readLog(database, failed.body.sync_log_id)).toMatchObject({
      status: 'failed',
      deleted_count: 0,
      error: { code: 'provider_unauthorized', next: 'owner', message: failed.body.error },
    })
    expect(await integrationRow(integration.id)).toMatchObject({
      status: 'error',
      consecutive_failures: 1,
      last_error: { code: 'provider_unauthorized', next: 'owner' },
    })
    expect(await liveProducts(database, integration.id)).toEqual(before)

    // Treez hands out a new key for the same store
    const renewed = await functions.openStore({ dispensary })
    const stillWrong = await call(team.manager, '/integrations/update', {
      integration_id: integration.id,
      credentials: store.credentials.v2,
    })
    expect(stillWrong).toMatchObject({ status: 400, body: { code: 'invalid_credentials' } })
    expect(await integrationRow(integration.id)).toMatchObject({ status: 'error' })

    const updated = await call(team.manager, '/integrations/update', {
      integration_id: integration.id,
      credentials: renewed.credentials.v2,
    })
    const synced = await functions.syncProducts(team.manager, integration.id)

    expect(updated).toMatchObject({
      status: 200,
      body: { status: 'connected', consecutive_failures: 0, last_error: null },
    })
    expect(synced.body).toMatchObject({ success: true, stats: { fetched: 12, deleted: 0 } })
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(renewed))
  })

  it('show in a check, which says who can act', async () => {
    const store = await functions.openStore()
    const integration = await functions.connect(team.manager, team.organizationId, store)

    const healthy = await check(integration.id)
    store.control.revokeCredentials()
    const unhealthy = await check(integration.id)

    expect(healthy).toMatchObject({ status: 200, body: { status: 'healthy' } })
    expect(healthy.body).not.toHaveProperty('error')
    expect(unhealthy).toMatchObject({
      status: 200,
      body: { status: 'unhealthy', error: { code: 'provider_unauthorized', next: 'owner' } },
    })
    expect(await integrationRow(integration.id)).toMatchObject({ status: 'error' })
  })
})

describe('an access token that ends early', () => {
  it('is exchanged for a new one within the run', async () => {
    const store = await functions.openStore({ products: 120 })
    const integration = await functions.connect(team.manager, team.organizationId, store)
    store.control.expireTokens()

    const { body } = await functions.syncProducts(team.manager, integration.id)

    expect(body).toMatchObject({ success: true, stats: { created: 120 } })
  })
})

describe('settings of another account', () => {
  it('are refused by an update; a new name of the same account is taken', async () => {
    const store = await functions.openStore()
    const other = await functions.openStore()
    const integration = await functions.connect(team.manager, team.organizationId, store)
    const update = (change: Record<string, unknown>) =>
      call(team.manager, '/integrations/update', { integration_id: integration.id, ...change })

    const refused = await update({ settings: other.settings, credentials: other.credentials.v2 })
    const accepted = await update({ settings: store.settings, name: 'Corner' })

    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_settings' } })
    expect(accepted).toMatchObject({ status: 200, body: { name: 'Corner', status: 'connected' } })
  })
})

describe('an integration that is not to be synced', () => {
  it('refuses runs while it is paused, and takes them again', async () => {
    const store = await functions.openStore()
    const { id } = await functions.connect(team.manager, team.organizationId, store)
    const pause = (paused: boolean) =>
      call(team.manager, '/integrations/update', { integration_id: id, paused })

    const paused = await pause(true)
    const refused = await functions.syncProducts(team.manager, id)
    await pause(false)
    const accepted = await functions.syncProducts(team.manager, id)

    expect(paused.body).toMatchObject({ status: 'paused' })
    expect(refused).toMatchObject({ status: 409, body: { code: 'integration_paused' } })
    expect(accepted).toMatchObject({ status: 200, body: { success: true } })
  })

  it('forgets its credentials when it is disconnected, and its rows when told to', async () => {
    const store = await functions.openStore()
    const { id } = await functions.connect(team.manager, team.organizationId, store)
    await functions.syncProducts(team.manager, id)
    const disconnect = (delete_data: boolean) =>
      call(team.manager, '/integrations/disconnect', { integration_id: id, delete_data })

    const disconnected = await disconnect(false)
    const kept = await liveProducts(database, id)
    const refused = [
      await functions.syncProducts(team.manager, id),
      await call(team.manager, '/integrations/update', { integration_id: id, name: 'New' }),
    ]
    const held = await sql`
      select 1 from private.integration_credentials where integration_id = ${id}`
    await disconnect(true)

    expect(disconnected).toMatchObject({ status: 200, body: { status: 'disconnected' } })
    expect(kept).toHaveLength(12)
    for (const answer of refused) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'integration_disconnected' } })
    }
    expect(held).toEqual([])
    expect(await liveProducts(database, id)).toEqual([])
  })

  it('cannot be checked when it is disconnected', async () => {
    const store = await functions.openStore()
    const { id } = await functions.connect(team.manager, team.organizationId, store)
    await call(team.manager, '/integrations/disconnect', { integration_id: id })

    const answer = await check(id)

    expect(answer).toMatchObject({ status: 409, body: { code: 'integration_disconnected' } })
  })
})

function check(integrationId: string) {
  return call<Record<string, unknown>>(team.manager, '/integrations/check', {
    integration_id: integrationId,
  })
}

async function integrationRow(id: string) {
  const [row] = await sql`select * from public.integrations where id = ${id}`
  return row
}
