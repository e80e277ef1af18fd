// Who gets a run, and who may still write to it? One worker at a time, whatever dies or races.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { callFunction, refusal, useDatabase } from '../support/database.ts'
import { createIntegration, sampleFeed } from '../support/integrations.ts'
import { createPerson } from '../support/people.ts'
import { refusedRecord } from '../support/seeded-organization.ts'
import {
  type ClaimedRun,
  claimRun,
  expireLease,
  finishRun,
  lease,
  openRun,
  page,
  product,
  readLog,
  startSync,
  syncOnce,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, call } = database

const release = (run: ClaimedRun, pauseMs = 0, error: object | null = null) =>
  call('service_role', 'release_sync_run', {
    ...lease(run),
    p_pause_ms: pauseMs,
    p_error: error,
  })
const restart = (run: ClaimedRun) => call('service_role', 'restart_sync_run', lease(run))
const logOf = (id: string) => readLog(database, id)

/** An integration that has been synced, so that runs may be incremental. */
async function createSyncedIntegration() {
  const integration = await createIntegration(database)
  await syncOnce(database, integration.id, [product('1')])
  return integration
}

describe('starting a sync', () => {
  it('queues a run and answers its log', async () => {
    const person = await createPerson(database)
    const integration = await createIntegration(database)

    const log = await startSync(database, integration.id, { requestedBy: person.id })

    expect(log).toMatchObject({
      integration_id: integration.id,
      status: 'queued',
      sync_type: 'manual',
      mode: 'full',
      requested_by: person.id,
      started_at: null,
      finished_at: null,
    })
  })

  it('joins a run that is queued already, and makes it full when one asks for that', async () => {
    const { id } = await createSyncedIntegration()

    const first = await startSync(database, id, { mode: 'incremental' })
    const second = await startSync(database, id, { mode: 'full' })
    const third = await startSync(database, id, { mode: 'incremental' })

    expect([second.id, third.id]).toEqual([first.id, first.id])
    expect([first.mode, second.mode, third.mode]).toEqual(['incremental', 'full', 'full'])
  })

  it('joins a running run that does as much, and queues behind one that does less', async () => {
    const { id } = await createSyncedIntegration()
    const running = await openRun(database, id, { mode: 'incremental' })

    const same = await startSync(database, id, { mode: 'incremental' })
    const more = await startSync(database, id, { mode: 'full' })
    const again = await startSync(database, id, { mode: 'full' })

    expect(same).toMatchObject({ id: running.sync_log_id, status: 'running' })
    expect(more).toMatchObject({ status: 'queued', mode: 'full' })
    expect(more.id).not.toBe(running.sync_log_id)
    expect(again.id).toBe(more.id)
  })

  it('with leave to delete much does not join a running run without it', async () => {
    const { id } = await createSyncedIntegration()
    const running = await openRun(database, id, { mode: 'full' })

    const allowed = await startSync(database, id, { mode: 'full', allowMassDelete: true })
    await finishRun(database, running)
    const run = await claimRun(database, allowed.id)
    await writePage(database, run!, [], {
      progress: { scanning: true, scan_started_at: '2026-03-01T00:00:00Z' },
    })

    expect(allowed.id).not.toBe(running.sync_log_id)
    expect(await call('service_role', 'list_absent', lease(run!))).toMatchObject({
      absent: 1,
      held: false,
    })
  })

  it('by two callers at once makes one run', async () => {
    const { id } = await createSyncedIntegration()

    const logs = await Promise.all(Array.from({ length: 5 }, () => startSync(database, id)))

    expect(new Set(logs.map((log) => log.id)).size).toBe(1)
  })

  it('for more than the queued run does, while a worker takes that run, queues another', async () => {
    const { id } = await createSyncedIntegration()
    const less = await startSync(database, id, { mode: 'incremental' })
    const worker = await openTransaction(database, 'service_role')
    await callFunction(worker.sql, 'claim_sync_run', { p_sync_log_id: less.id })

    const starting = startSync(database, id, { mode: 'full' })
    await someoneWaitsForALock(database)
    await worker.commit()
    const more = await starting

    expect(more).toMatchObject({ status: 'queued', mode: 'full' })
    expect(await logOf(less.id)).toMatchObject({ status: 'running', mode: 'incremental' })
  })

  it.each(
    [
      ['full when nothing was ever read', 'scheduled', null, 'full'],
      ['full by hand', 'manual', '10 minutes', 'full'],
      ['incremental by schedule', 'scheduled', '10 minutes', 'incremental'],
      ['incremental by webhook', 'webhook', '10 minutes', 'incremental'],
      ['full by schedule a day after the last full run', 'scheduled', '1441 minutes', 'full'],
    ] as const,
  )('is %s', async (_, type, lastFullSync, mode) => {
    const { id } = await createIntegration(database)
    if (lastFullSync) {
      await syncOnce(database, id, [])
      await admin`
        update public.sync_streams set last_full_sync_at = now() - ${lastFullSync}::interval
        where integration_id = ${id}`
    }

    expect(await startSync(database, id, { type })).toMatchObject({ mode, sync_type: type })
  })

  it('is always full for a connector that cannot ask for what changed', async () => {
    const { id } = await createIntegration(database, { connector: sampleFeed })
    await syncOnce(database, id, [])

    expect(await startSync(database, id, { mode: 'incremental' })).toMatchObject({ mode: 'full' })
  })

  it('is refused for what is not there, beside the same asked of what is', async () => {
    const { id } = await createIntegration(database)

    await expect(startSync(database, randomUUID())).rejects.toMatchObject(
      refusal('integration_not_found'),
    )
    await expect(startSync(database, id, { stream: 'orders' })).rejects.toMatchObject(
      refusal('stream_not_found'),
    )
    await expect(startSync(database, id)).resolves.toMatchObject({ status: 'queued' })
  })
})

