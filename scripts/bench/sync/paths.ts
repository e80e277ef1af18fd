// Each path writes the same catalog: first into an empty table, then unchanged, then with 5 % changed.
import type postgres from 'postgres'
import { median } from '../median.ts'
import type { BenchStore } from './bench-store.ts'
import { type Catalog, generateCatalog } from './records.ts'
import { writeCopy } from './write-copy.ts'
import { writeOurs } from './write-ours.ts'
import { writeUpserts } from './write-upserts.ts'

export const STEPS = ['first load', 'unchanged', '5 % changed'] as const
export type Step = (typeof STEPS)[number]

export const PATHS = [
  'one upsert a record',
  'bulk upsert',
  'ours, Data API',
  'ours, direct',
  'plain COPY',
] as const
export type PathName = (typeof PATHS)[number]

export type Measurement = {
  records_per_second: number
  /** As a multiple of what COPY reached in the same round. */
  of_copy: number
  /** As a multiple of one upsert a record in the same round. */
  of_one_by_one: number
  wal_bytes_per_record: number
}

/** Medians over the runs. */
export type PathResults = {
  records: number
  runs: number
  bytes_per_record: number
  measured: Partial<Record<PathName, Partial<Record<Step, Measurement>>>>
}

/** What people write is slow and even: the first so many records of a catalog tell its rate. */
export const ONE_BY_ONE_SAMPLE = 1_000
export const BULK_SAMPLE = 20_000

const RECORDS_A_BULK_CALL = 1_000

type Pass = (catalog: Catalog, changed: boolean) => Promise<number>
type Round = Map<PathName, Map<Step, { rate: number; wal: number }>>

export async function measurePaths(
  bench: BenchStore,
  { records, runs, log }: { records: number; runs: number; log: (line: string) => void },
): Promise<PathResults> {
  const catalog = generateCatalog(records)
  const integration = await bench.connect({
    external_account_id: `paths-${records}`,
    credentials: { client_id: 'bench', api_key: 'bench' },
  })
  const { supabase, databases } = bench
  const rounds: Round[] = []
  for (let run = 1; run <= runs; run++) {
    const round: Round = new Map()
    const measure = async (path: PathName, what: Catalog, pass: Pass) => {
      round.set(path, await measurePath(bench, what, pass, path === 'plain COPY' ? 1 : 3))
      const rates = [...round.get(path)!.values()].map(({ rate }) => Math.round(rate))
      log(`${records} records, run ${run} of ${runs}: ${path} ${rates.join(' / ')} a second`)
    }
    await measure(
      'plain COPY',
      catalog,
      (all) => writeCopy(bench.admin, integration, all),
    )
    await measure(
      'one upsert a record',
      catalog.slice(0, ONE_BY_ONE_SAMPLE),
      (all, changed) => writeUpserts(supabase, integration, all, changed, 1),
    )
    await measure(
      'bulk upsert',
      catalog.slice(0, BULK_SAMPLE),
      (all, changed) => writeUpserts(supabase, integration, all, changed, RECORDS_A_BULK_CALL),
    )
    await measure(
      'ours, Data API',
      catalog,
      (all, changed) => writeOurs(databases.dataApi, integration, all, changed),
    )
    await measure(
      'ours, direct',
      catalog,
      (all, changed) => writeOurs(databases.direct, integration, all, changed),
    )
    rounds.push(round)
  }
  await bench.empty()
  const bytes = catalog.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return {
    records,
    runs,
    bytes_per_record: Math.round(bytes / catalog.length),
    measured: summarize(rounds),
  }
}

async function measurePath(
  bench: BenchStore,
  catalog: Catalog,
  pass: Pass,
  steps: number,
): Promise<Map<Step, { rate: number; wal: number }>> {
  const results = new Map<Step, { rate: number; wal: number }>()
  await bench.empty()
  for (const step of STEPS.slice(0, steps)) {
    const before = await walPosition(bench.admin)
    const seconds = await pass(catalog, step === '5 % changed')
    const wal = (await walPosition(bench.admin)) - before
    results.set(step, { rate: catalog.length / seconds, wal: wal / catalog.length })
    await bench.settle()
  }
  return results
}

async function walPosition(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ bytes: string }[]>`
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes`
  return Number(row?.bytes)
}

function summarize(rounds: Round[]): PathResults['measured'] {
  const measured: PathResults['measured'] = {}
  const over = (value: (round: Round) => number) => median(rounds.map(value))
  const at = (round: Round, path: PathName, step: Step) => round.get(path)?.get(step)
  for (const path of PATHS) {
    const steps: Partial<Record<Step, Measurement>> = {}
    for (const step of STEPS) {
      if (!rounds.every((round) => at(round, path, step))) continue
      const rate = (round: Round) => at(round, path, step)!.rate
      steps[step] = {
        records_per_second: over(rate),
        of_copy: over((round) => rate(round) / at(round, 'plain COPY', 'first load')!.rate),
        of_one_by_one: over((round) => rate(round) / at(round, 'one upsert a record', step)!.rate),
        wal_bytes_per_record: over((round) => at(round, path, step)!.wal),
      }
    }
    measured[path] = steps
  }
  return measured
}
