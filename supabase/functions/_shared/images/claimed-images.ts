// What a worker holds when it takes images, and what it says became of them.
import type { ErrorSummary } from '../contracts/contract.ts'
import type { MediaAsset } from '../contracts/images.ts'
import type { Database } from '../platform/database.ts'

/** One address under our lease: a row of `media_sources`. */
export type ClaimedImage = { id: string; organization_id: string; url: string }

export type StoredImage = Pick<
  MediaAsset,
  'content_hash' | 'content_type' | 'byte_size' | 'width' | 'height' | 'storage_path'
>

export type ImageOutcome =
  | { id: string; asset: StoredImage }
  /** `is_final`: trying again cannot help. */
  | { id: string; error: ErrorSummary; is_final: boolean; retry_after_ms?: number | undefined }
  /** Not tried: due again after the pause. */
  | { id: string; pause_ms: number }

/** Takes due images; none where nothing is due or another worker is at it. */
export async function claimImages(
  db: Database,
  leaseToken: string,
  limit: number,
): Promise<ClaimedImage[]> {
  return await db.call<ClaimedImage[]>('claim_images', {
    p_lease_token: leaseToken, // ours from the start: should the answer be lost, the same claim is answered again
    p_limit: limit,
  })
}

/** Says what became of them. `handOver`: this worker stops, another one shall go on with what is due. */
export async function finishImages(
  db: Database,
  leaseToken: string,
  outcomes: ImageOutcome[],
  handOver: boolean,
): Promise<void> {
  await db.call('finish_images', {
    p_lease_token: leaseToken,
    p_outcomes: outcomes,
    p_hand_over: handOver,
  })
}