describe('claiming', () => {
  it('hands out the run with everything the engine needs', async () => {
    const integration = await createIntegration(database, { credentials: { api_key: 'k' } })
    const log = await startSync(database, integration.id)

    const run = await claimRun(database, log.id)

    expect(run).toMatchObject({
      sync_log_id: log.id,
      stream: 'products',
      mode: 'full',
      progress: {},
      has_rows: false,
      since: null,
      batch_size: 2000,
      integration: { id: integration.id },
      credentials_id: expect.any(String),
      credentials: { api_key: 'k' },
      token: null,
    })
    expect(await logOf(log.id)).toMatchObject({ status: 'running', attempt_count: 1 })
  })

  it('by two workers at once gives the run to one of them', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)

    const claims = await Promise.all(Array.from({ length: 5 }, () => claimRun(database, log.id)))

    expect(claims.filter((run) => run !== null)).toHaveLength(1)
  })

  it('again with the same lease token, as when the answer was lost, answers the same run', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    const token = randomUUID()

    const first = await claimRun(database, log.id, token)
    const again = await claimRun(database, log.id, token)
    const other = await claimRun(database, log.id)

    expect(first).toMatchObject({ sync_log_id: log.id, lease_token: token })
    expect(again).toEqual(first)
    expect(other).toBeNull()
    expect(await logOf(log.id)).toMatchObject({ attempt_count: 1 })
  })

  it('with a lease token that was taken away takes a run up anew', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    const old = await claimRun(database, log.id)
    await release(old!)

    const next = await claimRun(database, log.id, old!.lease_token)

    expect(next).toMatchObject({ sync_log_id: log.id })
    expect(await logOf(log.id)).toMatchObject({ attempt_count: 2 })
  })

  it("while another worker's claim is not committed gives nothing, without waiting", async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    const other = await openTransaction(database, 'service_role')
    await callFunction(other.sql, 'claim_sync_run', { p_sync_log_id: log.id })

    const second = await claimRun(database, log.id)
    await other.rollBack()

    expect(second).toBeNull()
    expect(await claimRun(database, log.id)).toMatchObject({ sync_log_id: log.id })
  })

  it('without naming a run gives out each due run once', async () => {
    const logs = await Promise.all(
      (await Promise.all([1, 2, 3].map(() => createIntegration(database)))).map(({ id }) =>
        startSync(database, id)
      ),
    )
    await admin`
      update private.sync_runs set run_at = now() - interval '1 day'
      where sync_log_id in ${admin(logs.map((log) => log.id))}` // ahead of what other tests left

    const claims = await Promise.all(
      logs.map(() => call<ClaimedRun | null>('service_role', 'claim_sync_run')),
    )

    expect(claims.map((run) => run?.sync_log_id).toSorted()).toEqual(
      logs.map((log) => log.id).toSorted(),
    )
  })

  it('keeps a queued run waiting behind a running one, then gives it out', async () => {
    const { id } = await createSyncedIntegration()
    const running = await openRun(database, id, { mode: 'incremental' })
    const behind = await startSync(database, id, { mode: 'full' })

    const early = await claimRun(database, behind.id)
    await finishRun(database, running)

    expect(early).toBeNull()
    expect(await claimRun(database, behind.id)).toMatchObject({ sync_log_id: behind.id })
  })

  it('gives out a run whose lease ran out, from its last committed page, and not before', async () => {
    const { id } = await createIntegration(database)
    const dead = await openRun(database, id)
    await writePage(database, dead, [product('1')], { progress: { cursor: 'page 2' } })

    const early = await claimRun(database, dead.sync_log_id)
    await expireLease(database, dead)
    const next = await claimRun(database, dead.sync_log_id)

    expect(early).toBeNull()
    expect(next).toMatchObject({ progress: { batch_count: 1, cursor: 'page 2' }, has_rows: true })
    expect(next?.lease_token).not.toBe(dead.lease_token)
    expect(await logOf(dead.sync_log_id)).toMatchObject({ status: 'running', attempt_count: 2 })
  })

  it('gives up after five workers died at the same place, and says so', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    for (let worker = 0; worker < 5; worker++) {
      await claimRun(database, log.id)
      await expireLease(database, { sync_log_id: log.id })
    }

    const sixth = await claimRun(database, log.id)

    expect(sixth).toBeNull()
    expect(await logOf(log.id)).toMatchObject({
      status: 'failed',
      error: { code: 'worker_died', next: 'developer' },
    })
  })

  it('does not give up on workers that each commit a page before they die', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    for (let worker = 1; worker <= 6; worker++) {
      const run = await claimRun(database, log.id)
      await writePage(database, run!, [product(`${worker}`)], {
        number: worker,
        progress: { phase: 'pages', cursor: `page ${worker + 1}` },
      })
      await expireLease(database, { sync_log_id: log.id })
    }

    expect(await claimRun(database, log.id)).toMatchObject({ progress: { batch_count: 6 } })
  })

  it('gives up on workers that each commit a part of the same page: the next one begins with it again', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    const samePlace = { phase: 'pages', cursor: 'page 2' }
    const first = await claimRun(database, log.id)
    await writePage(database, first!, [product('0')], { number: 1, progress: samePlace })
    await release(first!)
    for (let worker = 2; worker <= 6; worker++) {
      const run = await claimRun(database, log.id)
      await writePage(database, run!, [product(`${worker}`)], {
        number: worker,
        progress: samePlace,
      })
      await expireLease(database, { sync_log_id: log.id })
    }

    expect(await claimRun(database, log.id)).toBeNull()
    expect(await logOf(log.id)).toMatchObject({ status: 'failed', error: { code: 'worker_died' } })
  })

  it('does not give up on a run whose pages have ended and whose next phase has begun', async () => {
    const { id } = await createIntegration(database)
    const log = await startSync(database, id)
    for (const [index, phase] of ['pages', 'pages', 'pages', 'pages', 'absent'].entries()) {
      const run = await claimRun(database, log.id)
      await writePage(database, run!, [], {
        number: index + 1,
        progress: { phase, cursor: null },
      })
      await expireLease(database, { sync_log_id: log.id })
    }

    const sixth = await claimRun(database, log.id)

    expect(sixth).toMatchObject({ progress: { phase: 'absent' } })
    const [run] =
      await admin`select attempt_count from private.sync_runs where sync_log_id = ${log.id}`
    expect(run).toEqual({ attempt_count: 1 })
  })

  it.each(
    [
      ['disconnected', 'disconnect_integration', {}, 'integration_disconnected'],
      ['paused', 'update_integration', { p_paused: true }, 'integration_paused'],
    ] as const,
  )(
    'ends a run that was asked for at the moment its integration was %s',
    async (_, name, args, code) => {
      const { id } = await createIntegration(database)
      const stopping = await openTransaction(database, 'service_role')
      await callFunction(stopping.sql, name, { p_integration_id: id, ...args })
      const log = await startSync(database, id) // still sees it connected
      await stopping.commit()

      const run = await claimRun(database, log.id)

      expect(run).toBeNull()
      expect(await logOf(log.id)).toMatchObject({
        status: 'failed',
        error: { code, next: 'owner' },
      })
    },
  )

  it('with a lease shorter than the longest call is refused', async () => {
    const { id } = await createIntegration(database)
    const { id: p_sync_log_id } = await startSync(database, id)
    const claimFor = (seconds: number) =>
      call('service_role', 'claim_sync_run', { p_sync_log_id, p_lease_seconds: seconds })

    await expect(claimFor(149)).rejects.toMatchObject({
      constraint_name: 'sync_runs_lease_outlives_a_call',
    })
    await expect(claimFor(150)).resolves.toMatchObject({ sync_log_id: p_sync_log_id })
  })
})

