// A worker may stop before or after any of its calls to the database: the end is the same set.
import fc from 'fast-check'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  dataApiDatabase,
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { createClient } from '@supabase/supabase-js'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  connectAccount,
  expectSettled,
  expireLeases,
  type FaultStack,
  liveProducts,
  queueSync,
  startFaultStack,
} from '../support/fault-stack.ts'
import {
  PAGED,
  pagedConnector,
  pagedPlatform,
  type PagedRecord,
  registerPaged,
} from '../support/paged-platform.ts'

// Pages, sizes and mappings are the tests' own: the engine finds their connector where it finds any.
const registry = vi.hoisted(() => new Map<string, Connector>())
vi.mock('../../supabase/functions/_shared/connectors/index.ts', () => ({
  connectors: [],
  findConnector: (slug: string) => registry.get(slug),
}))

let faulty: FaultStack
let direct: Database
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
  await registerPaged(faulty)
  direct = directDatabase(faulty.stack.dbUrl)
  return () => direct.end()
})

const catalogOf = (records: Map<string, PagedRecord>) =>
  new Map(
    [...records.values()].filter((record) => !record.deleted)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((record) => [record.id, record as unknown]),
  )

class Crash extends Error {}

/** A worker's connection that ends with its n-th call, before or after the call took effect. */
function crashing(db: Database, at: number, tookEffect: boolean): Database {
  let calls = 0
  return {
    async call<T>(name: string, args: Record<string, unknown>): Promise<T> {
      calls += 1
      if (calls < at) return await db.call<T>(name, args)
      if (calls === at && tookEffect) await db.call(name, args)
      throw new Crash(name)
    },
    end: () => Promise.resolve(),
  }
}

/** Slices until the run has ended; the first one crashes where told. */
async function runToTheEnd(
  fetch: typeof globalThis.fetch,
  syncLogId: string,
  records: number,
  crash: { at: number; tookEffect: boolean } | null,
): Promise<void> {
  const db = crash ? crashing(direct, crash.at, crash.tookEffect) : direct
  let outside = faulty.outside({ db, fetch, clock: impatientClock })
  for (let slice = 0; slice < 200; slice++) {
    try {
      const outcome = await doSlice(outside, syncLogId, records)
      if (outcome.kind === 'finished') return
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      outside = faulty.outside({ db: direct, fetch, clock: impatientClock })
      await expireLeases(faulty)
      const [log] = await faulty.admin`
        select finished_at from public.sync_logs where id = ${syncLogId}`
      if (log?.finished_at) return
    }
  }
  throw new Error('the run does not end')
}

type Change = { id: string; kind: 'write' | 'remove' | 'mark'; second: number }
const Change: fc.Arbitrary<Change> = fc.record({
  id: fc.integer({ min: 0, max: 14 }).map((number) => `p${String(number).padStart(2, '0')}`),
  kind: fc.constantFrom('write', 'write', 'write', 'remove', 'mark'),
  second: fc.integer({ min: 0, max: 1 }),
})
const Scenario = fc.record({
  paging: fc.constantFrom('page' as const, 'offset' as const, 'cursor' as const),
  pageSize: fc.integer({ min: 1, max: 7 }),
  withTotal: fc.boolean(),
  withLookup: fc.boolean(),
  batchSize: fc.integer({ min: 1, max: 6 }),
  sliceRecords: fc.integer({ min: 1, max: 40 }),
  rounds: fc.array(
    fc.record({
      changes: fc.array(Change, { minLength: 5, maxLength: 25, size: 'max' }),
      mode: fc.constantFrom('full' as const, 'incremental' as const),
      crash: fc.option(
        fc.record({ at: fc.integer({ min: 1, max: 16 }), tookEffect: fc.boolean() }),
        { freq: 4 },
      ),
    }),
    { minLength: 1, maxLength: 2 },
  ),
})

/** The secret key's client on a network that loses the answer to the n-th call it carried out. */
function losingAnswer(n: number): { db: Database; calls: () => string[] } {
  const calls: string[] = []
  const losing: typeof globalThis.fetch = async (input, init) => {
    const response = await fetch(input, init)
    calls.push(new URL(String(input)).pathname.split('/').at(-1) ?? '')
    if (calls.length !== n) return response
    await response.arrayBuffer()
    throw new TypeError('fetch failed')
  }
  const client = createClient(faulty.stack.url, faulty.stack.secretKey, {
    auth: { persistSession: false },
    global: { fetch: losing },
  })
  return { db: dataApiDatabase(client, { clock: impatientClock }), calls: () => calls }
}

/** `count` products that have not changed since the epoch of these tests. */
function products(count: number, from = 0, name = 'first'): Map<string, PagedRecord> {
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const id = `p${String(from + index).padStart(3, '0')}`
      return [id, { id, name, updated_at: '2026-01-01T00:00:00Z' }]
    }),
  )
}

