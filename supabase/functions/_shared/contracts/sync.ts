// Syncs on the wire: runs, their logs, refused records, and the calls that start and repair them.
import { z } from 'zod'
import { contract, ErrorSummary, Timestamp } from './contract.ts'

/**
 * `incremental` asks only for what changed; `full` reads everything and notices deletions; `push` reads nothing and
 * sends local changes. Where the stream pushes, the other two send them too, after they have read.
 */
export const SyncMode = z.enum(['incremental', 'full', 'push'])
export type SyncMode = z.infer<typeof SyncMode>

/** What started a run; `change`: a local change that has to go out. */
export const SyncType = z.enum(['scheduled', 'manual', 'webhook', 'change'])
export type SyncType = z.infer<typeof SyncType>

/**
 * `partial`: finished, but a person should look. `error.code` says at what: `invalid_record` (records were
 * refused and wait in `sync_errors`), `push_refused` (local changes were, and are there too), `mass_delete_held` (deletions
 * wait for a yes) or `provider_not_found` (a part of the account, such as a channel, cannot be read and was passed over).
 */
export const SyncStatus = z.enum(['queued', 'running', 'success', 'partial', 'failed'])
export type SyncStatus = z.infer<typeof SyncStatus>

const count = z.int().nonnegative()

/**
 * Records of one run. `unchanged` ones were not written at all; `errors` were refused. `pushed` local changes are at the
 * platform, `failed` ones it refused; `conflicts` were changed on both sides.
 */
export const SyncStats = z.object({
  fetched: count,
  created: count,
  updated: count,
  unchanged: count,
  deleted: count,
  errors: count,
  pushed: count,
  conflicts: count,
  failed: count,
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
  error_count: count, // refused records
  pushed_count: count, // local changes that are at the platform now, deletions too
  conflict_count: count, // records that both sides had changed: sync_conflicts
  failed_count: count, // local changes that the platform refused: sync_errors
  error: ErrorSummary.nullable(), // why it failed or is partial; while it runs, what it waits for
  requested_by: z.uuid().nullable(), // the user who asked; null for schedules and the secret key
  started_at: Timestamp.nullable(), // null while queued
  finished_at: Timestamp.nullable(), // null until it ended
  duration_ms: count.nullable(),
  attempt_count: count, // how many workers have taken it up
  created_at: Timestamp,
})
export type SyncLog = z.infer<typeof SyncLog>

/**
 * One record that was refused, with everything needed to repair it: a row of `sync_errors`. `push`: a local change that the
 * platform did not take; the next edit of the record, or a push by hand, tries again.
 */
export const SyncError = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  integration_id: z.uuid(),
  stream: z.string(),
  direction: z.enum(['pull', 'push']),
  source_id: z.string().nullable(), // null when the record does not even say which one it is
  sync_log_id: z.uuid().nullable(), // null once the log is past its retention
  payload: z.unknown(), // the record as the platform sent it, or as a person repaired it; of a push, what was to be sent
  code: z.string(),
  message: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })),
  attempt_count: count,
  created_at: Timestamp,
  last_seen_at: Timestamp, // when the platform last gave the record
  repaired_at: Timestamp.nullable(), // when a person last changed the payload; syncs then leave it alone
  resolved_at: Timestamp.nullable(),
  resolution: z.enum(['synced', 'replayed', 'pushed', 'gone', 'dismissed']).nullable(), // null while open
})
export type SyncError = z.infer<typeof SyncError>

/** A run that has not ended is `running` here, whether a worker has it already or not. */
const ResultStatus = SyncStatus.exclude(['queued'])

/** How a run stands when the call answers: look at `status` first. */
export const SyncResult = z.object({
  /** False only when the run failed. At 202 it has not ended, and `true` is no promise. */
  success: z.boolean(),
  sync_log_id: z.uuid(),
  status: ResultStatus,
  /** At 202: so far. */
  stats: SyncStats,
  /** Why it failed or is partial; beside `running`, what it waits for. For people. */
  error: z.string().optional(),
  /** The code that belongs to `error`. */
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
    mode: SyncMode.optional(), // left out: full; incremental reads only what changed; push sends only
    allow_mass_delete: z.boolean().optional(), // a person's yes to a run that mass_delete_held
    wait: z.boolean().optional(), // false: answers 202 at once; left out or true: up to 50 s for the end
  }),
  response: SyncResult,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'stream_not_found',
    'stream_not_pushed',
    'integration_paused',
    'integration_disconnected',
  ],
})

/**
 * Tries refused records again, all open ones of the stream or the named ones, 1,000 at most in one call.
 * Where `remaining` is above 0, go on with `after: next`. Asks nothing of the platform, so it works for a
 * paused or disconnected integration too.
 */
export const replaySyncErrors = contract({
  method: 'POST',
  path: '/sync/replay',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    stream,
    sync_error_ids: z.array(z.uuid()).min(1).max(1000).optional(),
    after: z.uuid().optional(), // `next` of the answer before: only errors not come to yet
  }),
  response: z.object({
    replayed: count, // tried in this call: resolved and failed
    resolved: count,
    failed: count,
    remaining: count, // open ones this call did not come to
    next: z.uuid().nullable(), // where to go on; null when nothing remains
  }),
  errors: [
    'integration_not_found',
    'not_a_manager',
    'connector_not_found',
    'stream_not_found',
    'invalid_settings',
  ],
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
