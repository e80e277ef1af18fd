// Commits one batch of a run: first asks which records differ, then sends only those.
import type { Database } from '../platform/database.ts'
import { DatabaseError } from '../platform/database.ts'
import { type ClaimedRun, leaseArguments } from './claimed-run.ts'
import type { SyncProgress } from './progress.ts'

/** A record as `private.merge_records` takes it: the shared columns and the stream's own. */
export type RecordRow = {
  source_id: string
  source_updated_at: string | null
  last_synced_at: string
  content_hash: string
  source_data: unknown
  [column: string]: unknown
}

/** Deleted at the platform: with its own time, or with the time at which we learnt of it. */
export type Deletion = {
  source_id: string
  source_deleted_at?: string
  absent_at?: string
}

/** A record that could not be mapped. */
export type RefusedRecord = {
  source_id: string | null
  payload: unknown
  code: string
  message: string
  issues: { path: string; message: string }[]
}

/** What one transaction writes; `rows` has each `source_id` once. */
export type Batch = {
  fetched: number
  rows: RecordRow[]
  deletions: Deletion[]
  refused: RefusedRecord[]
}

type Answer = { committed: boolean; differing?: number[] }

/**
 * Writes a batch and moves the run's progress, in one transaction. Sets `run.progress`.
 *
 * @param next The progress after this batch, but for `batch_count`.
 */
export async function writeBatch(
  db: Database,
  run: ClaimedRun,
  batch: Batch,
  next: SyncProgress,
): Promise<void> {
  try {
    await send(db, run, batch, next)
  } catch (error) {
    if (
      !(error instanceof DatabaseError && error.isAboutData) ||
      batch.rows.length === 0
    ) throw error
    await isolate(db, run, batch, next, error)
  }
}

async function send(
  db: Database,
  run: ClaimedRun,
  batch: Batch,
  next: SyncProgress,
): Promise<void> {
  const progress = { ...next, batch_count: run.progress.batch_count + 1 }
  const args = {
    ...leaseArguments(run),
    p_source_ids: batch.rows.map((row) => row.source_id),
    p_content_hashes: batch.rows.map((row) => row.content_hash),
    p_progress: progress,
    p_fetched: batch.fetched,
    p_deletions: batch.deletions,
    p_refused: batch.refused,
  }
  let rows = batch.rows
  // Asking costs a round trip, which a first load, where everything is new, can save.
  if (!next.first_load) {
    const answer = await db.call<Answer>('write_sync_page', {
      ...args,
      p_records: null,
    })
    if (answer.committed) {
      run.progress = progress
      return
    }
    rows = (answer.differing ?? []).flatMap((position) => batch.rows[position] ?? [])
  }
  await db.call<Answer>('write_sync_page', { ...args, p_records: rows })
  run.progress = progress
}

/**
 * A value that the mapping lets through and the table does not: halves the batch until the record is
 * alone, and keeps it with the refused ones. The place moves on only with the last part.
 */
async function isolate(
  db: Database,
  run: ClaimedRun,
  batch: Batch,
  next: SyncProgress,
  error: DatabaseError,
): Promise<void> {
  const [only] = batch.rows
  if (batch.rows.length === 1 && only) {
    const refused: RefusedRecord = {
      source_id: only.source_id,
      payload: only.source_data,
      code: 'invalid_record',
      message: `The table does not take it: ${error.message}`,
      issues: [],
    }
    // the payload itself may be what the database cannot store
    if (error.code === '22P05') {
      refused.payload = { unreadable: JSON.stringify(only.source_data) }
    }
    await send(db, run, {
      ...batch,
      rows: [],
      refused: [...batch.refused, refused],
    }, next)
    return
  }
  const middle = Math.ceil(batch.rows.length / 2)
  const stay = run.progress
  const here: SyncProgress = {
    ...next,
    cursor: stay.cursor,
    watermark: stay.watermark,
    phase: stay.phase,
  }
  await writeBatch(db, run, {
    fetched: middle,
    rows: batch.rows.slice(0, middle),
    deletions: [],
    refused: [],
  }, here)
  await writeBatch(db, run, {
    ...batch,
    fetched: batch.fetched - middle,
    rows: batch.rows.slice(middle),
  }, next)
}