describe('an answer of the database is lost after it did what was asked', () => {
  it('whichever it is: it is asked again, and what was done counts once', async () => {
    const options = { paging: 'page', pageSize: 10, withTotal: true, withLookup: true } as const
    registry.set(PAGED, pagedConnector(options))
    const seen: string[] = []
    // the first answer hands out the lease: lost, the run waits for it to end, as after a crash
    for (let n = 2, last = Infinity; n <= last; n++) {
      const platform = pagedPlatform(options, products(25))
      const integrationId = await connectAccount(faulty, {
        connector: PAGED,
        settings: {},
        batchSize: 10,
      })
      const outside = { fetch: platform.fetch, clock: impatientClock }
      await doSlice(
        faulty.outside({ db: direct, ...outside }),
        (await queueSync(faulty, integrationId)).id,
      )
      for (const id of [...platform.records.keys()].slice(0, 7)) platform.records.delete(id)
      for (const [id, record] of products(5, 7, 'second')) {
        platform.records.set(id, { ...record, updated_at: '2026-01-02T00:00:00Z' })
      }
      for (const [id, record] of products(5, 25)) platform.records.set(id, record)
      const { id } = await queueSync(faulty, integrationId)
      const { db, calls } = losingAnswer(n)

      await doSlice(faulty.outside({ db, ...outside }), id)

      expect(
        await expectSettled(faulty, integrationId, catalogOf(platform.records)),
        `the answer to call ${n}, ${calls()[n - 1]}, was lost`,
      ).toMatchObject({
        status: 'success',
        fetched_count: 23,
        created_count: 5,
        updated_count: 5,
        unchanged_count: 13,
        deleted_count: 7,
        attempt_count: 1,
      })
      last = calls().length - 1 // one of them is the call that was sent again
      seen.push(calls()[n - 1] ?? '')
    }
    expect(new Set(seen)).toEqual(
      new Set([
        'acquire_request',
        'write_sync_page',
        'list_absent',
        'delete_absent',
        'finish_sync_run',
      ]),
    )
  }, 180_000)
})

describe('a worker dies between two parts of a page that is larger than a batch', () => {
  it('the page is read again: each product is created once, and the counts add up', async () => {
    const options = { paging: 'cursor', pageSize: 25 } as const
    registry.set(PAGED, pagedConnector(options))
    const platform = pagedPlatform(options, products(25))
    const integrationId = await connectAccount(faulty, {
      connector: PAGED,
      settings: {},
      batchSize: 10,
    })
    const { id } = await queueSync(faulty, integrationId)
    // claim, a turn at the platform, the first part
    const firstPart = { at: 3, tookEffect: true }

    await runToTheEnd(platform.fetch, id, 10_000, firstPart)

    const log = await expectSettled(faulty, integrationId, catalogOf(platform.records))
    expect(log).toMatchObject({ created_count: 25, unchanged_count: 10, fetched_count: 35 })
  })
})

describe('any page size, batch size, equal timestamps and crash point', () => {
  it('end with the set that the platform has', async () => {
    await fc.assert(
      fc.asyncProperty(Scenario, async (scenario) => {
        const { batchSize, sliceRecords, rounds, ...platformOptions } = scenario
        registry.set(PAGED, pagedConnector(platformOptions))
        const platform = pagedPlatform(platformOptions)
        const integrationId = await connectAccount(faulty, {
          connector: PAGED,
          settings: {},
          batchSize,
        })
        const sync = async (
          options: Parameters<typeof queueSync>[2],
          crash: { at: number; tookEffect: boolean } | null,
        ) => {
          const { id } = await queueSync(faulty, integrationId, options)
          await runToTheEnd(platform.fetch, id, sliceRecords, crash)
        }
        let version = 0
        const apply = (changes: Change[], round: number) => {
          for (const { id, kind, second } of changes) {
            const record: PagedRecord = {
              id,
              name: `version ${++version}`,
              updated_at: new Date(Date.UTC(2026, 0, 1, 0, 0, round * 2 + second)).toISOString(),
            }
            if (kind === 'remove') platform.records.delete(id)
            else platform.records.set(id, kind === 'mark' ? { ...record, deleted: true } : record)
          }
        }

        for (const [index, round] of rounds.entries()) {
          apply(round.changes, index)
          await sync({ mode: round.mode }, round.crash)

          // what is there is there at once and in its newest version; what is gone may need a full run
          const live = await liveProducts(faulty, integrationId)
          for (const [id, record] of catalogOf(platform.records)) {
            expect(live.get(id)).toEqual(record)
          }
        }
        await sync({ allowMassDelete: true }, null)
        // by number and without a way to ask, only a second full run is sure
        await sync({ allowMassDelete: true }, null)

        await expectSettled(faulty, integrationId, catalogOf(platform.records))
        const [sum] = await faulty.admin`
          select (select sum(created_count)::int from public.sync_logs where integration_id = ${integrationId}) as created,
            (select count(*)::int from public.products where integration_id = ${integrationId}) as rows`
        expect(sum?.created).toBeLessThanOrEqual(sum?.rows)
      }),
      { numRuns: 100, endOnFailure: true },
    )
  }, 180_000)
})
