// What if things happen to an integration while its run is under way?
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { betweenPages } from '../support/between-pages.ts'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { endedRun } from '../support/ended-run.ts'
import { type SyncAnswer, useFunctions } from '../support/functions.ts'
import { letTimePass } from '../support/let-time-pass.ts'
import { createTeam, type Team } from '../support/people.ts'
import { nobodyIsRung, workersAreGone, workersAreRung } from '../support/worker-rings.ts'

const functions = useFunctions()
const { call, database } = functions
let team: Team
let store: TreezSimulator
let id: string
beforeEach(async () => {
  team = await createTeam(database)
  store = await functions.openStore({ products: 120 })
  id = (await functions.connect(team.manager, team.organizationId, store)).id
  store.control.clear()
})
beforeAll(() => workersAreGone(database))
afterEach(() => workersAreRung(database))

const whileRunning = (
  work: () => unknown,
  sync = () => functions.syncProducts(team.manager, id),
): Promise<SyncAnswer> => betweenPages(store, sync, work)

const runsOf = (integrationId: string) =>
  database.admin`
    select status, mode, error ->> 'code' as code from public.sync_logs
    where integration_id = ${integrationId} order by created_at`

/** Changes with each call of start_sync: whoever locks a row leaves the transaction's id in it. */
async function streamLock(): Promise<string> {
  const [stream] = await database.admin`
    select xmax::text from public.sync_streams where integration_id = ${id}`
  return stream?.xmax
}

describe('a run under way', () => {
  it('ends when the account is disconnected, and writes nothing afterwards', async () => {
    const answer = await whileRunning(() =>
      call(team.manager, '/integrations/disconnect', { integration_id: id, delete_data: true })
    )

    expect(answer).toMatchObject({
      status: 200,
      body: { success: false, status: 'failed', error_code: 'integration_disconnected' },
    })
    expect(await liveProducts(database, id)).toEqual([])
  })

  it('ends when the integration is paused', async () => {
    const answer = await whileRunning(() =>
      call(team.manager, '/integrations/update', { integration_id: id, paused: true })
    )

    expect(answer).toMatchObject({
      status: 200,
      body: { success: false, status: 'failed', error_code: 'integration_paused' },
    })
  })

  it('goes on with new credentials when they are saved', async () => {
    await nobodyIsRung(database) // the next worker might be done before the answer is
    const answer = await whileRunning(() =>
      call(team.manager, '/integrations/update', {
        integration_id: id,
        credentials: store.credentials.v2,
      })
    )
    await workersAreRung(database)
    await letTimePass(functions, answer.body.sync_log_id)
    const log = await endedRun(database, answer.body.sync_log_id)

    expect(answer).toMatchObject({ status: 202, body: { success: true, status: 'running' } })
    expect(log).toMatchObject({ status: 'success', created_count: 120 })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('is answered as not found when its organization is deleted', async () => {
    const answer = await whileRunning(() =>
      database.admin`delete from public.organizations where id = ${team.organizationId}`
    )

    expect(answer).toMatchObject({ status: 404, body: { code: 'integration_not_found' } })
    expect(await database.admin`select 1 from public.products where integration_id = ${id}`)
      .toEqual([])
  })

  it('is joined by whoever asks for no more than it does', async () => {
    let joined: Promise<SyncAnswer> | undefined
    const first = await whileRunning(async () => {
      const before = await streamLock()
      joined = functions.sync(team.owner, id, { mode: 'incremental' })
      await vi.waitFor(async () => expect(await streamLock()).not.toBe(before), {
        interval: 5,
        timeout: 10_000,
      })
    })
    const second = await joined

    expect(second?.body).toEqual(first.body)
    expect(await runsOf(id)).toHaveLength(1)
  })

  it('is followed by another when a full one is asked for while a delta is read', async () => {
    await functions.syncProducts(team.manager, id)
    store.control.remove(2)
    store.control.change(60)
    store.control.clear()
    let full: Promise<SyncAnswer> | undefined

    const delta = await whileRunning(
      async () => {
        full = functions.sync(team.owner, id, { mode: 'full' })
        await vi.waitFor(async () => expect(await runsOf(id)).toHaveLength(3), {
          interval: 5,
          timeout: 10_000,
        })
      },
      () => functions.sync(team.manager, id, { mode: 'incremental' }),
    )
    const log = await endedRun(database, (await full)!.body.sync_log_id)

    expect(delta.body).toMatchObject({ status: 'success', stats: { updated: 60, deleted: 0 } })
    expect(log).toMatchObject({ mode: 'full', status: 'success', deleted_count: 2 })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })
})

describe('an account', () => {
  it('that is connected twice at once is one integration with one set of credentials', async () => {
    const other = await functions.openStore()

    const connected = await Promise.all([
      functions.connect(team.manager, team.organizationId, other),
      functions.connect(team.owner, team.organizationId, other),
    ])

    const key = other.credentials.v2.api_key
    const held = await database.admin`
      select 1 from vault.decrypted_secrets where decrypted_secret like ${`%${key}%`}`
    expect(connected[0].id).toBe(connected[1].id)
    expect(held).toHaveLength(1)
  })

  it('is asked for a token once, which all runs share', async () => {
    await functions.syncProducts(team.manager, id)
    await functions.syncProducts(team.manager, id)

    expect(store.requests.filter(({ path }) => path.includes('gettokens'))).toEqual([])
  })

  it('has its rows brought up to date when its settings change', async () => {
    await functions.syncProducts(team.manager, id)
    const updated = await call(team.manager, '/integrations/update', {
      integration_id: id,
      settings: { ...store.settings, currency: 'CAD' },
    })

    const { body } = await functions.syncProducts(team.manager, id)

    const currencies = await database.admin`
      select distinct price_currency from public.products
      where integration_id = ${id} and deleted_at is null`
    expect(updated.status).toBe(200)
    expect(body.stats).toMatchObject({ updated: 120, unchanged: 0 })
    expect(currencies).toEqual([{ price_currency: 'CAD' }])
  })
})
