// What a worker gets when it takes a run, and the SQL functions that belong to holding it.
import type { Place } from '../connectors/account.ts'
import type { Database } from '../platform/database.ts'
import type { ErrorSummary } from '../contracts/contract.ts'
import type { SyncDirection } from '../contracts/sync-streams.ts'
import type { SyncLog, SyncMode } from '../contracts/sync.ts'
import type { OpenIntegration } from '../integrations/open-integration.ts'
import { SyncProgress } from './progress.ts'

/** One run under our lease. */
export type ClaimedRun = OpenIntegration & {
  sync_log_id: string
  lease_token: string
  stream: string
  mode: SyncMode
  direction: SyncDirection
  progress: SyncProgress
  has_rows: boolean
  /** The stream's cursor: RFC 3339, null when no run has finished yet. */
  since: string | null
  /** What the last finished run left, in the connector's own words. */
  bookmark: Place | null
  batch_size: number
  /** Records sent in one call; null: as many as the platform takes. */
  push_batch_size: number | null
}

/**
 * Takes a due run, or null when there is none.
 *
 * @param syncLogId Only this one.
 */
export async function claimRun(
  db: Database,
  syncLogId?: string,
): Promise<ClaimedRun | null> {
  const claimed = await db.call<ClaimedRun | null>('claim_sync_run', {
    p_sync_log_id: syncLogId ?? null,
    // ours from the start: should the answer be lost, the same claim is answered again
    p_lease_token: crypto.randomUUID(),
  })
  return claimed &&
    { ...claimed, progress: SyncProgress.parse(claimed.progress) }
}

const lease = (run: ClaimedRun) => ({
  p_sync_log_id: run.sync_log_id,
  p_lease_token: run.lease_token,
})

/** Gives the run back to be continued, by anyone, from its last committed batch. */
export async function releaseRun(
  db: Database,
  run: ClaimedRun,
  options: { pauseMs?: number; error?: ErrorSummary } = {},
): Promise<void> {
  await db.call('release_sync_run', {
    ...lease(run),
    p_pause_ms: Math.ceil(options.pauseMs ?? 0),
    p_error: options.error ?? null,
  })
}

/** Ends the run. */
export async function finishRun(
  db: Database,
  run: ClaimedRun,
  status: 'success' | 'partial' | 'failed',
  error: ErrorSummary | null = null,
): Promise<SyncLog> {
  return await db.call<SyncLog>('finish_sync_run', {
    ...lease(run),
    p_status: status,
    p_error: error,
  })
}

/**
 * Starts the run's reading over.
 *
 * @param options.full As a full run, whatever it was.
 */
export async function restartRun(
  db: Database,
  run: ClaimedRun,
  { full = false } = {},
): Promise<void> {
  await db.call('restart_sync_run', { ...lease(run), p_full: full })
  if (full) run.mode = 'full'
  run.progress = SyncProgress.parse({})
  run.has_rows = true
}

/** Arguments by which a SQL function knows that the caller still holds the run. */
export { lease as leaseArguments }
