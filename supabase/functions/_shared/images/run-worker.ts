// Drains the queue of images: claims a few, keeps them side by side, says what became of them.
import { AppError, type ErrorCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import {
  type ClaimedImage,
  claimImages,
  finishImages,
  type ImageOutcome,
} from './claimed-images.ts'
import { type Bounds, forEachBounded, hostOf } from './host-bound.ts'
import { imageHttpClient, type Keeper, keepImage } from './keep-image.ts'
import { type MediaStorage, oneLargeAtATime } from './media-storage.ts'

/**
 * One worker's share: wall time after which nothing begins, so that all has ended by the platform's 150 s; images and bytes for its 2 s of CPU, of
 * which an image takes about 5 ms and a megabyte, received, hashed and sent on, about 10.
 */
export const IMAGE_WORKER_SHARE = { wallMs: 90_000, images: 150, bytes: 50 * 1024 * 1024 }

/** Of all workers together: the queue serves one worker at a time. */
export const IMAGE_BOUNDS: Bounds = { atOnce: 6, atOnceForHost: 2 }

/** Claimed together, and their outcomes written together. */
const BATCH_SIZE = 24

/**
 * What has not begun by then is given back, its upload likewise, so that a lease (120 s) outlives the last of
 * them: a fetch takes 20 s at most and an upload 30 s, and large ones wait for each other in between.
 */
const BEGIN_WITHIN_MS = 30_000
const UPLOAD_WITHIN_MS = 80_000

/** The last fetch that began may end so long after the worker's time; then no upload begins. */
const UPLOAD_AFTER_WALL_MS = 20_000

/** Not the image's fault: the next worker shall try it. */
class TooLateToUpload extends Error {}

/** After so many images in a row that a host did not answer for, its others fail without a call. */
const HOST_FAILURES = 3

/** Trying these again cannot help. */
const FINAL_ERRORS = new Set<ErrorCode>(['private_network_refused', 'provider_answer_too_large'])
const HOST_ERRORS = new Set<ErrorCode>(['provider_timeout', 'provider_unavailable'])

/**
 * Works until its share is spent or nothing is due, then rings for the next worker where something is left.
 * What failed is due again after a minute at the earliest, which is the schedule's business.
 *
 * @returns How many images it stored.
 */
export async function runImageWorker(
  outside: Outside,
  storage: MediaStorage,
  share = IMAGE_WORKER_SHARE,
): Promise<number> {
  const { db, clock } = outside
  const startedAt = clock.now().getTime()
  const silentHosts = new Map<string, { failures: number; error: AppError }>()
  const spent = { images: 0, bytes: 0, stored: 0 }
  let uploadUntil = 0
  const keeper: Keeper = {
    db,
    http: imageHttpClient(outside),
    storage: oneLargeAtATime({
      async put(...file) {
        if (clock.now().getTime() >= uploadUntil) throw new TooLateToUpload()
        await storage.put(...file)
      },
    }),
    uploads: new Map(),
    received: (byteCount) => spent.bytes += byteCount,
  }
  const isSpent = () =>
    spent.images >= share.images || spent.bytes >= share.bytes ||
    clock.now().getTime() - startedAt >= share.wallMs

  await db.call('answer_wake', { p_worker: 'sync-images' })
  while (!isSpent()) {
    const leaseToken = crypto.randomUUID()
    const claimedAt = clock.now().getTime() // before the lease begins
    const claimed = await claimImages(
      db,
      leaseToken,
      Math.min(BATCH_SIZE, share.images - spent.images),
    )
    if (claimed.length === 0) break
    const beginUntil = claimedAt + BEGIN_WITHIN_MS
    uploadUntil = Math.min(
      claimedAt + UPLOAD_WITHIN_MS,
      startedAt + share.wallMs + UPLOAD_AFTER_WALL_MS,
    )
    const outcomes: ImageOutcome[] = []
    await forEachBounded(claimed, ({ url }) => hostOf(url), IMAGE_BOUNDS, async (image) => {
      outcomes.push(
        isSpent() || clock.now().getTime() >= beginUntil
          ? { id: image.id, pause_ms: 0 }
          : await outcomeOf(image),
      )
    })
    await finishImages(db, leaseToken, outcomes, isSpent())
  }
  return spent.stored

  async function outcomeOf(image: ClaimedImage): Promise<ImageOutcome> {
    const host = hostOf(image.url)
    const silence = silentHosts.get(host)
    if (silence && silence.failures >= HOST_FAILURES) return failed(image, silence.error)
    spent.images++
    try {
      const asset = await keepImage(image, keeper)
      silentHosts.delete(host)
      spent.stored++
      return { id: image.id, asset }
    } catch (error) {
      if (error instanceof TooLateToUpload) return { id: image.id, pause_ms: 0 }
      const known = error instanceof AppError ? error : new AppError('internal_error')
      if (HOST_ERRORS.has(known.code)) {
        silentHosts.set(host, {
          failures: (silentHosts.get(host)?.failures ?? 0) + 1,
          error: known,
        })
      } else silentHosts.delete(host)
      logFailure(image, error)
      return failed(image, known)
    }
  }

  /** An address that is dead is its owner's business; what went wrong here is ours. */
  function logFailure({ id }: ClaimedImage, error: unknown): void {
    const isOurs = !(error instanceof AppError) || error.code === 'storage_failed'
    if (isOurs) outside.log.error('an image could not be kept', { media_source_id: id, error })
  }
}

function failed({ id }: ClaimedImage, error: AppError): ImageOutcome {
  const { code, detail, next, retryAfterMs } = error
  return {
    id,
    error: { code, message: detail, next },
    is_final: FINAL_ERRORS.has(code),
    retry_after_ms: retryAfterMs,
  }
}
