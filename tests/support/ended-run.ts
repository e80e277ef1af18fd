// When has a run ended that goes on in the background?
import { vi } from 'vitest'
import type { TestDatabase } from './database.ts'
import type { SyncLogRow } from './sync-runs.ts'

/** Reads a run's log until it has ended. */
export function endedRun(
  { admin: sql }: TestDatabase,
  syncLogId: string,
  timeout = 20_000,
): Promise<SyncLogRow> {
  return vi.waitFor(async () => {
    const [log] = await sql<SyncLogRow[]>`select * from public.sync_logs where id = ${syncLogId}`
    if (!log?.finished_at) throw new Error(`the run ${syncLogId} is ${log?.status}`)
    return log
  }, { timeout, interval: 50 })
}

/** The log of a run, as it is now. */
export async function readLog({ admin: sql }: TestDatabase, syncLogId: string) {
  const [log] = await sql<SyncLogRow[]>`select * from public.sync_logs where id = ${syncLogId}`
  if (!log) throw new Error(`there is no run ${syncLogId}`)
  return log
}
