// What does the end of a run mean for the integration, the cursor and the next run?
import { afterAll, describe, expect, it } from 'vitest'
import { useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { createIntegration } from '../support/integrations.ts'
import { refusedRecord } from '../support/seeded-organization.ts'
import { finishRun, openRun, product, syncOnce, writePage } from '../support/sync-runs.ts'

const database = useDatabase()
afterAll(() => expectEventsToFit(database))
const { admin } = database

const unavailable = { code: 'provider_unavailable', message: 'It is down.', next: 'retry' }
const unauthorized = { code: 'provider_unauthorized', message: 'The key is wrong.', next: 'owner' }

async function runWith(integrationId: string, error: typeof unavailable | null = null) {
  const run = await openRun(database, integrationId)
  return await finishRun(database, run, error ? 'failed' : 'success', error)
}

async function stateOf(integrationId: string) {
  const [state] = await admin`
    select integration.status, integration.consecutive_failures, integration.last_error,
      integration.last_synced_at is not null as has_synced,
      stream.cursor ->> 'since' as since, stream.last_full_sync_at,
      round(extract(epoch from stream.next_sync_at - now()) / 60)::int as next_in_minutes
    from public.integrations as integration
    join public.sync_streams as stream on stream.integration_id = integration.id
    where integration.id = ${integrationId}`
  if (!state) throw new Error('no such integration')
  return state
}

describe('failed runs', () => {
  it('wait longer each time, and the third in a row puts the integration into error', async () => {
    const { id } = await createIntegration(database)

    const states = []
    for (let run = 0; run < 7; run++) {
      await runWith(id, unavailable)
      states.push(await stateOf(id))
    }

    expect(states.map((state) => state.status)).toEqual([
      'connected',
      'connected',
      'error',
      'error',
      'error',
      'error',
      'error',
    ])
    expect(states.map((state) => state.next_in_minutes)).toEqual([1, 5, 15, 60, 240, 1440, 1440])
    expect(states.at(-1)).toMatchObject({ consecutive_failures: 7, last_error: unavailable })
  })

  it('that only the owner can mend put it into error at once, and wait an hour at least', async () => {
    const { id } = await createIntegration(database)

    await runWith(id, unauthorized)

    expect(await stateOf(id)).toMatchObject({
      status: 'error',
      consecutive_failures: 1,
      last_error: unauthorized,
      next_in_minutes: 60,
    })
  })

  it('are forgotten by a success, which takes the integration out of error', async () => {
    const { id } = await createIntegration(database, { syncIntervalMinutes: 30 })
    for (let run = 0; run < 3; run++) await runWith(id, unavailable)

    await runWith(id)

    expect(await stateOf(id)).toMatchObject({
      status: 'connected',
      consecutive_failures: 0,
      last_error: null,
      has_synced: true,
      next_in_minutes: 30,
    })
  })

  it('do not lift a pause, nor does a success', async () => {
    const { id } = await createIntegration(database)
    const setStatus = (status: string) =>
      admin`update public.integrations set status = ${status} where id = ${id}` // the run stays open
    const failing = await openRun(database, id)
    await setStatus('paused')

    await finishRun(database, failing, 'failed', unauthorized)
    const afterFailure = await stateOf(id)
    await setStatus('connected')
    const succeeding = await openRun(database, id)
    await setStatus('paused')
    await finishRun(database, succeeding)

    expect(afterFailure).toMatchObject({ status: 'paused', consecutive_failures: 1 })
    expect(await stateOf(id)).toMatchObject({ status: 'paused', consecutive_failures: 0 })
  })

  it('leave the cursor where it was', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])
    const before = await stateOf(id)
    const run = await openRun(database, id)
    await writePage(database, run, [product('2')], {
      progress: { watermark: '2026-05-01T00:00:00Z' },
    })

    await finishRun(database, run, 'failed', unavailable)

    expect((await stateOf(id)).since).toBe(before.since)
  })

  it('say why: one without an error is refused', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await expect(finishRun(database, run, 'failed')).rejects.toMatchObject({
      constraint_name: 'sync_logs_failed_run_says_why',
    })
    await expect(finishRun(database, run, 'failed', unavailable)).resolves.toMatchObject({
      status: 'failed',
      error: unavailable,
      finished_at: expect.any(String),
      duration_ms: expect.any(Number),
    })
  })
})

