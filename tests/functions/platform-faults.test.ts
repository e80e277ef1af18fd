// What becomes of a run when the platform misbehaves? It ends with a reason, and deletes nothing.
import { createClient } from '@supabase/supabase-js'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Fault } from '../../scripts/simulators/parts/faults.ts'
import { systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import {
  dataApiDatabase,
  type Database,
} from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { startRun } from '../../supabase/functions/_shared/sync/start-run.ts'
import { liveProducts, productRequests, soundCatalog } from '../support/compare-catalog.ts'
import { endedRun, readLog } from '../support/ended-run.ts'
import { useFunctions } from '../support/functions.ts'
import { forgetThrottling, letTimePass } from '../support/let-time-pass.ts'
import { createTeam, type Team } from '../support/people.ts'
import { testEnvironment } from '../support/environment.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { call, database } = functions
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

/** A store of three pages, synced once, with nothing in its list of requests. */
async function syncedStore(products = 120) {
  const store = await functions.openStore({ products })
  const { id } = await functions.connect(team.manager, team.organizationId, store)
  await functions.syncProducts(team.manager, id)
  store.control.clear()
  return { store, id, sync: () => functions.syncProducts(team.manager, id) }
}
const onProducts = { path: '/product/product_list' }

const lasting: [string, Fault, string][] = [
  ['FAIL with status 200', { kind: 'fail_result' }, 'provider_unavailable'],
  ['success without data', { kind: 'no_data' }, 'provider_bad_answer'],
  ['a web page', { kind: 'html' }, 'provider_bad_answer'],
  ['half an answer', { kind: 'cut_body' }, 'provider_unavailable'],
  ['a dropped connection', { kind: 'reset' }, 'provider_unavailable'],
  ['500', { kind: 'status', status: 500 }, 'provider_unavailable'],
  ['429 without an end', { kind: 'status', status: 429 }, 'provider_rate_limited'],
]
const final: [string, Fault, string][] = [
  ['403', { kind: 'status', status: 403 }, 'provider_forbidden'],
  ['401', { kind: 'status', status: 401 }, 'provider_unauthorized'],
  [
    'a redirect to another host',
    { kind: 'status', status: 302, headers: { location: 'http://elsewhere.example/' } },
    'provider_redirect_refused',
  ],
  ['429 until tomorrow', { kind: 'retry_after', retry_after: 86_400 }, 'provider_rate_limited'],
]

/** Takes seconds to give up, so that one place has to do. */
const isSlow = (name: string) => name === '429 without an end'

describe('a fault that lasts', () => {
  it.each([
    ...lasting.map((fault) => [...fault, 0] as const),
    ...final.map((fault) => [...fault, 0] as const),
    ...final.map((fault) => [...fault, 1] as const),
    ['the same page again', { kind: 'repeated_page' }, 'provider_repeated_page', 1] as const,
  ])(
    '%s fails the run and deletes nothing; after it all is well (%#)',
    async (_, fault, code, after) => {
      const { store, id, sync } = await syncedStore()
      const before = await liveProducts(database, id)
      store.control.remove(2)
      store.control.setFault({ ...onProducts, after, times: null, ...fault } as Fault)

      const failed = await sync()
      const afterFault = await liveProducts(database, id)
      store.control.clearFaults()
      await forgetThrottling(functions)
      const synced = await sync()

      expect(failed).toMatchObject({
        status: 200,
        body: { success: false, status: 'failed', error_code: code, stats: { deleted: 0 } },
      })
      expect(failed.body.error).toMatch(/^Treez \(treez\): \S.*\.$/)
      expect(await readLog(database, failed.body.sync_log_id)).toMatchObject({
        status: 'failed',
        error: { code },
      })
      expect(afterFault).toEqual(before)
      expect(synced.body).toMatchObject({ success: true, stats: { fetched: 118, deleted: 2 } })
      expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
    },
  )

  it.each(lasting.filter(([name]) => !isSlow(name)))(
    '%s in the middle holds the run up, which keeps what it has read',
    async (_, fault, code) => {
      const { store, id, sync } = await syncedStore()
      const before = await liveProducts(database, id)
      store.control.remove(2)
      store.control.setFault({ ...onProducts, after: 1, times: null, ...fault } as Fault)

      const held = await sync()
      const afterFault = await liveProducts(database, id)
      store.control.clearFaults()
      await letTimePass(functions, held.body.sync_log_id)
      const log = await endedRun(database, held.body.sync_log_id)

      expect(held).toMatchObject({
        status: 202,
        body: { success: true, status: 'running', error_code: code, stats: { fetched: 50 } },
      })
      expect(held.body.error).toMatch(/^Treez \(treez\): \S.*\.$/)
      expect(afterFault).toEqual(before)
      expect(log).toMatchObject({
        status: 'success',
        error: null,
        fetched_count: 118,
        deleted_count: 2,
      })
      expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
    },
  )

  it('ends a run that was held up five times at the same place', async () => {
    const { store, id, sync } = await syncedStore()
    const before = await liveProducts(database, id)
    store.control.setFault({ ...onProducts, after: 1, times: null, kind: 'fail_result' })
    const { body } = await sync()

    const statuses: string[] = []
    for (let tries = 1; tries <= 6 && statuses.at(-1) !== 'failed'; tries++) {
      await heldOrEnded(body.sync_log_id)
      await letTimePass(functions, body.sync_log_id)
      await heldOrEnded(body.sync_log_id)
      statuses.push((await readLog(database, body.sync_log_id)).status)
    }

    expect(statuses.at(-1)).toBe('failed')
    expect(await readLog(database, body.sync_log_id)).toMatchObject({
      error: { code: 'provider_unavailable' },
    })
    expect(await liveProducts(database, id)).toEqual(before)
  })
})

/** Waits while a worker holds the run, or should. */
function heldOrEnded(syncLogId: string): Promise<void> {
  return vi.waitFor(async () => {
    const held = await database.admin`
      select 1 from private.sync_runs
      where sync_log_id = ${syncLogId} and (lease_token is not null or run_at <= now())`
    if (held.length > 0) throw new Error('the run is under way')
  }, { timeout: 10_000, interval: 20 })
}

describe('a fault that passes', () => {
  it.each<[string, Fault]>([
    ['429 without Retry-After', { kind: 'status', status: 429 }],
    ['half an answer', { kind: 'cut_body' }],
    ['a dropped connection', { kind: 'reset' }],
    ['503', { kind: 'status', status: 503 }],
    ['a slow answer', { kind: 'slow', delay_ms: 500 }],
  ])('%s is not noticed', async (_, fault) => {
    const { store, id, sync } = await syncedStore()
    store.control.change(5)
    store.control.setFault({ ...onProducts, after: 1, ...fault })

    const { status, body } = await sync()

    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'success', stats: { fetched: 120, updated: 5 } })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('is waited for as long as Retry-After says', async () => {
    const { store, sync } = await syncedStore()
    store.control.setFault({ ...onProducts, kind: 'retry_after', retry_after: 1 })

    const { body } = await sync()

    const [first, second] = store.requests.filter(({ path }) => path.includes('product_list'))
    expect(body).toMatchObject({ status: 'success' })
    expect(Date.parse(second!.at) - Date.parse(first!.at)).toBeGreaterThanOrEqual(1_000)
  })

  it('with a long Retry-After gives the run back, which goes on at its place when the time has come', async () => {
    const { store, id, sync } = await syncedStore()
    store.control.change(60)
    store.control.setFault({ ...onProducts, after: 1, kind: 'retry_after', retry_after: 120 })

    const answer = await sync()
    const [run] = await database.admin`
      select run_at > now() + interval '110 seconds' as is_later from private.sync_runs
      where sync_log_id = ${answer.body.sync_log_id}`
    await letTimePass(functions, answer.body.sync_log_id)
    const log = await endedRun(database, answer.body.sync_log_id)

    expect(answer).toMatchObject({ status: 202, body: { success: true, status: 'running' } })
    expect(run).toEqual({ is_later: true })
    expect(log).toMatchObject({ status: 'success', fetched_count: 120, updated_count: 60 })
    expect(productRequests(store)).toHaveLength(4) // page 1, the refused page 2, then 2 and 3
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('is told at once to whoever asks again meanwhile, with the reason', async () => {
    const { store, id, sync } = await syncedStore()
    store.control.setFault({ ...onProducts, after: 1, kind: 'retry_after', retry_after: 120 })
    const first = await sync()

    const second = await sync()
    const calls = await callsOfStartRun(id)

    expect(second).toMatchObject({
      status: 202,
      body: {
        status: 'running',
        sync_log_id: first.body.sync_log_id,
        error_code: 'provider_rate_limited',
      },
    })
    // one look is enough; a run under way would be looked at for fifty seconds
    expect(calls.filter((name) => name === 'read_sync_log')).toHaveLength(1)
  })
})

/** Asks for a sync once more, in this process, and answers what the engine called in the database. */
async function callsOfStartRun(integrationId: string): Promise<string[]> {
  const { url, secretKey } = sharedStack
  const db = dataApiDatabase(createClient(url, secretKey, { auth: { persistSession: false } }))
  const calls: string[] = []
  const counted: Database = {
    call: (name, args) => {
      calls.push(name)
      return db.call(name, args)
    },
    end: db.end,
  }
  await startRun({
    db: counted,
    environment: testEnvironment(),
    log: createLog({}, () => {}),
    clock: systemClock,
  }, { integration_id: integrationId, stream: 'products', requested_by: null })
  return calls
}

describe('a platform that is down', () => {
  it('is left alone after five failures, until the pause is over', async () => {
    const { store, id, sync } = await syncedStore(10)
    store.control.setFault({ ...onProducts, kind: 'reset', times: null })
    await sync()
    // as if two more calls had failed within these two minutes: each takes a second or two
    await database.owner`
      update private.request_budgets set window_failure_count = window_failure_count + 2
      where window_failure_count > 0`
    for (let failures = 3; failures < 5; failures++) await sync()
    store.control.clear()

    const paused = await sync()
    const callsWhilePaused = store.requests.length
    await database.owner`
      update private.request_budgets set open_until = now() where circuit = 'open'`
    await letTimePass(functions, paused.body.sync_log_id)
    const log = await endedRun(database, paused.body.sync_log_id)

    expect(paused).toMatchObject({ status: 202, body: { status: 'running' } })
    expect(callsWhilePaused).toBe(0)
    expect(log).toMatchObject({ status: 'success', fetched_count: 10 })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })
})

describe('a store that suddenly lists nothing', () => {
  it('deletes nothing until a person allows it', async () => {
    const { store, id, sync } = await syncedStore(40)
    const before = await liveProducts(database, id)
    store.control.setFault({ ...onProducts, kind: 'empty', times: null })

    const held = await sync()
    const afterHeld = await liveProducts(database, id)
    const allowed = await functions.sync(team.manager, id, { allow_mass_delete: true })

    expect(held).toMatchObject({
      status: 200,
      body: { status: 'partial', error_code: 'mass_delete_held', stats: { deleted: 0 } },
    })
    expect(held.body.error).toContain('40 of 40 products')
    expect(afterHeld).toEqual(before)
    expect(allowed.body).toMatchObject({ status: 'success', stats: { fetched: 0, deleted: 40 } })
    expect(await liveProducts(database, id)).toEqual([])
  })

  it('is believed about a few, and asked about many', async () => {
    const { store, id, sync } = await syncedStore(80)
    store.control.remove(10)
    const few = await sync()
    store.control.remove(30)

    const many = await sync()
    const held = await liveProducts(database, id)
    const allowed = await functions.sync(team.manager, id, { allow_mass_delete: true })

    expect(few.body).toMatchObject({ status: 'success', stats: { deleted: 10 } })
    expect(many.body).toMatchObject({ status: 'partial', error_code: 'mass_delete_held' })
    expect(held).toHaveLength(70)
    expect(allowed.body).toMatchObject({ status: 'success', stats: { deleted: 30 } })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('brings everything back when it lists it again', async () => {
    const { store, id, sync } = await syncedStore(20)
    store.control.setFault({ ...onProducts, kind: 'empty', times: null })
    await functions.sync(team.manager, id, { allow_mass_delete: true })
    store.control.clearFaults()

    const { body } = await sync()

    expect(body).toMatchObject({ status: 'success', stats: { fetched: 20, errors: 0 } })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })
})

describe('connecting while the platform is down', () => {
  it('says so, keeps nothing, and works when it is back', async () => {
    const { manager, organizationId } = await createTeam(database)
    const store = await functions.openStore()
    store.control.setFault({ kind: 'status', status: 500, times: null })
    const request = {
      organization_id: organizationId,
      connector: 'treez',
      settings: store.settings,
      credentials: store.credentials.v2,
    }

    const refused = await call(manager, '/integrations/connect', request)
    const kept = await database.admin`
      select 1 from public.integrations where organization_id = ${organizationId}`
    store.control.clearFaults()
    const accepted = await call(manager, '/integrations/connect', request)

    expect(refused).toMatchObject({ status: 503, body: { code: 'provider_unavailable' } })
    expect(kept).toEqual([])
    expect(accepted.status).toBe(200)
  })
})
