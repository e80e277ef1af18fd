// How files get into Supabase Storage, and under which key.
import type { SupabaseClient } from '@supabase/supabase-js'
import { AppError } from '../platform/errors.ts'

export interface MediaStorage {
  /** Writes a file, over one that is there: the key follows from the content, so it is the same. */
  put(path: string, bytes: Uint8Array, contentType: string): Promise<void>
}

const BUCKET = 'media'

/** Well below a lease, which must outlive fetching and uploading. */
const UPLOAD_TIMEOUT_MS = 30_000

/** A year: the content of a key never changes. */
const CACHE_SECONDS = '31536000'

/** The project's Storage. `admin` is the secret key's client: only the service writes here. */
export function supabaseStorage(
  admin: SupabaseClient,
  timeoutMs = UPLOAD_TIMEOUT_MS,
): MediaStorage {
  return {
    async put(path, bytes, contentType) {
      const { promise: timeout, reject } = Promise.withResolvers<never>()
      const timer = setTimeout(
        () => reject(new AppError('storage_failed', { detail: 'Storage did not answer in time.' })),
        timeoutMs,
      )
      try {
        const upload = admin.storage.from(BUCKET)
          .upload(path, bytes, { contentType, cacheControl: CACHE_SECONDS, upsert: true })
        const { error } = await Promise.race([upload, timeout])
        if (error) throw new AppError('storage_failed', { cause: error })
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** Above it a file goes up alone: fetch copies what it sends, and a worker has 256 MB for everything. */
const LARGE_BYTES = 1024 * 1024

/** The same Storage, sending one large file at a time. */
export function oneLargeAtATime(storage: MediaStorage): MediaStorage {
  let last: Promise<void> = Promise.resolve()
  return {
    put(path, bytes, contentType) {
      const send = () => storage.put(path, bytes, contentType)
      if (bytes.byteLength <= LARGE_BYTES) return send()
      const turn = last.then(send)
      last = turn.catch(() => {}) // how it went is its own caller's business
      return turn
    },
  }
}

/** ASCII, whatever the image was called; the first folder is what the bucket's policy asks for. */
export function mediaPath(organizationId: string, contentHash: string, extension: string): string {
  return `${organizationId}/${contentHash.slice(0, 2)}/${contentHash}.${extension}`
}
