// Does the order in which versions and deletions arrive matter? It must not: the newest fact wins.
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import type { TransactionSql } from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callFunction, useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { createIntegration } from '../support/integrations.ts'
import { product } from '../support/sync-runs.ts'

const database = useDatabase()
afterAll(() => expectEventsToFit(database))
const { actAs, call } = database
let integrationId: string

beforeAll(async () => {
  integrationId = (await createIntegration(database)).id
})

/** One thing learnt about a record, by a page or a webhook. */
type Fact =
  | { kind: 'version'; content: string; updatedAt: string | null; syncedAt: string }
  | { kind: 'deleted'; at: string }
  | { kind: 'absent'; at: string }

const day = (number: number) => `2026-01-0${number}T00:00:00Z`
/** What a platform says whose clock is a little ahead. */
const aheadOf = (moment: string) => moment.replace('00Z', '05Z')
/** What a platform with a wrong clock says. */
const farAhead = '2099-01-01T00:00:00Z'
const version = (content: string, updatedAt: string | null, syncedAt: string): Fact => ({
  kind: 'version',
  content,
  updatedAt,
  syncedAt,
})

/** Arguments of one call that brings these facts about a record on one page. */
function pageOf(sourceId: string, facts: Fact[]): Record<string, unknown> {
  return {
    p_integration_id: integrationId,
    p_stream: 'products',
    p_records: facts.filter((fact) => fact.kind === 'version').map((fact) =>
      product(sourceId, fact.content, fact)
    ),
    p_deletions: facts.filter((fact) => fact.kind !== 'version').map((fact) => ({
      source_id: sourceId,
      [fact.kind === 'deleted' ? 'source_deleted_at' : 'absent_at']: fact.at,
    })),
  }
}

/** The row that is left when these pages arrive in this order, without what differs between any two rows. */
async function rowAfter(sql: TransactionSql, pages: Fact[][]): Promise<Record<string, unknown>> {
  const sourceId = randomUUID()
  for (const facts of pages) await callFunction(sql, 'apply_records', pageOf(sourceId, facts))
  const [row] = await sql<{ row: Record<string, unknown> }[]>`
    select to_jsonb(product) - '{id, source_id, created_at, updated_at}'::text[] as row
    from public.products as product
    where integration_id = ${integrationId} and source_id = ${sourceId}`
  return row!.row
}

/**
 * The newest version and whether it is deleted, by the rule: a time ahead of our reading counts as our reading, and where
 * versions are compared as 10 s after it at most.
 */
function expectedOf(facts: Fact[]): Record<string, unknown> {
  const latest = (kind: 'deleted' | 'absent') =>
    facts.map((fact) => fact.kind === kind ? fact.at : '').toSorted().at(-1)!
  const [deleted, absent] = [latest('deleted'), latest('absent')]
  const newest = facts.filter((fact) => fact.kind === 'version')
    .map((fact) => ({ ...fact, since: earlier(fact.updatedAt ?? fact.syncedAt, fact.syncedAt) }))
    .toSorted((one, other) => orderOf(one) < orderOf(other) ? -1 : 1)
    .at(-1)
  const deletedAt = !newest
    ? deleted || absent
    : deleted >= newest.since
    ? deleted
    : absent >= newest.syncedAt
    ? absent
    : ''
  return {
    content_hash: newest ? `hash of ${newest.content}` : null,
    source_updated_at: asStored(newest?.updatedAt),
    last_synced_at: asStored(newest?.syncedAt),
    deleted_at: asStored(deletedAt),
  }

  function orderOf(
    { syncedAt, updatedAt, content }: typeof facts[number] & { kind: 'version' },
  ) {
    const latest = new Date(Date.parse(syncedAt) + 10_000).toISOString()
    const order = updatedAt === null ? syncedAt : earlier(updatedAt, latest)
    return [order, syncedAt, updatedAt ?? '', content].join()
  }
}

const earlier = (one: string, other: string) => one < other ? one : other
const asStored = (time: string | null | undefined) => time ? time.replace('Z', '+00:00') : null

const after = (pages: Fact[][]) => actAs('service_role', (sql) => rowAfter(sql, pages), 'roll back')

