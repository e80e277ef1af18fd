// A sync asked for by a person or a program: queues the run and, unless told not to wait, does its first
// slice at once.
import type { SyncLog, SyncMode, SyncResult } from '../contracts/sync.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { claimRun } from './claimed-run.ts'
import { runSlice } from './run-slice.ts'
import { WORKER_SHARE } from './run-worker.ts'

/** How long the caller waits for a run to end before the answer is "it goes on". */
const ANSWER_WITHIN_MS = 50_000

export type StartRun = {
  integration_id: string
  stream: string
  mode?: SyncMode
  allow_mass_delete?: boolean
  /** False: only queue it and ring for a worker. */
  wait?: boolean
  /** auth.users.id of the caller; null for the secret key. */
  requested_by: string | null
}

/**
 * Queues the stream's sync and runs it as far as one slice goes. Two callers at once get the same run.
 *
 * @returns The run's log, finished or not: what is left goes on in the background.
 */
export async function startRun(
  outside: Outside,
  request: StartRun,
): Promise<SyncLog> {
  const clock = outside.clock
  const deadline = clock.now().getTime() + ANSWER_WITHIN_MS
  let log = await outside.db.call<SyncLog>('start_sync', {
    p_integration_id: request.integration_id,
    p_stream: request.stream,
    p_sync_type: 'manual',
    p_mode: request.mode ?? null,
    p_allow_mass_delete: request.allow_mass_delete ?? false,
    p_requested_by: request.requested_by,
    p_wake: request.wait === false, // else we take it ourselves; should we die, the minute's job finds it
  })
  if (request.wait === false) return log
  const run = await claimRun(outside.db, log.id)
  if (run) {
    const outcome = await runSlice(run, outside, {
      recordsLeft: WORKER_SHARE.records,
      deadline,
    })
    if (outcome.kind === 'finished') return outcome.log
    return await readLog(outside, log.id)
  }
  // Somebody else is at it: wait for their result as if it were ours.
  for (let nap = 200;; nap = Math.min(nap * 1.5, 2_000)) {
    log = await readLog(outside, log.id)
    // with an error and not ended: it waits, perhaps for an hour, and says for what
    if (log.finished_at !== null || log.error !== null || clock.now().getTime() + nap >= deadline) {
      return log
    }
    await clock.sleep(nap)
  }
}

/** @throws AppError `integration_not_found` when it was deleted meanwhile, and its logs with it. */
async function readLog({ db }: Outside, id: string): Promise<SyncLog> {
  // the Data API answers no row as one without values
  const log = await db.call<SyncLog | { id: null } | null>('read_sync_log', { p_sync_log_id: id })
  if (!log?.id) throw new AppError('integration_not_found')
  return log
}

/** A run as `sync` and `sync-products` answer it: 200 when it has ended, 202 while it goes on. */
export function toSyncResult(
  log: SyncLog,
): { status: 200 | 202; body: SyncResult } {
  return {
    status: log.finished_at === null ? 202 : 200,
    body: {
      success: log.status !== 'failed',
      sync_log_id: log.id,
      // queued or given back: to the caller it goes on either way
      status: log.status === 'queued' ? 'running' : log.status,
      stats: {
        fetched: log.fetched_count,
        created: log.created_count,
        updated: log.updated_count,
        unchanged: log.unchanged_count,
        deleted: log.deleted_count,
        errors: log.error_count,
        pushed: log.pushed_count,
        conflicts: log.conflict_count,
        failed: log.failed_count,
      },
      ...(log.error ? { error: log.error.message, error_code: log.error.code } : {}),
    },
  }
}