it('a run may end a month after it began, as when its project was paused', async () => {
  const { id } = await createIntegration(database)
  const run = await openRun(database, id)
  await admin`
    update public.sync_logs set started_at = now() - interval '30 days' where id = ${run.sync_log_id}`

  const log = await finishRun(database, run)

  expect(log).toMatchObject({ status: 'success' })
  expect(log.duration_ms).toBeGreaterThanOrEqual(30 * 24 * 3_600_000)
})

describe('open errors', () => {
  /** A refused record from an earlier run, then a run that ends without having read it. */
  async function resolutionAfter(
    mode: 'full' | 'incremental',
    ending: { status: 'success' | 'partial' | 'failed'; refusedAgain?: boolean },
  ): Promise<string | null> {
    const { id } = await createIntegration(database)
    const before = await openRun(database, id)
    await writePage(database, before, [], { refused: [refusedRecord('broken')] })
    await finishRun(database, before)
    const run = await openRun(database, id, { mode })
    await writePage(database, run, [product('1')], {
      refused: ending.refusedAgain ? [refusedRecord('broken')] : [],
    })
    await finishRun(database, run, ending.status, ending.status === 'success' ? null : unavailable)
    const [error] = await admin`
      select resolution from public.sync_errors where integration_id = ${id}`
    return error?.resolution
  }

  it('of records that a complete scan no longer met are gone', async () => {
    expect(await resolutionAfter('full', { status: 'success' })).toBe('gone')
  })

  it.each(
    [
      ['that it met again', 'full', { status: 'success', refusedAgain: true }],
      ['that an incremental run did not ask for', 'incremental', { status: 'success' }],
      ['where the run was held', 'full', { status: 'partial' }],
      ['where the run failed', 'full', { status: 'failed' }],
    ] as const,
  )('%s stay open', async (_, mode, ending) => {
    expect(await resolutionAfter(mode, ending)).toBeNull()
  })
})

describe('the cursor', () => {
  async function sinceAfter(watermark: string | null): Promise<string | null> {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [product('1')], { progress: { watermark } })
    await finishRun(database, run)
    return (await stateOf(id)).since
  }

  it('is the newest change the run saw', async () => {
    expect(Date.parse((await sinceAfter('2026-05-01T00:00:00Z'))!)).toBe(
      Date.parse('2026-05-01T00:00:00Z'),
    )
  })

  it('is never ahead of our clock, whatever date a record bears', async () => {
    const since = await sinceAfter('2999-01-01T00:00:00Z')

    expect(Date.parse(since!)).toBeLessThanOrEqual(Date.now())
    expect(Date.parse(since!)).toBeGreaterThan(Date.now() - 60_000)
  })

  it('stays when a later run sees nothing', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [product('1')], {
      progress: { watermark: '2026-05-01T00:00:00Z' },
    })
    await finishRun(database, run)
    const before = await stateOf(id)

    await syncOnce(database, id, [], { mode: 'incremental' })

    expect((await stateOf(id)).since).toBe(before.since)
  })

  it('is handed to the next run', async () => {
    const { id } = await createIntegration(database)
    const first = await openRun(database, id)
    await writePage(database, first, [product('1')], {
      progress: { watermark: '2026-05-01T00:00:00Z' },
    })
    await finishRun(database, first)

    const next = await openRun(database, id, { mode: 'incremental' })

    expect(next.mode).toBe('incremental')
    expect(Date.parse(next.since!)).toBe(Date.parse('2026-05-01T00:00:00Z'))
  })

  it('counts a full sync only when the run was one', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [])
    const full = (await stateOf(id)).last_full_sync_at

    await syncOnce(database, id, [], { mode: 'incremental' })
    const afterIncremental = (await stateOf(id)).last_full_sync_at
    await syncOnce(database, id, [], { mode: 'full' })

    expect(afterIncremental).toEqual(full)
    expect((await stateOf(id)).last_full_sync_at.getTime()).toBeGreaterThan(full.getTime())
  })
})
