// Images on the wire: what is kept, what still has to be fetched or could not be, and the call that asks for more.
import { z } from 'zod'
import { contract, ErrorSummary, Timestamp } from './contract.ts'

const count = z.int().nonnegative()

/** The types that are kept: what every browser shows and what can hold no script. */
export const ImageType = z.enum([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
])
export type ImageType = z.infer<typeof ImageType>

/** A file kept in Storage: a row of `media_assets`. */
export const MediaAsset = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  content_hash: z.string(), // SHA-256 of the bytes, hex
  content_type: ImageType,
  byte_size: count,
  width: count.nullable(), // pixels; null where the file does not say so near its beginning
  height: count.nullable(),
  storage_bucket: z.string(),
  storage_path: z.string(),
  created_at: Timestamp,
})
export type MediaAsset = z.infer<typeof MediaAsset>

/** `queued`: waits for its first or next try. `dead`: given up, `last_error` says why. */
export const MediaSourceStatus = z.enum(['queued', 'stored', 'dead'])
export type MediaSourceStatus = z.infer<typeof MediaSourceStatus>

/** One address from which records show an image: a row of `media_sources`. */
export const MediaSource = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  url: z.string(),
  status: MediaSourceStatus,
  asset_id: z.uuid().nullable(), // media_assets.id, once stored
  last_error: ErrorSummary.nullable(), // of the last try that failed
  attempt_count: count, // tries that failed
  run_at: Timestamp, // when the next try is due
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type MediaSource = z.infer<typeof MediaSource>

/** Queues the images that an organization's records show and that are not stored. They are fetched in the background. */
export const syncImages = contract({
  method: 'POST',
  path: '/sync-images',
  auth: 'user-or-secret',
  request: z.strictObject({
    organization_id: z.uuid(),
    retry_dead: z.boolean().optional(), // true: what failed too, as if for the first time
  }),
  response: z.object({
    queued: count, // by this call
    waiting: count, // how the organization's images stand now, each address once
    stored: count,
    dead: count,
  }),
  errors: ['organization_not_found', 'not_a_manager'],
})
export type ImageCounts = z.infer<typeof syncImages.response>

/** Wakes a worker, which fetches what is due. Called by the database, not by people. */
export const workImages = contract({
  method: 'POST',
  path: '/sync-images/work',
  auth: 'worker',
  request: z.strictObject({ reason: z.string().max(200).optional() }),
  response: z.object({ accepted: z.literal(true) }), // the work itself goes on after the answer
  errors: [],
})