describe('any order of up to seven facts about one record ends in the row of its newest facts', () => {
  const moment = fc.constantFrom(day(1), day(2), day(3), day(4))
  const platformMoment = fc.oneof(
    { weight: 4, arbitrary: moment },
    { weight: 1, arbitrary: fc.constantFrom(farAhead, aheadOf(day(1)), aheadOf(day(3))) },
  )
  const fact: fc.Arbitrary<Fact> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('version' as const),
        content: fc.constantFrom('a', 'b', 'c'),
        updatedAt: fc.option(platformMoment),
        syncedAt: moment,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('deleted' as const), at: platformMoment }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('absent' as const), at: moment }) },
  )
  /** The same facts in another order, cut into pages. */
  const arrival = fc.array(fact, { minLength: 1, maxLength: 7 }).chain((facts) =>
    fc.record({
      facts: fc.constant(facts),
      shuffled: fc.shuffledSubarray(facts, { minLength: facts.length }),
      cuts: fc.array(fc.boolean(), { minLength: facts.length, maxLength: facts.length }),
    })
  )

  it('one by one, on one page, and on pages of any size', async () => {
    await actAs('service_role', (sql) =>
      fc.assert(
        fc.asyncProperty(arrival, async ({ facts, shuffled, cuts }) => {
          const asGiven = await rowAfter(sql, facts.map((fact) => [fact]))

          expect(asGiven).toMatchObject(expectedOf(facts))
          expect(await rowAfter(sql, shuffled.map((fact) => [fact]))).toEqual(asGiven)
          expect(await rowAfter(sql, [shuffled])).toEqual(asGiven)
          expect(await rowAfter(sql, cutInto(shuffled, cuts))).toEqual(asGiven)
        }),
        { numRuns: 250 },
      ), 'roll back')
  }, 60_000)

  it('and hearing every fact twice changes nothing', async () => {
    await actAs('service_role', (sql) =>
      fc.assert(
        fc.asyncProperty(arrival, async ({ facts, shuffled }) => {
          const once = await rowAfter(sql, facts.map((fact) => [fact]))

          expect(await rowAfter(sql, [facts, shuffled])).toEqual(once)
        }),
        { numRuns: 100 },
      ), 'roll back')
  }, 60_000)
})

it('the same holds for versions that differ in nothing but whether the platform gave a time', async () => {
  const [dated, undated] = [version('a', day(2), day(2)), version('a', null, day(2))]

  const rows = [await after([[dated], [undated]]), await after([[undated], [dated]])]

  expect(rows[0]).toEqual(rows[1])
})

