// From the platform to the table: the sync function reads the Treez simulator over HTTP and writes.
import { setTimeout as sleep } from 'node:timers/promises'
import { startTreezSimulator } from '../../simulators/treez.ts'
import type { Stack } from '../../stack/stack.ts'
import { cpuSeconds, peakMemoryMb, resetPeakMemory } from '../process-usage.ts'
import type { BenchStore, Integration } from './bench-store.ts'
import { CHANGED_SHARE } from './records.ts'

export type WholeWay = {
  records: number
  over: 'Data API' | 'direct'
  step: 'first load' | 'unchanged' | '5 % changed'
  seconds: number
  /** Of the function's process, without what it uses while idle. */
  cpu_seconds_per_10000: number
  /** Workers that the run took. */
  slices: number
  peak_memory_mb: number
}

/** Full runs of a catalog, each transport in a fresh function process. */
export async function measureWholeWay(
  bench: BenchStore,
  stack: Stack,
  { records, log }: { records: number; log: (line: string) => void },
): Promise<WholeWay[]> {
  await liftRequestBudgets(bench)
  const results: WholeWay[] = []
  for (const over of ['Data API', 'direct'] as const) {
    const dispensary = `whole-way-${records}-${over === 'direct' ? 'direct' : 'api'}`
    const simulator = await startTreezSimulator({
      products: records,
      brokenShare: 0,
      recordSize: 'compact',
      requestsPerSecond: 0,
      dispensary,
    })
    try {
      await stack.functions.setEnv({
        CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: simulator.baseUrl } }),
        PLUGBOARD_DATABASE_URL: over === 'direct' ? stack.dbUrl : '',
      })
      const integration = await bench.connect({
        external_account_id: dispensary,
        credentials: simulator.credentials.v2,
      })
      await bench.empty()
      for (const step of ['first load', 'unchanged', '5 % changed'] as const) {
        if (step === '5 % changed') simulator.control.change(records * CHANGED_SHARE)
        const measured = await measureRun(bench, stack, integration, records)
        results.push({ records, over, step, ...measured })
        log(
          `${records} records over HTTP, ${over}, ${step}: ${measured.seconds.toFixed(1)} s, ` +
            `${measured.cpu_seconds_per_10000.toFixed(2)} CPU s per 10,000, ` +
            `${Math.round(measured.peak_memory_mb)} MB`,
        )
        await bench.settle()
      }
    } finally {
      await simulator.stop()
    }
  }
  return results
}

/**
 * The simulator's limit is off; so must be our own courtesy of ten requests a second. The engine still
 * asks for each turn, as always, and is told each time that it need not wait.
 */
async function liftRequestBudgets({ admin }: BenchStore): Promise<void> {
  await admin.unsafe(`
    create or replace function private.bench_never_wait() returns trigger language plpgsql as $$
    begin
      new.next_free_at := '-infinity';
      return new;
    end;
    $$;
    create or replace trigger bench_never_wait before insert or update on private.request_budgets
      for each row execute function private.bench_never_wait()`)
}

async function measureRun(
  bench: BenchStore,
  stack: Stack,
  integration: Integration,
  records: number,
): Promise<Omit<WholeWay, 'records' | 'over' | 'step'>> {
  const pid = stack.functions.pid()
  const idle = await idleCpuPerSecond(pid)
  resetPeakMemory(pid)
  const cpuBefore = cpuSeconds(pid)
  const start = performance.now()

  const response = await fetch(`${stack.functionsUrl}/sync`, {
    method: 'POST',
    headers: { apikey: stack.secretKey, 'content-type': 'application/json' },
    body: JSON.stringify({ integration_id: integration.id, stream: 'products', mode: 'full' }),
  })
  const answer = await response.json() as { sync_log_id?: string }
  if (!response.ok || answer.sync_log_id === undefined) {
    throw new Error(`sync answered ${response.status}: ${JSON.stringify(answer)}`)
  }
  const finished = await finishedLog(bench, answer.sync_log_id)

  const seconds = (performance.now() - start) / 1000
  const cpu = cpuSeconds(pid) - cpuBefore - idle * seconds
  if (stack.functions.pid() !== pid) {
    throw new Error(
      'the function process was replaced meanwhile: do not edit functions during a run',
    )
  }
  if (finished.status !== 'success' || finished.fetched_count !== records) {
    throw new Error(`the run did not read everything: ${JSON.stringify(finished)}`)
  }
  return {
    seconds,
    cpu_seconds_per_10000: (cpu / records) * 10_000,
    slices: finished.attempt_count,
    peak_memory_mb: peakMemoryMb(pid),
  }
}

async function idleCpuPerSecond(pid: number): Promise<number> {
  const seconds = 2
  await sleep(500) // what the last run or the start left behind
  const before = cpuSeconds(pid)
  await sleep(seconds * 1000)
  return (cpuSeconds(pid) - before) / seconds
}

type FinishedLog = { status: string; fetched_count: number; attempt_count: number }

async function finishedLog({ admin }: BenchStore, id: string): Promise<FinishedLog> {
  for (;;) {
    const [log] = await admin<FinishedLog[]>`
      select status, fetched_count, attempt_count, error from public.sync_logs
      where id = ${id} and finished_at is not null`
    if (log) return log
    await sleep(100)
  }
}
