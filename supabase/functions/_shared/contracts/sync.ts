// Syncs on the wire: runs, their logs, rejected records, and the calls that start and repair them.
import { z } from 'zod'
import { contract, ErrorSummary, Timestamp } from './contract.ts'

/** `incremental` asks only for what changed; `full` reads everything and notices deletions. */
export const SyncMode = z.enum(['incremental', 'full'])
export type SyncMode = z.infer<typeof SyncMode>

/** What started a run. */
export const SyncType = z.enum(['scheduled', 'manual', 'webhook'])
export type SyncType = z.infer<typeof SyncType>

/** `partial`: finished, but some records were rejected and wait in `sync_errors`. */
export const SyncStatus = z.enum(['queued', 'running', 'success', 'partial', 'failed'])
export type SyncStatus = z.infer<typeof SyncStatus>

const count = z.int().nonnegative()

/** Records of one run. `unchanged` ones were not written at all; `errors` were rejected. */
export const SyncStats = z.object({
  fetched: count,
  created: count,
  updated: count,
  unchanged: count,
  deleted: count,
  errors: count,
})
export type SyncStats = z.infer<typeof SyncStats>

/** One run of one stream: a row of `sync_logs`. */
export const SyncLog = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  integration_id: z.uuid(),
  stream: z.string(),
  sync_type: SyncType,
  mode: SyncMode,
  status: SyncStatus,
  fetched_count: count,
  created_count: count,
  updated_count: count,
  unchanged_count: count,
  deleted_count: count,
  error_count: count,
  error: ErrorSummary.nullable(),
  requested_by: z.uuid().nullable(), // the user who asked; null for schedules and the secret key
  started_at: Timestamp.nullable(), // null while queued
  finished_at: Timestamp.nullable(), // null until it ended
  duration_ms: count.nullable(),
  attempt_count: count, // how many workers have taken it up
  created_at: Timestamp,
})
export type SyncLog = z.infer<typeof SyncLog>

/** One record that was rejected, with everything needed to repair it: a row of `sync_errors`. */
export const SyncError = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  integration_id: z.uuid(),
  stream: z.string(),
  source_id: z.string().nullable(), // null when the record does not even say which one it is
  sync_log_id: z.uuid().nullable(), // null once the log is past its retention
  payload: z.unknown(), // the record as the platform sent it
  code: z.string(),
  message: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })),
  attempt_count: count,
  created_at: Timestamp,
  last_seen_at: Timestamp,
  resolved_at: Timestamp.nullable(),
  resolution: z.enum(['synced', 'replayed', 'gone', 'dismissed']).nullable(), // null while open
})
export type SyncError = z.infer<typeof SyncError>

/** How a run stands when the call answers. `success` is true for `success` and `partial`. */
export const SyncResult = z.object({
  success: z.boolean(),
  sync_log_id: z.uuid(),
  status: SyncStatus,
  stats: SyncStats,
  error: z.string().optional(),
  error_code: z.string().optional(),
})
export type SyncResult = z.infer<typeof SyncResult>

const stream = z.string().min(1).max(100)

/** Syncs an integration's products. 200: the run ended; 202: it goes on in the background. */
export const syncProducts = contract({
  method: 'POST',
  path: '/sync-products',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    triggered_by: z.string().max(200).optional(), // a note only: who called is told by the token
  }),
  response: SyncResult,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'stream_not_found',
    'integration_paused',
    'integration_disconnected',
  ],
})

/** Syncs one stream of an integration. 200: the run ended; 202: it goes on in the background. */
export const startSync = contract({
  method: 'POST',
  path: '/sync',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    stream,
    mode: SyncMode.optional(), // left out: full; incremental reads only what changed
    allow_mass_delete: z.boolean().optional(), // a person's yes to a run that mass_delete_held
  }),
  response: SyncResult,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'stream_not_found',
    'integration_paused',
    'integration_disconnected',
  ],
})

/** Tries rejected records again, all open ones of the stream or the named ones. */
export const replaySyncErrors = contract({
  method: 'POST',
  path: '/sync/replay',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    stream,
    sync_error_ids: z.array(z.uuid()).min(1).max(1000).optional(),
  }),
  response: z.object({ replayed: count, resolved: count, failed: count }),
  errors: ['integration_not_found', 'not_a_manager', 'stream_not_found'],
})

/** Wakes a worker, which runs what is due. Called by the database, not by people. */
export const workSyncs = contract({
  method: 'POST',
  path: '/sync/work',
  auth: 'worker',
  request: z.strictObject({ reason: z.string().max(200).optional() }),
  response: z.object({ accepted: z.literal(true) }), // the work itself goes on after the answer
  errors: [],
})
