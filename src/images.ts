// Images: the files kept for an organization's records, and what could not be fetched.
import type { z } from 'zod'
import {
  type ImageCounts,
  MediaAsset,
  MediaSource,
  type MediaSourceStatus,
  syncImages,
} from '../supabase/functions/_shared/contracts/images.ts'
import { callFunction } from './call-function.ts'
import { type Page, readPage } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which files to list; what is left out does not narrow. */
export type MediaAssetQuery = Page & {
  organization_id?: string | undefined
  /** `media_assets.id`, such as the `image_asset_id` of some products. */
  id?: string | string[] | undefined
}

/** Which addresses to list; what is left out does not narrow. */
export type MediaSourceQuery = Page & {
  organization_id?: string | undefined
  status?: MediaSourceStatus | MediaSourceStatus[] | undefined
}

export class Images {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Queues the images that an organization's records show and that are not stored yet; they are fetched in
   * the background. Syncs do this by themselves: call it to try again what failed. Owners and managers may.
   *
   * @param input.organization_id `organizations.id`, a UUID.
   * @param input.retry_dead `true`: what failed is tried again at once, as if for the first time.
   * @returns `data.queued` counts what this call queued; `waiting`, `stored` and `dead` how the
   *   organization's images stand now, each address once. `error.code` is `organization_not_found`,
   *   `not_a_manager` or a transport code.
   */
  sync(
    input: z.input<typeof syncImages.request>,
    options?: CallOptions,
  ): Promise<Result<ImageCounts>> {
    return callFunction(this.#supabase, syncImages, input, options)
  }

  /**
   * Lists the files kept for the user's organizations, newest first. Every member may. The file itself is
   * in Storage: `supabase.storage.from(storage_bucket).createSignedUrl(storage_path, 3600)`.
   */
  list(query: MediaAssetQuery = {}, options?: CallOptions): Promise<Result<MediaAsset[]>> {
    const { limit, before, organization_id, id } = query
    const filter = { organization_id, id }
    const page = { limit, before }
    return readPage(this.#supabase, 'media_assets', MediaAsset, 'id', filter, page, options)
  }

  /**
   * Lists the addresses of images, newest first, with what became of each: `status: 'dead'` are those that
   * were given up, and `last_error` says why. Every member may.
   */
  sources(query: MediaSourceQuery = {}, options?: CallOptions): Promise<Result<MediaSource[]>> {
    const { limit, before, organization_id, status } = query
    const filter = { organization_id, status }
    const page = { limit, before }
    return readPage(this.#supabase, 'media_sources', MediaSource, 'id', filter, page, options)
  }
}