describe('a worker whose run was taken over', () => {
  const writes: [name: string, args: (run: ClaimedRun) => Record<string, unknown>][] = [
    ['write_sync_page', (run) => page(run, [product('1')])],
    ['write_sync_page', (run) => page(run, [product('1')], { ask: true })],
    ['list_absent', lease],
    ['delete_absent', (run) => ({ ...lease(run), p_source_ids: [], p_progress: {} })],
    ['release_sync_run', lease],
    ['restart_sync_run', lease],
    ['finish_sync_run', (run) => ({ ...lease(run), p_status: 'success' })],
  ]

  it.each(writes)('finds its lease lost in %s; who holds it does not', async (name, args) => {
    const { id } = await createIntegration(database)
    const old = await openRun(database, id)
    await expireLease(database, old)
    const current = await claimRun(database, old.sync_log_id)

    await expect(call('service_role', name, args(old))).rejects.toMatchObject(refusal('lease_lost'))
    await expect(call('service_role', name, args(current!))).resolves.toBeDefined()
  })

  it('may go on when its lease ran out but nobody took it', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await expireLease(database, run)

    await writePage(database, run, [product('1')])

    expect(await claimRun(database, run.sync_log_id)).toBeNull() // the page renewed the lease
  })

  it('in the middle of a write keeps the run until the write is committed', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await expireLease(database, run)
    const slow = await openTransaction(database, 'service_role')
    await callFunction(slow.sql, 'write_sync_page', page(run, [product('1')]))

    const meanwhile = await claimRun(database, run.sync_log_id)
    await slow.commit()

    expect(meanwhile).toBeNull()
    expect(await claimRun(database, run.sync_log_id)).toBeNull()
  })
})

