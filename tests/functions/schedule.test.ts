// When does a sync run that nobody asks for, and what if it fails?
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { liveProducts, productRequests, soundCatalog } from '../support/compare-catalog.ts'
import { endedRun } from '../support/ended-run.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import type { SyncLogRow } from '../support/sync-runs.ts'

const functions = useFunctions()
const { database, remote } = functions
const { admin: sql } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
  await nothingIsDue()
})

/** What other tests have connected keeps out of the way. */
async function nothingIsDue(): Promise<void> {
  await sql`update public.sync_streams set next_sync_at = now() + interval '1 day'`
}

async function connectedStore(options: Record<string, unknown> = {}) {
  const store = await functions.openStore()
  const { id } = await functions.connect(team.manager, team.organizationId, store, options)
  return { store, id }
}

/** Runs the minute's job, and waits for the run that it queued for this integration. */
async function scheduledRun(integrationId: string): Promise<SyncLogRow> {
  const before = await runsOf(integrationId)
  await sql`update private.worker_wakes set rung_at = null`
  await remote.runCron('queue-due-syncs')
  const run = (await runsOf(integrationId)).find(({ id }) => !before.some((old) => old.id === id))
  if (!run) throw new Error('nothing was queued')
  return await endedRun(database, run.id)
}

const runsOf = (integrationId: string) =>
  sql<SyncLogRow[]>`
    select * from public.sync_logs where integration_id = ${integrationId} order by created_at`

/** Minutes until the schedule takes the stream up, rounded. */
async function minutesToNext(integrationId: string): Promise<number> {
  const [row] = await sql`
    select round(extract(epoch from next_sync_at - now()) / 60)::int as minutes
    from public.sync_streams where integration_id = ${integrationId}`
  return row?.minutes
}

const makeDue = (integrationId: string) =>
  sql`update public.sync_streams set next_sync_at = now() where integration_id = ${integrationId}`

const integrationRow = async (id: string) =>
  (await sql`select * from public.integrations where id = ${id}`)[0]

describe('a stream that is due', () => {
  it('is queued by the minute, run by a woken worker, and due again after its interval', async () => {
    const { store, id } = await connectedStore({ sync_interval_minutes: 45 })

    const log = await scheduledRun(id)
    await remote.runCron('queue-due-syncs')

    expect(log).toMatchObject({
      sync_type: 'scheduled',
      mode: 'full',
      status: 'success',
      requested_by: null,
      created_count: 12,
    })
    expect(await runsOf(id)).toHaveLength(1)
    expect(await minutesToNext(id)).toBe(45)
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('reads what changed, and everything once a day', async () => {
    const { store, id } = await connectedStore()
    const modes: string[] = [(await scheduledRun(id)).mode]
    store.control.change(1)
    await makeDue(id)
    const incremental = await scheduledRun(id)
    modes.push(incremental.mode)
    await sql`update public.sync_streams set last_full_sync_at = now() - interval '25 hours'
      where integration_id = ${id}`
    await makeDue(id)

    modes.push((await scheduledRun(id)).mode)

    expect(modes).toEqual(['full', 'incremental', 'full'])
    expect(incremental).toMatchObject({ updated_count: 1 })
  })

  it('is left alone while the integration is paused or the stream is switched off', async () => {
    const paused = await connectedStore()
    const off = await connectedStore()
    const running = await connectedStore()
    await sql`update public.integrations set status = 'paused' where id = ${paused.id}`
    await database.actAs(
      team.manager,
      (mine) =>
        mine`update public.sync_streams set enabled = false where integration_id = ${off.id}`,
    )

    await scheduledRun(running.id)

    expect(await runsOf(paused.id)).toEqual([])
    expect(await runsOf(off.id)).toEqual([])
  })
})

describe('failures in a row', () => {
  it('put the integration into error at the third, with growing pauses; a success resets them', async () => {
    const { store, id } = await connectedStore()
    store.control.setFault({ kind: 'fail_result', path: 'product_list', times: null })

    const seen = []
    for (let failures = 1; failures <= 4; failures++) {
      await makeDue(id)
      const log = await scheduledRun(id)
      const { status, consecutive_failures } = await integrationRow(id) ?? {}
      seen.push([log.status, consecutive_failures, status, await minutesToNext(id)])
    }
    store.control.clearFaults()
    await makeDue(id)
    const recovered = await scheduledRun(id)

    expect(seen).toEqual([
      ['failed', 1, 'connected', 1],
      ['failed', 2, 'connected', 5],
      ['failed', 3, 'error', 15],
      ['failed', 4, 'error', 60],
    ])
    expect(recovered).toMatchObject({ status: 'success' })
    expect(await integrationRow(id)).toMatchObject({
      status: 'connected',
      consecutive_failures: 0,
      last_error: null,
    })
    expect(await minutesToNext(id)).toBe(60)
    const trail = await sql`
      select action, outcome from public.activity_logs
      where subject_id = ${id} order by created_at`
    expect(trail).toEqual([
      { action: 'integration.connected', outcome: 'success' },
      { action: 'integration.failed', outcome: 'failure' },
      { action: 'integration.recovered', outcome: 'success' },
    ])
  })

  it('that only the owner can mend wait an hour at once', async () => {
    const { store, id } = await connectedStore()
    store.control.revokeCredentials()

    const log = await scheduledRun(id)

    expect(log).toMatchObject({ status: 'failed', error: { next: 'owner' } })
    expect(await integrationRow(id)).toMatchObject({ status: 'error', consecutive_failures: 1 })
    expect(await minutesToNext(id)).toBe(60)
  })
})

describe('runs of one stream', () => {
  it('do not run side by side: a scheduled one finds the one by hand', async () => {
    const { store, id } = await connectedStore()
    store.control.setFault({ kind: 'slow', delay_ms: 500, path: 'product_list' })

    const byHand = functions.syncProducts(team.manager, id)
    await vi.waitFor(async () => expect(await runsOf(id)).toHaveLength(1), { interval: 10 })
    await remote.runCron('queue-due-syncs')
    const { body } = await byHand

    expect((await runsOf(id)).map(({ id, sync_type }) => ({ id, sync_type }))).toEqual([
      { id: body.sync_log_id, sync_type: 'manual' },
    ])
    expect(productRequests(store)).toHaveLength(2) // one proved the account when it was connected
  })
})

describe("the account's request budget", () => {
  beforeAll(() => database.admin`alter table private.request_budgets disable trigger hurry`)
  afterAll(() => database.admin`alter table private.request_budgets enable trigger hurry`)

  it('keeps two stores of one partner together below what Treez allows', async () => {
    const clientId = `partner-${team.organizationId}`
    const openOne = () => functions.openStore({ products: 500, requestsPerSecond: 10, clientId })
    const stores = [await openOne(), await openOne()]
    const integrations = await Promise.all(
      stores.map((store) => functions.connect(team.manager, team.organizationId, store)),
    )

    for (const store of stores) store.control.clear()
    const answers = await Promise.all(
      integrations.map(({ id }) => functions.syncProducts(team.manager, id)),
    )

    const requests = stores.flatMap((store) => store.requests)
    const times = requests.map(({ at }) => Date.parse(at))
    const least = (requests.length - 1) * 100 // ten a second
    expect(answers.map(({ body }) => body.stats.created)).toEqual([500, 500])
    expect(requests.filter(({ status }) => status === 429)).toEqual([])
    expect(requests.length).toBeGreaterThanOrEqual(20)
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThanOrEqual(least)
  })
})
