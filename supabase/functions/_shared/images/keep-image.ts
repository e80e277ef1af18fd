// One image from its address into Storage: fetched, looked at, uploaded unless it is there already.
import { createHash } from 'node:crypto'
import { ImageType } from '../contracts/images.ts'
import { createHttpClient, type HttpClient } from '../http/client.ts'
import type { Database } from '../platform/database.ts'
import type { Outside } from '../platform/outside.ts'
import type { ClaimedImage, StoredImage } from './claimed-images.ts'
import { mediaPath, type MediaStorage } from './media-storage.ts'
import { readImageKind } from './read-image.ts'

/** What the bucket takes. */
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024

/** From the name lookup to the last byte; well below a lease. */
const FETCH_TIMEOUT_MS = 20_000

/** Servers that choose a format by what is asked for shall choose one that is kept. */
const ACCEPT = [...ImageType.options, '*/*;q=0.1'].join(', ')

/** One try: the queue is what tries again, after pauses that no worker has to sit out. */
export function imageHttpClient(outside: Outside): HttpClient {
  return createHttpClient({
    fetch: outside.fetch,
    clock: outside.clock,
    log: outside.log,
    allowPrivateNetworks: outside.environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS,
    timeoutMs: outside.timeoutMs ?? FETCH_TIMEOUT_MS,
    maxResponseBytes: MAX_IMAGE_BYTES,
    maxAttempts: 1,
  })
}

export type Keeper = {
  db: Pick<Database, 'call'>
  http: HttpClient
  storage: MediaStorage
  /** Uploads of this worker by path, so that the same content met twice at once goes up once. */
  uploads: Map<string, Promise<void>>
  /** Told how much came in, also of what is not kept. */
  received(byteCount: number): void
}

/** @throws AppError saying why it could not be kept. */
export async function keepImage(
  { organization_id, url }: ClaimedImage,
  { db, http, storage, uploads, received }: Keeper,
): Promise<StoredImage> {
  const { bytes } = await http.send({
    url,
    headers: { accept: ACCEPT },
    redirects: 'any host',
  })
  received(bytes.byteLength)
  const { type, extension, width, height } = await readImageKind(bytes)
  const content_hash = createHash('sha256').update(bytes).digest('hex')
  const storage_path = mediaPath(organization_id, content_hash, extension)

  const upload = uploads.get(storage_path) ?? uploadOnce()
  uploads.set(storage_path, upload)
  try {
    await upload
  } catch (error) {
    uploads.delete(storage_path) // the next one with this content tries again
    throw error
  }
  return {
    content_hash,
    content_type: type,
    byte_size: bytes.byteLength,
    width,
    height,
    storage_path,
  }

  async function uploadOnce(): Promise<void> {
    const isKept = await db.call<boolean>('has_media_asset', {
      p_organization_id: organization_id,
      p_content_hash: content_hash,
    })
    if (!isKept) await storage.put(storage_path, bytes, type)
  }
}
