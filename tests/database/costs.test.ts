// What must not get slower unnoticed: WAL for rows that did not change, and the plans of policies.
import { describe, expect, it } from 'vitest'
import type { TransactionSql } from 'postgres'
import { callFunction, useDatabase } from '../support/database.ts'
import { createIntegration } from '../support/integrations.ts'
import { createTeam, type Team } from '../support/people.ts'
import { bring, contact, createPushingAccount, marksOf } from '../support/pushing.ts'
import { openRun, page, product, syncOnce, writePage } from '../support/sync-runs.ts'
import { ACCESS } from './access-matrix.ts'

const database = useDatabase()
const { admin, actAs } = database

describe('1000 unchanged records', () => {
  const records = Array.from({ length: 1000 }, (_, index) => product(`p${index}`))

  /** Bytes of WAL that `work` writes, beside what the server writes by itself: the least of three tries. */
  async function walBytesOf(work: (attempt: number) => Promise<unknown>): Promise<number> {
    const bytes: number[] = []
    // after a checkpoint each page's first change is written whole: the first try takes that upon itself
    await admin`checkpoint`
    for (let attempt = 1; attempt <= 4; attempt++) {
      const [before] = await admin`select pg_current_wal_insert_lsn() as lsn`
      await work(attempt)
      const [after] = await admin`
        select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), ${before?.lsn})::int as bytes`
      bytes.push(after?.bytes)
    }
    return Math.min(...bytes.slice(1))
  }

  it('cost at most 5 bytes of WAL each, with what the scan noted; sent in full they cost as much', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, records)
    const run = await openRun(database, id)
    const scanning = { scanning: true, scan_started_at: '2026-03-01T00:00:00Z' }

    const asked = await walBytesOf((number) =>
      writePage(database, run, records, { ask: true, number, progress: scanning })
    )
    const sent = await walBytesOf((number) =>
      writePage(database, run, records, { number: 10 + number, progress: scanning })
    )

    expect(asked / records.length).toBeLessThanOrEqual(5)
    expect(sent / records.length).toBeLessThanOrEqual(5)
  })

  it('cost much more when they did change: the measurement sees it', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, records)
    const run = await openRun(database, id)

    const changed = await walBytesOf((number) =>
      writePage(
        database,
        run,
        records.map(({ source_id }) =>
          product(source_id, `change ${number}`, { updatedAt: `2026-02-0${number}T00:00:00Z` })
        ),
        { number },
      )
    )

    expect(changed / records.length).toBeGreaterThan(100)
  })
})

describe('a page', () => {
  it.each([
    ['asked about', { ask: true }],
    ['sent in full', {}],
  ])(
    '%s is compared by index, though the table is small enough to be read whole',
    async (_how, options) => {
      const { id } = await createIntegration(database)
      const records = Array.from({ length: 1000 }, (_, index) => product(`p${index}`))
      await syncOnce(database, id, records)
      await admin`analyze public.products`
      const run = await openRun(database, id)

      const scans = await actAs('service_role', async (sql) => {
        const before = await scansOfProducts(sql)
        await callFunction(sql, 'write_sync_page', page(run, records, options))
        const after = await scansOfProducts(sql)
        return { whole: after.whole - before.whole, byIndex: after.byIndex - before.byIndex }
      })

      expect(scans).toEqual({ whole: 0, byIndex: records.length })
    },
  )

  /** Counted by this connection alone, over all it has done and not yet reported: only a difference means something. */
  async function scansOfProducts(sql: TransactionSql): Promise<{ whole: number; byIndex: number }> {
    const [counted] = await sql<{ whole: number; byIndex: number }[]>`
      select seq_scan::int as whole, idx_scan::int as "byIndex" from pg_catalog.pg_stat_xact_user_tables
      where relid = 'public.products'::regclass`
    return counted!
  }
})

describe('a change of many records that are pushed', () => {
  it('costs in proportion to their number: 4,000 at most ten times what 1,000 cost', async () => {
    const account = await createPushingAccount(database)
    await bring(
      database,
      account,
      ...Array.from({ length: 4000 }, (_, index) => contact(`${index}`, { email: null })),
    )
    const msOfChanging = async (count: number) => {
      const tries: number[] = []
      for (let attempt = 0; attempt < 3; attempt++) {
        const begun = performance.now()
        await actAs('service_role', (sql) =>
          sql`
          update public.contacts set phone = ${`${count} ${attempt}`}
          where integration_id = ${account.id} and source_id::int < ${count}`)
        tries.push(performance.now() - begun)
      }
      return Math.min(...tries)
    }

    const [some, many] = [await msOfChanging(1000), await msOfChanging(4000)]

    expect(await marksOf(database, account)).toHaveLength(4000)
    expect(many / some).toBeLessThan(10)
  })
})

describe('row level security', () => {
  type Plan = {
    'Node Type': string
    'Subplan Name'?: string
    'Plans'?: Plan[]
    [key: string]: unknown
  }
  const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]
  const tenantTables = Object.keys(ACCESS).filter((table) => ACCESS[table]?.isTenants)

  async function planOf(team: Team, table: string, prepare = 'select 1'): Promise<Plan[]> {
    return await actAs(team.viewer, async (sql: TransactionSql) => {
      await sql.unsafe(prepare)
      const [row] = await sql.unsafe(`explain (format json) select * from public.${table}`)
      return nodes(row?.['QUERY PLAN'][0].Plan)
    }, 'roll back')
  }

  it.each(tenantTables)('asks once a statement, not once a row: %s', async (table) => {
    const plan = await planOf(await createTeam(database), table)

    // the caller's organizations are an InitPlan; a function in a filter would be called for each row
    expect(plan.map((node) => node['Parent Relationship'])).toContain('InitPlan')
    expect(plan.filter((node) => /(organization|endpoint)_ids/.test(String(node.Filter)))).toEqual(
      [],
    )
  })

  it.each(tenantTables)("finds an organization's rows by an index: %s", async (table) => {
    // tables of a test are small, and a small one is faster read whole
    const plan = await planOf(await createTeam(database), table, 'set local enable_seqscan = off')

    const scans = plan.filter((node) => /Scan$/.test(node['Node Type']))
    expect(scans.length).toBeGreaterThan(0)
    expect(scans.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([])
    expect(
      scans.some((node) => /organization_id|endpoint_id|\bid\b/.test(String(node['Index Cond']))),
    ).toBe(
      true,
    )
  })
})
