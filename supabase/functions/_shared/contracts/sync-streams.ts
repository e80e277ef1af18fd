// Streams on the wire: what is synced of an integration, which way, and who wins.
import { z } from 'zod'
import { Condition } from './conditions.ts'
import { Timestamp } from './contract.ts'

/** Which events a stream's records write: none, `ids` of what was created, updated or deleted, or also what is in it. */
export const RecordEvents = z.enum(['none', 'ids', 'records'])
export type RecordEvents = z.infer<typeof RecordEvents>

/** `pull` brings the platform's records here, `push` sends local changes there, `both` does both. */
export const SyncDirection = z.enum(['pull', 'push', 'both'])
export type SyncDirection = z.infer<typeof SyncDirection>

/** Whose version stays when both sides changed a record. `latest_wins` goes by each side's clock; a tie is the platform's. */
export const ConflictPolicy = z.enum(['local_wins', 'remote_wins', 'latest_wins'])
export type ConflictPolicy = z.infer<typeof ConflictPolicy>

/** One kind of record of one integration: a row of `sync_streams`. */
export const SyncStream = z.object({
  integration_id: z.uuid(),
  organization_id: z.uuid(),
  stream: z.string(),
  enabled: z.boolean(), // false: only by hand
  offered: z.boolean(), // false: the account has no such stream with its present settings
  direction: SyncDirection,
  conflict_policy: ConflictPolicy,
  merge_fields: z.boolean(), // true: where the two sides changed different fields, both changes stay
  push_columns: z.array(z.string()).nullable(), // what can be changed here and sent there; null: nothing
  push_deletes: z.boolean(), // true: a record deleted here is deleted there
  push_batch_size: z.int().nullable(), // records sent in one call; null: as many as the platform takes
  filter: Condition.nullable(), // over a record's columns: only what fits is pushed; null: all
  retry_pauses_s: z.array(z.int()), // seconds before a record is sent again that the platform could not take just then
  record_events: RecordEvents,
  batch_size: z.int(), // records written in one transaction
  full_sync_interval_minutes: z.int(), // how often a scheduled run reads everything, to see deletions
  mass_delete_percent: z.int(), // a run that would delete more stops and asks; 0: any
  last_full_sync_at: Timestamp.nullable(),
  next_sync_at: Timestamp,
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type SyncStream = z.infer<typeof SyncStream>

/** What managers may change of a stream; what is left out stays. */
export const SyncStreamSettings = z.strictObject({
  enabled: z.boolean().optional(),
  direction: SyncDirection.optional(),
  conflict_policy: ConflictPolicy.optional(),
  merge_fields: z.boolean().optional(),
  push_deletes: z.boolean().optional(),
  push_batch_size: z.int().min(1).max(1000).nullable().optional(),
  filter: Condition.nullable().optional(),
  retry_pauses_s: z.array(z.int().min(1).max(86_400)).max(20).optional(),
  record_events: RecordEvents.optional(),
  batch_size: z.int().min(1).max(5000).optional(),
  full_sync_interval_minutes: z.int().min(1).max(2_147_483_647).optional(),
  mass_delete_percent: z.int().min(0).max(100).optional(),
})
export type SyncStreamSettings = z.input<typeof SyncStreamSettings>
