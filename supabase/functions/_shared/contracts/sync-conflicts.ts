// Local changes on the wire: what a push would do, and what became of records that both sides had changed.
import { z } from 'zod'
import { Timestamp } from './contract.ts'
import { ConflictPolicy } from './sync-streams.ts'

/** A record's columns that are pushed, by name. */
const Version = z.record(z.string(), z.unknown())

/**
 * `both_changed`: since the last version both had. `local_deleted`, `remote_deleted`: one side deleted what the other one
 * changed. `linked`: a record made here was at the platform already, with other values.
 */
export const ConflictKind = z.enum(['both_changed', 'local_deleted', 'remote_deleted', 'linked'])
export type ConflictKind = z.infer<typeof ConflictKind>

/** One record that both sides had changed, with both versions and what was decided: a row of `sync_conflicts`. */
export const SyncConflict = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  integration_id: z.uuid(),
  stream: z.string(),
  record_id: z.uuid(), // the row's `id`
  source_id: z.string(), // the platform's id at that time
  sync_log_id: z.uuid().nullable(), // the run that noticed; null for a webhook, or once the log is past its retention
  kind: ConflictKind,
  fields: z.array(z.string()), // those that both sides changed
  base: Version.nullable(), // the last version both had; null: there was none
  local: Version.nullable(), // null: deleted here
  remote: Version.nullable(), // null: deleted there
  local_changed_at: Timestamp, // by our clock
  local_changed_by: z.uuid().nullable(), // the user; null for the secret key
  remote_changed_at: Timestamp, // by the platform's clock, or when it was read
  policy: ConflictPolicy, // as it was then
  decision: z.enum(['local', 'remote']), // whose version stayed
  decided_at: Timestamp,
  overturned_at: Timestamp.nullable(),
  overturned_by: z.uuid().nullable(),
})
export type SyncConflict = z.infer<typeof SyncConflict>

const count = z.int().nonnegative()

/** What would be sent of one record. */
export const PlannedChange = z.object({
  record_id: z.uuid(),
  source_id: z.string().nullable(), // null: the platform does not have it yet
  operation: z.enum(['create', 'update', 'delete']),
  changed: z.array(z.string()), // columns that differ from what the platform is known to have
  before: Version.nullable(), // the last version both had
  after: Version.nullable(), // null: it would be deleted
})
export type PlannedChange = z.infer<typeof PlannedChange>

/** What a push would do now, as far as is known here: the platform is not asked. */
export const PushPreview = z.object({
  creates: count,
  updates: count,
  deletes: count,
  filtered: count, // changed here, and kept back by the stream's filter
  refused: count, // not tried again until the record is edited or a push is asked for by hand
  waiting: count, // tried, and not due again yet
  changes: z.array(PlannedChange), // the first hundred, oldest first
})
export type PushPreview = z.infer<typeof PushPreview>