describe('a version', () => {
  it('does not overwrite one that the platform changed later', async () => {
    const row = await after([[version('new', day(3), day(3))], [version('old', day(2), day(4))]])

    expect(row).toMatchObject({ name: 'Product new', deleted_at: null })
  })

  it('overwrites one that the platform changed earlier', async () => {
    const row = await after([[version('old', day(2), day(4))], [version('new', day(3), day(3))]])

    expect(row).toMatchObject({ name: 'Product new' })
  })

  it('of the same platform time wins by when it was read', async () => {
    const row = await after([[version('read later', day(1), day(3))], [
      version('read earlier', day(1), day(2)),
    ]])

    expect(row).toMatchObject({ name: 'Product read later' })
  })

  it('without a platform time counts as changed when it was read', async () => {
    const row = await after([[version('new', null, day(3))], [version('old', null, day(2))]])

    expect(row).toMatchObject({ name: 'Product new', source_updated_at: null })
  })

  it('dated ahead of our reading gives way to the one read once its date was corrected', async () => {
    const row = await after([[version('misdated', farAhead, day(2))], [
      version('corrected', day(3), day(4)),
    ]])

    expect(row).toMatchObject({ name: 'Product corrected', deleted_at: null })
    expect(row.source_updated_at).toContain('2026-01-03')
  })

  it('dated ahead of our reading counts as changed when it was read: an older one does not overwrite it', async () => {
    const row = await after([[version('misdated', farAhead, day(2))], [
      version('old', day(1), day(4)),
    ]])

    expect(row).toMatchObject({ name: 'Product misdated' })
  })

  it('dated ahead of our reading can be deleted, and comes back only by being read again', async () => {
    const deleted: Fact = { kind: 'deleted', at: day(3) }

    const gone = await after([[version('misdated', farAhead, day(2))], [deleted]])
    const backAgain = await after([[deleted], [version('misdated', farAhead, day(4))]])

    expect(gone.deleted_at).toContain('2026-01-03')
    expect(backAgain.deleted_at).toBeNull()
  })

  it('read a little later, from a clock a little ahead, does not overwrite one the platform changed later', async () => {
    const row = await after([
      [version('new', '2026-01-02T00:00:05Z', day(2))],
      [version('old', '2026-01-02T00:00:04Z', '2026-01-02T00:00:01Z')],
    ])

    expect(row).toMatchObject({ name: 'Product new' })
  })

  it('read later and changed later wins, where a clock seconds ahead passes the bound between the two', async () => {
    const row = await after([
      [version('old', '2026-01-02T00:00:15Z', '2026-01-02T00:00:06Z')],
      [version('new', '2026-01-02T00:00:22Z', '2026-01-02T00:00:07.500Z')],
    ])

    expect(row).toMatchObject({ name: 'Product new' })
  })

  it("on the same page as another, both ahead of our reading, wins by the platform's time", async () => {
    const [hourAhead, twoAhead] = ['2026-01-02T01:00:00Z', '2026-01-02T02:00:00Z']

    const row = await after([[
      version('z', hourAhead, day(2)),
      version('a', twoAhead, day(2)),
    ]])

    expect(row).toMatchObject({ name: 'Product a' })
  })

  it('older than the deletion does not bring the record back; a newer one does', async () => {
    const deleted: Fact = { kind: 'deleted', at: day(2) }

    const older = await after([[deleted], [version('old', day(1), day(4))]])
    const newer = await after([[deleted], [version('new', day(3), day(4))]])

    expect(older.deleted_at).toContain('2026-01-02')
    expect(newer.deleted_at).toBeNull()
  })

  it('read after a complete read missed the record brings it back; one read before does not', async () => {
    const absent: Fact = { kind: 'absent', at: day(2) }

    const before = await after([[absent], [version('a', day(1), day(1))]])
    const later = await after([[absent], [version('a', day(1), day(3))]])

    expect(before.deleted_at).toContain('2026-01-02')
    expect(later.deleted_at).toBeNull()
  })
})

describe('a deletion', () => {
  it('of a record nobody has seen is kept for the version that may still come', async () => {
    const row = await after([[{ kind: 'deleted', at: day(2) }]])

    expect(row).toMatchObject({ name: null, content_hash: null })
    expect(row.deleted_at).toContain('2026-01-02')
  })

  it('is counted once, and only where a live record goes', async () => {
    const sourceId = randomUUID()
    const bring = (...facts: Fact[]) =>
      call<{ created: number; updated: number; deleted: number }>(
        'service_role',
        'apply_records',
        pageOf(sourceId, facts),
      )

    const counts = [
      await bring({ kind: 'deleted', at: day(1) }), // nothing there
      await bring(version('a', day(2), day(2))), // comes to life
      await bring({ kind: 'deleted', at: day(3) }), // goes
      await bring({ kind: 'deleted', at: day(4) }), // is gone already
      await bring(version('a', day(2), day(5))), // an old version: stays gone
    ]

    expect(counts.map(({ created, updated, deleted }) => [created, updated, deleted])).toEqual([
      [0, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [0, 0, 0],
      [0, expect.any(Number), 0],
    ])
  })
})

describe('two pages at once', () => {
  it('about the same records end in the newest versions, whoever commits last', async () => {
    const sourceIds = Array.from({ length: 50 }, () => randomUUID())
    const bring = (content: string, at: string, ids: string[]) =>
      call('service_role', 'apply_records', {
        p_integration_id: integrationId,
        p_stream: 'products',
        p_records: ids.map((id) => product(id, content, { updatedAt: at, syncedAt: at })),
      })

    // each in the same order of ids, as pages sorted by id arrive
    await Promise.all([
      bring('old', day(1), sourceIds),
      bring('new', day(3), sourceIds),
      bring('middle', day(2), sourceIds),
    ])

    const names = await database.admin`
      select distinct name from public.products where source_id in ${database.admin(sourceIds)}`
    expect(names).toEqual([{ name: 'Product new' }])
  })
})

/** Starts a new page before each fact whose cut is true. */
function cutInto(facts: Fact[], cuts: boolean[]): Fact[][] {
  const pages: Fact[][] = []
  for (const [index, fact] of facts.entries()) {
    if (index === 0 || cuts[index]) pages.push([])
    pages.at(-1)!.push(fact)
  }
  return pages
}
