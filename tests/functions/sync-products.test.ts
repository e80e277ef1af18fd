// What do existing front ends get from sync-products?
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { liveProducts, productRequests, soundCatalog } from '../support/compare-catalog.ts'
import { endedRun, readLog } from '../support/ended-run.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { letTimePass } from '../support/let-time-pass.ts'
import { createTeam, type Team } from '../support/people.ts'
import { nobodyIsRung, workersAreGone, workersAreRung } from '../support/worker-rings.ts'

const functions = useFunctions()
const { call, database } = functions
let team: Team
beforeAll(() => workersAreGone(database))
beforeAll(async () => {
  team = await createTeam(database)
})
afterEach(() => workersAreRung(database))
afterAll(() => expectEventsToFit(database))

async function connectedStore(options: Parameters<typeof functions.openStore>[0] = {}) {
  const store = await functions.openStore(options)
  const integration = await functions.connect(team.manager, team.organizationId, store)
  store.control.clear()
  return { store, integration }
}

describe('the answer', () => {
  it('has success, sync_log_id and stats, and no error when nothing is wrong', async () => {
    const { store, integration } = await connectedStore({ products: 120 })

    const answer = await functions.syncProducts(team.manager, integration.id)

    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      success: true,
      sync_log_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      stats: {
        fetched: 120,
        created: 120,
        updated: 0,
        unchanged: 0,
        deleted: 0,
        errors: 0,
        pushed: 0,
        conflicts: 0,
        failed: 0,
      },
      status: 'success',
    })
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(store))
  })

  it('counts what changed, what did not, and what is gone', async () => {
    const { store, integration } = await connectedStore({ products: 60 })
    await functions.syncProducts(team.manager, integration.id)
    store.control.change(3)
    store.control.sell(1)
    store.control.add(2)
    store.control.remove(4)

    const { body } = await functions.syncProducts(team.manager, integration.id)

    const { fetched, created, deleted, errors } = body.stats
    expect({ fetched, created, deleted, errors })
      .toEqual({ fetched: 58, created: 2, deleted: 4, errors: 0 })
    expect(body.stats.updated + body.stats.unchanged).toBe(56)
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(store))
  })

  it('is a success with an error text when records were refused', async () => {
    const { store, integration } = await connectedStore({ products: 20 })
    store.control.breakRecords(3)

    const { status, body } = await functions.syncProducts(team.manager, integration.id)

    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: true,
      stats: { fetched: 20, created: 17, updated: 0, unchanged: 0, errors: 3 },
      error: expect.stringContaining('3 records were refused'),
    })
    expect(await readLog(database, body.sync_log_id)).toMatchObject({
      status: 'partial',
      fetched_count: 20,
      created_count: 17,
      error_count: 3,
    })
  })

  it('is 200 without success when the platform is at fault', async () => {
    const { store, integration } = await connectedStore()
    store.control.setFault({ kind: 'html', times: null })

    const { status, body } = await functions.syncProducts(team.manager, integration.id)

    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: false,
      stats: { fetched: 0, created: 0, updated: 0, unchanged: 0, errors: 0 },
      error: expect.stringContaining(integration.name),
    })
  })

  it('is 202 and running for a catalog of more than one slice, which then ends by itself', {
    timeout: 120_000,
  }, async () => {
    const { store, integration } = await connectedStore({ products: 10_120, recordSize: 'compact' })
    await nobodyIsRung(database) // the next worker might be done before the answer is

    const { status, body } = await functions.syncProducts(team.manager, integration.id)
    const atAnswer = await readLog(database, body.sync_log_id)
    await workersAreRung(database)
    await letTimePass(functions, body.sync_log_id)
    const log = await endedRun(database, body.sync_log_id)

    expect(status).toBe(202)
    expect(body).toMatchObject({
      success: true,
      status: 'running',
      stats: { fetched: 10_000, created: 10_000, updated: 0, unchanged: 0, errors: 0 },
    })
    expect(atAnswer).toMatchObject({ id: log.id, status: 'running', finished_at: null })
    expect(log).toMatchObject({
      status: 'success',
      fetched_count: 10_120,
      created_count: 10_120,
      attempt_count: 2,
    })
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(store))
  })
})

describe('a call that does not wait', () => {
  it('is answered at once, and the run is done all the same', { timeout: 60_000 }, async () => {
    const { store, integration } = await connectedStore({ products: 120 })
    store.control.setFault({ kind: 'slow', delay_ms: 500, times: 1, path: 'product_list' })

    const { status, body } = await functions.sync(team.manager, integration.id, { wait: false })
    const log = await endedRun(database, body.sync_log_id)

    expect(status).toBe(202)
    expect(body).toMatchObject({ success: true, status: 'running', stats: { fetched: 0 } })
    expect(log).toMatchObject({
      status: 'success',
      fetched_count: 120,
      requested_by: team.manager.id,
    })
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(store))
  })
})

describe('who asked', () => {
  async function recorded(syncLogId: string) {
    const [activity] = await database.admin`
      select actor_type, actor_id from public.activity_logs where subject_id = ${syncLogId}`
    const { requested_by } = await readLog(database, syncLogId)
    return { requested_by, ...activity }
  }

  it('is who the token says, whatever triggered_by says', async () => {
    const { integration } = await connectedStore()

    const { body } = await call<{ sync_log_id: string }>(team.manager, '/sync-products', {
      integration_id: integration.id,
      triggered_by: team.owner.id,
    })

    expect(await recorded(body.sync_log_id)).toEqual({
      requested_by: team.manager.id,
      actor_type: 'user',
      actor_id: team.manager.id,
    })
  })

  it('is the service for the secret key, whatever triggered_by says', async () => {
    const { integration } = await connectedStore()

    const { body } = await call<{ sync_log_id: string }>('secret key', '/sync-products', {
      integration_id: integration.id,
      triggered_by: team.owner.id,
    })

    expect(await recorded(body.sync_log_id)).toEqual({
      requested_by: null,
      actor_type: 'service',
      actor_id: null,
    })
  })
})

describe('two at once', () => {
  it('get the same run, which reads the store once', async () => {
    const { store, integration } = await connectedStore({ products: 120 })
    store.control.setFault({ kind: 'slow', delay_ms: 300, times: 3, path: 'product_list' })

    const answers = await Promise.all([
      functions.syncProducts(team.manager, integration.id),
      functions.syncProducts(team.owner, integration.id),
    ])

    expect(answers[0].body).toEqual(answers[1].body)
    expect(answers[0].body).toMatchObject({
      success: true,
      status: 'success',
      stats: { created: 120 },
    })
    expect(productRequests(store)).toHaveLength(3)
    const [{ count }] = await database.admin`
      select count(*)::int as count from public.sync_logs
      where integration_id = ${integration.id}` as unknown as [{ count: number }]
    expect(count).toBe(1)
  })
})
