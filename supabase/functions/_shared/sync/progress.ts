// A run's place: what has to survive a worker so that the next one goes on where it stopped.
import { z } from 'zod'
import type { PageCursor } from '../connectors/account.ts'

/** `private.sync_runs.progress`. Written with each batch, in the batch's own transaction. */
export const SyncProgress = z.object({
  /** `pages`: reading the platform. `absent`: all was read; looking for what is gone. `push`: sending local changes, if any. */
  phase: z.enum(['pages', 'absent', 'push']).default('pages'),
  /** The page to read next; null is the first. */
  cursor: z.custom<PageCursor>().nullable().default(null),
  /** Batches committed so far; the next one has this number plus one. */
  batch_count: z.int().default(0),
  /** A full run notes what it sees, to know afterwards what is gone. */
  scanning: z.boolean().default(false),
  /** When the first page was read, by our clock. */
  scan_started_at: z.string().nullable().default(null),
  /** Only what changed since then is asked for; null asks for everything. */
  since: z.string().nullable().default(null),
  /** The connector's own place of the last finished run; null asks for everything. */
  bookmark: z.record(z.string(), z.unknown()).nullable().default(null),
  /** The one this run leaves for the next, should it end well. */
  new_bookmark: z.record(z.string(), z.unknown()).nullable().default(null),
  /** What a full run could not reach: records from before this. Null: it reaches all of them. */
  reaches_back_to: z.string().nullable().default(null),
  /** Beginnings of the ids a full run has read in full; records of others are not looked for. Null: it reads all. */
  covers: z.array(z.string()).nullable().default(null),
  /** What the run could not read and passed over, for people. */
  passed_over: z.array(z.string()).default([]),
  /** The newest `source_updated_at` seen. */
  watermark: z.string().nullable().default(null),
  /** The stream had no rows when the run began, so there is nothing to compare with. */
  first_load: z.boolean().default(false),
  /** In phase `absent`: ids up to here have been dealt with. */
  absent_after: z.string().default(''),
})
export type SyncProgress = z.infer<typeof SyncProgress>
