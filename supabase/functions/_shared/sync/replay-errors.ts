// Tries refused records again, after the record or the mapping was repaired.
import { findStream } from '../connectors/define-connector.ts'
import { openIntegration, type Outside, readIntegration } from '../integrations/open-integration.ts'
import { DatabaseError } from '../platform/database.ts'
import { Collector } from './map-page.ts'
import type { Batch } from './write-batch.ts'

type OpenError = {
  id: string
  payload: unknown
  last_seen_at: string
}
type Outcome = {
  id: string
  ok: boolean
  code?: string
  message?: string
  issues?: unknown
}

/** Errors tried in one call; the least often tried come first, so that calling again goes on. */
const MOST_ERRORS = 1_000

/** Each error is written by itself: one that fails again must not hold back the others. */
export async function replayErrors(
  outside: Outside,
  request: {
    integration_id: string
    stream: string
    sync_error_ids?: string[]
  },
): Promise<{ replayed: number; resolved: number; failed: number }> {
  const { db } = outside
  const { connector, settings } = openIntegration(
    await readIntegration(db, request.integration_id),
    outside,
  )
  const stream = findStream(connector, request.stream)
  const errors = await db.call<OpenError[]>('list_open_sync_errors', {
    p_integration_id: request.integration_id,
    p_stream: stream.name,
    p_ids: request.sync_error_ids ?? null,
    p_limit: MOST_ERRORS,
  })
  const outcomes: Outcome[] = []
  for (const error of errors) {
    const collected = new Collector({
      connector,
      stream: stream.name,
      settings,
    })
    // as old as when it was read: what was synced since is newer
    collected.add({ records: [error.payload], fetched_at: error.last_seen_at })
    outcomes.push({ id: error.id, ...await apply(collected.take()) })
  }
  if (outcomes.length > 0) {
    await db.call('record_replay', {
      p_integration_id: request.integration_id,
      p_outcomes: outcomes,
    })
  }
  const resolved = outcomes.filter((outcome) => outcome.ok).length
  return {
    replayed: outcomes.length,
    resolved,
    failed: outcomes.length - resolved,
  }

  async function apply(batch: Batch): Promise<Omit<Outcome, 'id'>> {
    const [refused] = batch.refused
    if (refused) {
      return {
        ok: false,
        code: refused.code,
        message: refused.message,
        issues: refused.issues,
      }
    }
    try {
      await db.call('apply_records', {
        p_integration_id: request.integration_id,
        p_stream: stream.name,
        p_records: batch.rows,
        p_deletions: batch.deletions,
        p_resolution: 'replayed',
      })
      return { ok: true }
    } catch (error) {
      if (!(error instanceof DatabaseError && error.isAboutData)) throw error
      return {
        ok: false,
        code: 'invalid_record',
        message: `The table does not take it: ${error.message}`,
      }
    }
  }
}
