// Syncs: starting runs, following them, and repairing the records they rejected.
import type { z } from 'zod'
import {
  replaySyncErrors,
  startSync,
  SyncError,
  SyncLog,
  type SyncResult,
  type SyncStatus,
} from '../supabase/functions/_shared/contracts/sync.ts'
import { callFunction } from './call-function.ts'
import { readRow } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'
import { type WatchOptions, watchSync } from './watch-sync.ts'

/** Which runs to list; what is left out does not narrow. */
export type SyncLogQuery = Page & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  stream?: string | undefined
  status?: SyncStatus | SyncStatus[] | undefined
}

/** Which rejected records to list; what is left out does not narrow. */
export type SyncErrorQuery = Page & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  stream?: string | undefined
  /** The run that rejected them last. */
  sync_log_id?: string | undefined
  /** Also those that are repaired, gone or dismissed; left out, only what is open. */
  includeResolved?: boolean | undefined
}

/** How many records were tried again, and what became of them. */
export type ReplayResult = z.infer<typeof replaySyncErrors.response>

export class Syncs {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Starts a run of one stream, or joins the one that is under way. A short run is finished when
   * this answers; a long one has `status: 'running'` and goes on in the background, where
   * {@link watch} follows it. Owners and managers may.
   *
   * @param input.integration_id `integrations.id`, a UUID.
   * @param input.stream A stream's name as the connector lists it, such as `products`.
   * @param input.mode `full` (also when left out) reads everything and notices what is gone;
   *   `incremental` reads what changed since the last run.
   * @param input.allow_mass_delete A person's yes to a run that was held with `mass_delete_held`.
   * @returns A run that failed is `data` with `success: false`, `error` and `error_code`. The result's
   *   own `error.code` is `integration_not_found`, `not_a_manager`, `stream_not_found`,
   *   `integration_paused`, `integration_disconnected` or a transport code. After a `network_error`
   *   calling again is safe: it joins.
   * @example
   * const { data: run, error } = await plugboard.syncs.start({ integration_id, stream: 'products' })
   */
  start(
    input: z.input<typeof startSync.request>,
    options?: CallOptions,
  ): Promise<Result<SyncResult>> {
    return callFunction(this.#supabase, startSync, input, options)
  }

  /** Lists runs of the user's organizations, newest first. Every member may; kept for 90 days. */
  list(query: SyncLogQuery = {}, options?: CallOptions): Promise<Result<SyncLog[]>> {
    const { limit, before, organization_id, integration_id, stream, status } = query
    const filter = { organization_id, integration_id, stream, status }
    return readPage(this.#supabase, 'sync_logs', SyncLog, 'id', filter, { limit, before }, options)
  }

  /**
   * Gets one run. `started_at` is null while it is queued, `finished_at` and `duration_ms`
   * (milliseconds) until it has ended.
   *
   * @param sync_log_id `sync_logs.id`, a UUID.
   * @returns `error.code` is `sync_log_not_found` (somebody else's, too) or a transport code.
   */
  get(sync_log_id: string, options?: CallOptions): Promise<Result<SyncLog>> {
    const notFound = {
      code: 'sync_log_not_found',
      message: `There is no sync log ${sync_log_id}.`,
    } as const
    const filter = { id: sync_log_id }
    return readRow(this.#supabase, 'sync_logs', SyncLog, filter, notFound, options)
  }

  /**
   * Follows a run until it has ended, by reading its log again and again, slower the longer nothing
   * changes. Leaving the page does not touch the run; watching it twice is harmless.
   *
   * @param sync_log_id `sync_logs.id`, a UUID, as {@link start} answers it.
   * @param options.onProgress Called with the log at first, at each change, and at the end.
   * @param options.intervalMs First pause between two reads, in milliseconds; 500 when left out. Grows
   *   to 5 s (or stays at `intervalMs` where that is more).
   * @param options.signal Stops watching; the answer is then `aborted`.
   * @returns `data` is the finished log: `status` is `success`, `partial` or `failed`, and a `failed`
   *   run is not an `error` of the watching. `error.code` is `sync_log_not_found`, `aborted` or a
   *   transport code.
   * @example
   * const { data: log } = await plugboard.syncs.watch(run.sync_log_id, {
   *   onProgress: ({ fetched_count }) => console.log(`${fetched_count} records`),
   * })
   */
  watch(sync_log_id: string, options?: WatchOptions): Promise<Result<SyncLog>> {
    return watchSync((signal) => this.get(sync_log_id, { signal }), options)
  }

  /**
   * Lists records that syncs rejected, newest first, each with its payload and what is wrong with
   * it. Owners, managers and members may; viewers get an empty list.
   */
  errors(query: SyncErrorQuery = {}, options?: CallOptions): Promise<Result<SyncError[]>> {
    const { limit, before, includeResolved = false, ...columns } = query
    const { organization_id, integration_id, stream, sync_log_id } = columns
    const resolved_at = includeResolved ? undefined : null
    const filter = { organization_id, integration_id, stream, sync_log_id, resolved_at }
    const page = { limit, before }
    return readPage(this.#supabase, 'sync_errors', SyncError, 'id', filter, page, options)
  }

  /**
   * Tries rejected records again, after the code or their payload was repaired: all open ones of the
   * stream, or the named ones. Owners and managers may.
   *
   * @param input.sync_error_ids 1 to 1000 of `sync_errors.id`.
   * @returns `error.code` is `integration_not_found`, `not_a_manager`, `stream_not_found` or a
   *   transport code.
   */
  replay(
    input: z.input<typeof replaySyncErrors.request>,
    options?: CallOptions,
  ): Promise<Result<ReplayResult>> {
    return callFunction(this.#supabase, replaySyncErrors, input, options)
  }
}
