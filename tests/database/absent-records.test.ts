// When is a record that a full run did not see deleted, and when does the run stop and ask?
import { describe, expect, it } from 'vitest'
import { openTransaction } from '../support/concurrency.ts'
import { callFunction, useDatabase } from '../support/database.ts'
import { createIntegration } from '../support/integrations.ts'
import { refusedRecord } from '../support/seeded-organization.ts'
import {
  type ClaimedRun,
  finishRun,
  lease,
  openRun,
  page,
  product,
  type ProductRecord,
  readLog,
  syncOnce,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, call } = database

type Absent =
  | { lost_scan: true }
  | {
    live: number
    absent: number
    seen: number
    held: boolean
    witness: string | null
    source_ids: string[]
  }

const scanStartedAt = '2026-03-01T00:00:00Z' // after product()'s last_synced_at
const ids = (count: number, prefix = 'p') =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(3, '0')}`)
const products = (sourceIds: string[]) => sourceIds.map((sourceId) => product(sourceId))

const listAbsent = (run: ClaimedRun, options: Record<string, unknown> = {}) =>
  call<Absent>('service_role', 'list_absent', { ...lease(run), ...options })
const deleteAbsent = (run: ClaimedRun, sourceIds: string[], needsTwoScans = false) =>
  call<{ deleted: number }>('service_role', 'delete_absent', {
    ...lease(run),
    p_source_ids: sourceIds,
    p_progress: { batch_count: 1, scan_started_at: scanStartedAt },
    p_needs_two_scans: needsTwoScans,
  })

/** Holds `held` from an earlier run, then reads everything again and sees only `seen`. */
async function scan(
  integrationId: string,
  seen: ProductRecord[],
  options: { allowMassDelete?: boolean; refused?: object[]; progress?: object } = {},
): Promise<ClaimedRun> {
  const run = await openRun(database, integrationId, {
    mode: 'full',
    allowMassDelete: options.allowMassDelete ?? false,
  })
  await writePage(database, run, seen, {
    progress: { scanning: true, scan_started_at: scanStartedAt, ...options.progress },
    refused: (options.refused ?? []) as Record<string, unknown>[],
  })
  return run
}

async function createHolding(sourceIds: string[]): Promise<string> {
  const { id } = await createIntegration(database)
  await syncOnce(database, id, products(sourceIds))
  return id
}

const liveOf = async (integrationId: string) =>
  (await admin`
    select source_id from public.products where integration_id = ${integrationId} and deleted_at is null
    order by 1`).map((row) => row.source_id)

describe('what a full run did not see', () => {
  it('is listed in parts, in order', async () => {
    const held = ids(8)
    const run = await scan(await createHolding(held), products(held.slice(3)))

    const first = await listAbsent(run, { p_limit: 2 })
    const second = await listAbsent(run, { p_limit: 2, p_after: 'p001' })

    expect(first).toEqual({
      live: 8,
      absent: 3,
      seen: 5,
      held: false,
      witness: 'p003',
      source_ids: ['p000', 'p001'],
    })
    expect(second).toMatchObject({ source_ids: ['p002'] })
  })

  it('is marked as deleted since the scan began, and counted', async () => {
    const id = await createHolding(['1', '2', '3'])
    const run = await scan(id, products(['1']))

    const outcome = await deleteAbsent(run, ['2', '3'])

    const gone = await admin`
      select source_id, deleted_at from public.products
      where integration_id = ${id} and deleted_at is not null order by 1`
    expect(outcome).toMatchObject({ deleted: 2 })
    expect(await readLog(database, run.sync_log_id)).toMatchObject({ deleted_count: 2 })
    expect(gone).toEqual([
      { source_id: '2', deleted_at: new Date(scanStartedAt) },
      { source_id: '3', deleted_at: new Date(scanStartedAt) },
    ])
  })

  it('is deleted once, also when the answer was lost and the same is asked again', async () => {
    const run = await scan(await createHolding(['1', '2']), products(['1']))

    const outcomes = [await deleteAbsent(run, ['2']), await deleteAbsent(run, ['2'])]

    expect(outcomes.map((outcome) => outcome.deleted)).toEqual([1, 0])
  })

  it('does not include a record that was refused: it is there, only wrong', async () => {
    const id = await createHolding(['1', '2', '3'])
    const run = await scan(id, products(['1']), { refused: [refusedRecord('2')] })

    expect(await listAbsent(run)).toMatchObject({ absent: 1, source_ids: ['3'] })
  })

  it('does not include what a webhook brought after the scan began', async () => {
    const id = await createHolding(['1'])
    const run = await scan(id, products(['1']))
    await call('service_role', 'apply_records', {
      p_integration_id: id,
      p_stream: 'products',
      p_records: [product('late', 'first', { syncedAt: '2026-03-01T00:00:01Z' })],
    })

    expect(await listAbsent(run)).toMatchObject({ live: 2, absent: 0, source_ids: [] })
  })

  it('does not include what is older than the scan reaches, nor counts it for anything', async () => {
    const { id } = await createIntegration(database)
    const at = (sourceId: string, day: string) =>
      product(sourceId, 'first', { updatedAt: `2026-01-${day}T00:00:00Z` })
    await syncOnce(database, id, [
      at('1', '01'),
      at('2', '02'),
      at('3', '03'),
      product('4', 'first', { updatedAt: null }),
    ])
    const run = await openRun(database, id, { mode: 'full' })
    await writePage(database, run, [at('3', '03')], {
      progress: {
        scanning: true,
        scan_started_at: scanStartedAt,
        reaches_back_to: '2026-01-02T00:00:00Z',
      },
    })

    expect(await listAbsent(run)).toMatchObject({ live: 3, absent: 2, source_ids: ['2', '4'] })
  })

  it('does not include what lies outside the parts that were read, nor counts it for the guard', async () => {
    const [here, left] = [ids(20, 'C1:'), ids(20, 'C2:')]
    const list = async (covers: string[] | null, seen: string[]) => {
      const id = await createHolding([...here, ...left, 'C10:000'])
      const run = await scan(id, products(seen), { progress: { covers } })
      const absent = await listAbsent(run)
      await finishRun(database, run)
      return absent
    }

    expect(await list(['C1:'], here.slice(1))).toMatchObject({
      live: 20,
      absent: 1,
      held: false,
      source_ids: ['C1:000'],
    })
    expect(await list(['C1:'], [])).toMatchObject({ live: 20, absent: 20, held: true })
    expect(await list([], here)).toMatchObject({ live: 0, absent: 0, held: false, source_ids: [] })
    expect(await list(['C1:', 'C2:', 'C10:'], here.slice(1))).toMatchObject({ absent: 22 })
    expect(await list(null, here.slice(1))).toMatchObject({ live: 41, absent: 22, held: true })
  })

  it('leaves a refused record open that lies outside the parts that were read', async () => {
    const id = await createHolding(['C1:1'])
    const first = await scan(id, [], { refused: [refusedRecord('C1:2'), refusedRecord('C2:2')] })
    await finishRun(database, first)

    const second = await scan(id, products(['C1:1']), { progress: { covers: ['C1:'] } })
    await finishRun(database, second)

    const errors = await admin`
      select source_id, resolution from public.sync_errors where integration_id = ${id} order by 1`
    expect(errors).toEqual([
      { source_id: 'C1:2', resolution: 'gone' },
      { source_id: 'C2:2', resolution: null },
    ])
  })

  it('does not include what is deleted already', async () => {
    const id = await createHolding(['1', '2'])
    const first = await scan(id, products(['1']))
    await deleteAbsent(first, ['2'])
    await finishRun(database, first)

    const second = await scan(id, products(['1']))

    expect(await listAbsent(second)).toMatchObject({ live: 1, absent: 0, source_ids: [] })
  })

  it('comes with a witness that was seen and is held here', async () => {
    const id = await createHolding(['2', '3'])
    const run = await scan(id, products(['3']), { refused: [refusedRecord('1')] })
    const blind = await scan(await createHolding(['1', '2']), [], {
      refused: [refusedRecord('3')],
    })

    expect(await listAbsent(run)).toMatchObject({ absent: 1, witness: '3' })
    expect(await listAbsent(blind)).toMatchObject({ absent: 2, witness: null })
  })

  it('is listed without waiting for who is writing to the run', async () => {
    const run = await scan(await createHolding(['1', '2']), products(['1']))
    const writing = await openTransaction(database, 'service_role')
    await callFunction(
      writing.sql,
      'write_sync_page',
      page(run, products(['2']), { number: 2, progress: { scanning: true } }),
    )

    const meanwhile = await listAbsent(run)
    await writing.rollBack()

    expect(meanwhile).toMatchObject({ absent: 1, source_ids: ['2'] })
  })

  it('ends its open error as gone', async () => {
    const id = await createHolding(['1', '2'])
    const broken = await scan(id, products(['1']), { refused: [refusedRecord('2')] })
    await finishRun(database, broken)
    const run = await scan(id, products(['1']))

    await deleteAbsent(run, ['2'])

    const errors = await admin`
      select resolution from public.sync_errors where integration_id = ${id}`
    expect(errors).toEqual([{ resolution: 'gone' }])
  })

  it('comes back when a later run sees it', async () => {
    const id = await createHolding(['1', '2'])
    const run = await scan(id, products(['1']))
    await deleteAbsent(run, ['2'])
    await finishRun(database, run)

    await syncOnce(database, id, [product('2', 'first', { syncedAt: '2026-04-01T00:00:00Z' })])

    expect(await liveOf(id)).toEqual(['1', '2'])
  })
})

describe('the mass-delete guard', () => {
  it.each([
    [40, 30, 'the tenth of 40: a handful may always go', false],
    [40, 29, 'more than ten and more than a quarter', true],
    [100, 75, 'exactly a quarter', false],
    [100, 74, 'more than a quarter', true],
    [5, 1, 'four of five: a handful', false],
    [5, 0, 'everything, with nothing seen', true],
  ])('of %i held and %i seen: %s, held %s', async (held, seen, _, isHeld) => {
    const all = ids(held)
    const run = await scan(await createHolding(all), products(all.slice(0, seen)))

    expect(await listAbsent(run)).toMatchObject({ live: held, absent: held - seen, held: isHeld })
  })

  it('goes by the percentage of the stream', async () => {
    const all = ids(100)
    const id = await createHolding(all)
    const run = await scan(id, products(all.slice(0, 60)))
    const setPercent = (percent: number) =>
      admin`update public.sync_streams set mass_delete_percent = ${percent} where integration_id = ${id}`

    await setPercent(39)
    const below = await listAbsent(run)
    await setPercent(40)
    const at = await listAbsent(run)

    expect([below, at]).toMatchObject([{ held: true }, { held: false }])
  })

  it('of 0 percent holds any deletion, and no run that deletes nothing', async () => {
    const id = await createHolding(['1', '2'])
    await admin`update public.sync_streams set mass_delete_percent = 0 where integration_id = ${id}`

    const one = await scan(id, products(['1']))
    const held = await listAbsent(one)
    await finishRun(database, one, 'partial')
    const none = await scan(id, products(['1', '2']))

    expect(held).toMatchObject({ absent: 1, held: true })
    expect(await listAbsent(none)).toMatchObject({ absent: 0, held: false })
  })

  it('gives way to a person who allowed it', async () => {
    const all = ids(20)
    const id = await createHolding(all)

    const run = await scan(id, [], { allowMassDelete: true })

    expect(await listAbsent(run)).toMatchObject({ absent: 20, held: false })
  })

  it('has nothing to hold where nothing is held and nothing seen', async () => {
    const run = await scan(await createHolding([]), [])

    expect(await listAbsent(run)).toEqual({
      live: 0,
      absent: 0,
      seen: 0,
      held: false,
      witness: null,
      source_ids: [],
    })
  })
})

describe('where paging may skip a record', () => {
  /** A full run that sees `seen` and deletes what two runs missed; answers what is left. */
  async function scanTwice(integrationId: string, seen: string[]): Promise<string[]> {
    const run = await scan(integrationId, products(seen))
    const absent = await listAbsent(run)
    if ('lost_scan' in absent) throw new Error('the scan was lost')
    await deleteAbsent(run, absent.source_ids, true)
    await finishRun(database, run)
    return await liveOf(integrationId)
  }

  it('only what two full runs in a row missed is deleted', async () => {
    const id = await createHolding(['1', '2', '3'])

    const afterFirst = await scanTwice(id, ['1', '2'])
    const afterSecond = await scanTwice(id, ['1'])
    const afterThird = await scanTwice(id, ['1'])

    expect([afterFirst, afterSecond, afterThird]).toEqual([['1', '2', '3'], ['1', '2'], ['1']])
  })

  it('a record seen in between has to be missed twice again', async () => {
    const id = await createHolding(['1', '2'])

    await scanTwice(id, ['1'])
    await scanTwice(id, ['1', '2'])

    expect(await scanTwice(id, ['1'])).toEqual(['1', '2'])
    expect(await scanTwice(id, ['1'])).toEqual(['1'])
  })

  it('a record read by an incremental run in between has to be missed twice again', async () => {
    const [read, asked] = [await createHolding(['1', '2']), await createHolding(['1', '2'])]
    for (const id of [read, asked]) await scanTwice(id, ['1'])

    await syncOnce(database, read, products(['2']), { mode: 'incremental' })
    const run = await openRun(database, asked, { mode: 'incremental' })
    await writePage(database, run, products(['2']), { ask: true }) // held as it is: nothing to send
    await finishRun(database, run)

    expect([await scanTwice(read, ['1']), await scanTwice(asked, ['1'])])
      .toEqual([['1', '2'], ['1', '2']])
    expect([await scanTwice(read, ['1']), await scanTwice(asked, ['1'])]).toEqual([['1'], ['1']])
  })

  it('missing it twice within one run, after a crash, is missing it once', async () => {
    const id = await createHolding(['1', '2'])
    const run = await scan(id, products(['1']))

    await deleteAbsent(run, ['2'], true)
    await deleteAbsent(run, ['2'], true)

    expect(await liveOf(id)).toEqual(['1', '2'])
  })

  it('a person who allowed the deletion need not wait for a second run', async () => {
    const id = await createHolding(['1', '2'])
    const run = await scan(id, products(['1']), { allowMassDelete: true })

    await deleteAbsent(run, ['2'], true)

    expect(await liveOf(id)).toEqual(['1'])
  })

  it('an incremental run in between, which sees little, changes nothing', async () => {
    const id = await createHolding(['1', '2'])
    await scanTwice(id, ['1'])

    await syncOnce(database, id, [product('1')], { mode: 'incremental' })

    expect(await scanTwice(id, ['1'])).toEqual(['1'])
  })
})

describe('what a scan has seen', () => {
  it('that was emptied by a crash of the database is noticed, so that nothing is deleted', async () => {
    const run = await scan(await createHolding(['1', '2']), products(['1']))

    const before = await listAbsent(run)
    await admin`delete from private.sync_seen where sync_log_id = ${run.sync_log_id}`

    expect(before).toMatchObject({ source_ids: ['2'] })
    expect(await listAbsent(run)).toEqual({ lost_scan: true })
  })

  it('that lost a part is noticed too', async () => {
    const run = await scan(await createHolding(['1']), products(['1']))
    await writePage(database, run, products(['2']), {
      number: 2,
      progress: { scanning: true, scan_started_at: scanStartedAt },
    })

    await admin`
      delete from private.sync_seen where sync_log_id = ${run.sync_log_id} and batch_number = 1`

    expect(await listAbsent(run)).toEqual({ lost_scan: true })
  })

  it('is forgotten when the run ends', async () => {
    const run = await scan(await createHolding(['1']), products(['1']))

    await finishRun(database, run)

    const seen = await admin`select 1 from private.sync_seen where sync_log_id = ${run.sync_log_id}`
    expect(seen).toEqual([])
  })
})
