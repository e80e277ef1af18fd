// What ends a slice or a replay before all is done, and how does it go on?
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  type Database,
  DatabaseError,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { replayErrors } from '../../supabase/functions/_shared/sync/replay-errors.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  connectAccount,
  type FaultStack,
  lastLog,
  queueSync,
  startFaultStack,
} from '../support/fault-stack.ts'
import {
  PAGED,
  pagedConnector,
  type PagedOptions,
  pagedPlatform,
  registerPaged,
} from '../support/paged-platform.ts'

// The engine finds the tests' connector where it finds any.
const registry = vi.hoisted(() => new Map<string, Connector>())
vi.mock('../../supabase/functions/_shared/connectors/index.ts', () => ({
  connectors: [],
  findConnector: (slug: string) => registry.get(slug),
}))

const options: PagedOptions = { paging: 'cursor', pageSize: 1 }

let faulty: FaultStack
let direct: Database
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
  await registerPaged(faulty)
  registry.set(PAGED, pagedConnector(options))
  direct = directDatabase(faulty.stack.dbUrl)
  return () => direct.end()
})

/** A platform of six records, one a page, each with this much text. */
async function store(textLength: number) {
  const records = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => ({
    id,
    name: id,
    updated_at: '2026-01-01T00:00:00Z',
    description: 'x'.repeat(textLength),
  }))
  const platform = pagedPlatform(options, new Map(records.map((record) => [record.id, record])))
  const id = await connectAccount(faulty, { connector: PAGED, settings: {} })
  const { id: syncLogId } = await queueSync(faulty, id)
  const slice = (db: Database, records?: number) =>
    doSlice(
      faulty.outside({ db, fetch: platform.fetch, clock: impatientClock }),
      syncLogId,
      records,
    )
  return { id, syncLogId, slice }
}

describe('records that are large', () => {
  it('count as several, so that a slice of them ends as soon', async () => {
    const [small, large] = [await store(10), await store(3_500)]

    const outcomes = [await small.slice(direct, 12), await large.slice(direct, 12)]

    expect(outcomes.map(({ kind }) => kind)).toEqual(['finished', 'released'])
    // 3,500 characters and what is around them: four records each
    expect(await lastLog(faulty, large.id)).toMatchObject({ fetched_count: 3 })
    expect(await large.slice(direct, 100)).toMatchObject({
      kind: 'finished',
      log: { status: 'success', fetched_count: 6 },
    })
  })
})

describe('a database that is too busy', () => {
  it('holds the run up: its log says so in plain words, and the next slice ends it', async () => {
    const { id, syncLogId, slice } = await store(10)
    const busy: Database = {
      ...direct,
      call: (name, args) =>
        name === 'write_sync_page'
          ? Promise.reject(new DatabaseError('57014', 'canceling statement due to timeout'))
          : direct.call(name, args),
    }

    const outcome = await slice(busy)
    const held = await lastLog(faulty, id)
    await faulty.admin`update private.sync_runs set run_at = now()`

    expect(outcome).toEqual({ kind: 'released' })
    expect(held).toMatchObject({
      status: 'running',
      error: { code: 'unavailable', next: 'retry', message: expect.stringContaining('too busy') },
    })
    const released = faulty.lines.filter((line) => line.includes('run released'))
      .map((line) => JSON.parse(line))
    expect(released.filter((line) => line.sync_log_id === syncLogId)).toMatchObject([
      { level: 'warn', reason: 'unavailable', pause_ms: 30_000 },
    ])
    expect(JSON.stringify(released)).toContain('canceling statement due to timeout')
    expect(await slice(direct)).toMatchObject({ kind: 'finished', log: { status: 'success' } })
  })
})

describe('a replay that takes longer than a caller waits', () => {
  it('ends between two batches and says where to go on', async () => {
    const id = await connectAccount(faulty, { connector: PAGED, settings: {} })
    await faulty.admin`
      insert into public.sync_errors (
        organization_id, integration_id, stream, source_id, source_key, payload, code, message
      )
      select organization_id, id, 'products', null, 'added-' || number, '{}', 'invalid_record', 'broken'
      from public.integrations, generate_series(1, 450) as number where id = ${id}`
    let now = 0
    const slowClock = { ...impatientClock, now: () => new Date(now += 25_000) }
    const request = { integration_id: id, stream: 'products' }

    const cut = await replayErrors(faulty.outside({ db: direct, clock: slowClock }), request)
    const rest = await replayErrors(faulty.outside({ db: direct }), {
      ...request,
      after: cut.next!,
    })

    expect(cut).toMatchObject({ replayed: 400, failed: 400, remaining: 50 })
    expect(rest).toEqual({ replayed: 50, resolved: 0, failed: 50, remaining: 0, next: null })
    const tried = await faulty.admin`
      select attempt_count, count(*)::int from public.sync_errors
      where integration_id = ${id} group by 1`
    expect(tried).toEqual([{ attempt_count: 2, count: 450 }])
  })
})