describe('giving a run back', () => {
  it('makes it due at once, under a new lease', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await release(run)

    const next = await claimRun(database, run.sync_log_id)
    expect(next?.lease_token).not.toBe(run.lease_token)
    await expect(release(run)).rejects.toMatchObject(refusal('lease_lost'))
  })

  it('with a pause makes it due after that', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await release(run, 60_000)

    const early = await claimRun(database, run.sync_log_id)
    await admin`
      update private.sync_runs set run_at = run_at - interval '60 seconds'
      where sync_log_id = ${run.sync_log_id}`
    expect(early).toBeNull()
    expect(await claimRun(database, run.sync_log_id)).toMatchObject({ stream: 'products' })
  })

  it('five times for a reason fails the run for that reason', async () => {
    const { id } = await createIntegration(database)
    const error = { code: 'provider_unavailable', message: 'It is down.', next: 'retry' }
    const log = await startSync(database, id)
    for (let time = 0; time < 5; time++) {
      await release((await claimRun(database, log.id))!, 0, error)
    }

    expect(await claimRun(database, log.id)).toBeNull()
    expect(await logOf(log.id)).toMatchObject({ status: 'failed', error })
  })

  it('for a reason shows the reason while it waits; a success leaves none', async () => {
    const [quiet, hindered] = [await createIntegration(database), await createIntegration(database)]
    const error = { code: 'provider_rate_limited', message: 'Too many calls.', next: 'retry' }
    const spent = await openRun(database, quiet.id)
    const run = await openRun(database, hindered.id)

    await release(spent)
    await release(run, 0, error)

    expect(await logOf(spent.sync_log_id)).toMatchObject({ status: 'running', error: null })
    expect(await logOf(run.sync_log_id)).toMatchObject({ status: 'running', error })
    const next = await claimRun(database, run.sync_log_id)
    expect(await finishRun(database, next!)).toMatchObject({ status: 'success', error: null })
  })
})

describe('reading from the start again', () => {
  const readPages = (run: ClaimedRun) =>
    writePage(database, run, [product('1'), product('2')], {
      progress: { scanning: true },
      refused: [refusedRecord('broken')],
    })

  it('forgets the place and what was seen', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await readPages(run)

    await restart(run)

    await release(run)
    const seen = await admin`select 1 from private.sync_seen where sync_log_id = ${run.sync_log_id}`
    expect(await claimRun(database, run.sync_log_id)).toMatchObject({ progress: {} })
    expect(seen).toEqual([])
  })

  it('counts what is read again once, and what was written as written', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await readPages(run)

    await restart(run)
    await readPages(run)

    expect(await finishRun(database, run)).toMatchObject({
      status: 'partial',
      fetched_count: 3,
      created_count: 2,
      unchanged_count: 2,
      error_count: 1,
    })
  })

  it('happens three times at most: a platform that forgets every place would be read for ever', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    for (let time = 0; time < 3; time++) await restart(run)

    await expect(restart(run)).rejects.toMatchObject(refusal('provider_cursor_expired'))
    expect(await finishRun(database, run)).toMatchObject({ status: 'success' })
  })
})
