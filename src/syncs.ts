// Syncs: starting runs, following them, and repairing the records they refused.
import { z } from 'zod'
import { PushPreview } from '../supabase/functions/_shared/contracts/sync-conflicts.ts'
import {
  replaySyncErrors,
  startSync,
  SyncError,
  SyncLog,
  type SyncResult,
  type SyncStatus,
} from '../supabase/functions/_shared/contracts/sync.ts'
import { callFunction } from './call-function.ts'
import { callProcedure, readRow, send } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import { fail, type Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'
import { SyncConflicts } from './sync-conflicts.ts'
import { SyncStreams } from './sync-streams.ts'
import { type WatchOptions, watchSync } from './watch-sync.ts'

/** Which runs to list; what is left out does not narrow. */
export type SyncLogQuery = Page & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  stream?: string | undefined
  status?: SyncStatus | SyncStatus[] | undefined
}

/** Which refused records to list; what is left out does not narrow. */
export type SyncErrorQuery = Page & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  stream?: string | undefined
  /** The run that refused them last. */
  sync_log_id?: string | undefined
  /** `pull`: records of the platform; `push`: local changes that it did not take. */
  direction?: SyncError['direction'] | undefined
  /** Also those that are repaired, gone or dismissed; left out, only what is open. */
  includeResolved?: boolean | undefined
}

/**
 * How many records were tried again, what became of them, and how many open ones `remaining` counts
 * that this call did not come to; `next` is where to go on.
 */
export type ReplayResult = z.infer<typeof replaySyncErrors.response>

/** They travel in the address, which may not be longer. */
const MOST_IDS = 200

export class Syncs {
  readonly #supabase: AppSupabaseClient
  /** What is synced of an integration, and how. */
  readonly streams: SyncStreams
  /** Records that both sides had changed, and what was decided. */
  readonly conflicts: SyncConflicts

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
    this.streams = new SyncStreams(supabase)
    this.conflicts = new SyncConflicts(supabase)
  }

  /**
   * Starts a run of one stream, or joins the one that is under way. Waits up to 50 seconds for its end;
   * with `wait: false` answers at once. A run that has not ended has `status: 'running'` and goes on in
   * the background, where {@link watch} follows it. Owners and managers may.
   *
   * @param input.integration_id `integrations.id`, a UUID.
   * @param input.stream A stream's name as the connector lists it, such as `products`.
   * @param input.mode `full` (also when left out) reads everything and notices what is gone;
   *   `incremental` reads what changed since the last run; `push` reads nothing and sends local changes, which the
   *   other two do at their end where the stream pushes.
   * @param input.allow_mass_delete A person's yes to a run that was held with `mass_delete_held`.
   * @param input.wait `false`: do not wait for the run's end.
   * @returns `data.status` says how the run stands. `running`: `stats` is what there is so far, and
   *   `error` what it waits for, if anything. `partial`: records were refused (`invalid_record`), or
   *   local changes were (`push_refused`), or deletions wait for a yes; `error_code` says which. `failed`: `error` and
   *   `error_code` say why. The result's own `error.code` is `integration_not_found`, `not_a_manager`,
   *   `stream_not_found`, `stream_not_pushed`, `integration_paused`, `integration_disconnected` or a transport code. After a `network_error`
   *   calling again is safe: it joins.
   * @example
   * const { data: run, error } = await plugboard.syncs.start({
   *   integration_id,
   *   stream: 'products',
   *   wait: false,
   * })
   * if (run) await plugboard.syncs.watch(run.sync_log_id)
   */
  start(
    input: z.input<typeof startSync.request>,
    options?: CallOptions,
  ): Promise<Result<SyncResult>> {
    return callFunction(this.#supabase, startSync, input, options)
  }

  /**
   * Sends a stream's local changes to the platform now: {@link start} with mode `push`. Changes go out by themselves
   * soon after they are made; this is for who wants to see the outcome, and tries again what was refused.
   */
  push(
    input: Pick<z.input<typeof startSync.request>, 'integration_id' | 'stream' | 'wait'>,
    options?: CallOptions,
  ): Promise<Result<SyncResult>> {
    return this.start({ ...input, mode: 'push' }, options)
  }

  /**
   * Says what a push would create, change and delete at the platform, and does nothing. The platform is not asked, so a
   * record that changed there meanwhile is not known here. Every member may.
   *
   * @returns `data.changes` are the first hundred, oldest first; the counts are of all. `error.code` is
   *   `integration_not_found`, `stream_not_found`, `stream_not_pushed` or a transport code.
   */
  preview(
    input: { integration_id: string; stream: string },
    options?: CallOptions,
  ): Promise<Result<PushPreview>> {
    const args = { p_integration_id: input.integration_id, p_stream: input.stream }
    return callProcedure(this.#supabase, 'preview_push', args, PushPreview, options)
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
   * @param options.intervalMs Pause between two reads after a change, in milliseconds; 500 when left
   *   out. Grows to 5 s while nothing changes (or stays at `intervalMs` where that is more).
   * @param options.signal Stops watching; the answer is then `aborted`.
   * @returns `data` is the finished log: `status` is `success`, `partial` (records or local changes were
   *   refused, or deletions wait for a yes: `error.code` says which) or `failed`, and a `failed` run is not an
   *   `error` of the watching. `error.code` is `sync_log_not_found`, `aborted` or a transport code. The
   *   promise rejects only with what `onProgress` throws: that ends the watching.
   * @example
   * const { data: log } = await plugboard.syncs.watch(run.sync_log_id, {
   *   onProgress: ({ fetched_count }) => console.log(`${fetched_count} records`),
   * })
   */
  watch(sync_log_id: string, options?: WatchOptions): Promise<Result<SyncLog>> {
    return watchSync((signal) => this.get(sync_log_id, { signal }), options)
  }

  /**
   * Lists records that syncs refused, and local changes that the platform refused, newest first, each with its payload
   * and what is wrong with it. The `code` of a local change may be the platform's own. Owners, managers and members
   * may; viewers get an empty list.
   */
  errors(query: SyncErrorQuery = {}, options?: CallOptions): Promise<Result<SyncError[]>> {
    const { limit, before, includeResolved = false, ...columns } = query
    const { organization_id, integration_id, stream, sync_log_id, direction } = columns
    const resolved_at = includeResolved ? undefined : null
    const which = { organization_id, integration_id, stream, sync_log_id, direction }
    const filter = { ...which, resolved_at }
    const page = { limit, before }
    return readPage(this.#supabase, 'sync_errors', SyncError, 'id', filter, page, options)
  }

  /**
   * Puts a corrected payload in a refused record's place, for {@link replay} to try. Later syncs leave
   * a repaired payload alone; when the platform gives a sound record, that ends the error. A local change is
   * repaired by editing its row. Owners and managers may.
   *
   * @param input.sync_error_id `sync_errors.id` of an open one of direction `pull`.
   * @param input.payload The whole record, in the shape in which the platform sends it.
   * @returns `data` is the error as it is now. `error.code` is `sync_error_not_found` (also when it is
   *   resolved, a local change, somebody else's, or the caller is no manager), `invalid_request` or a transport code.
   * @example
   * await plugboard.syncs.repair({ sync_error_id: error.id, payload: { ...payload, price: 12.5 } })
   * await plugboard.syncs.replay({ integration_id, stream, sync_error_ids: [error.id] })
   */
  async repair(
    input: { sync_error_id: string; payload: unknown },
    options?: CallOptions,
  ): Promise<Result<SyncError>> {
    const { sync_error_id, payload } = input
    if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
      const message = 'payload has to be a record: an object with the fields the platform sends'
      return fail('invalid_request', `${message}.`, { errors: [{ path: 'payload', message }] })
    }
    const changes = { payload }
    const { data, error } = await this.#changeErrors([sync_error_id], changes, options, 'pull')
    return error ? { data: null, error } : { data: data[0]!, error: null }
  }

  /**
   * Ends refused records that nobody will repair. One that comes again is a new one. A local change is only taken off the
   * list: it stays refused, and {@link preview} counts it, until its row is edited or {@link push} tries it again. Owners
   * and managers may.
   *
   * @param input.sync_error_ids 1 to 200 of `sync_errors.id`.
   * @returns `data` are those that were open and are dismissed now. `error.code` is
   *   `sync_error_not_found` when that is none, `invalid_request` or a transport code.
   */
  async dismiss(
    input: { sync_error_ids: string[] },
    options?: CallOptions,
  ): Promise<Result<SyncError[]>> {
    const { sync_error_ids } = input
    if (sync_error_ids.length < 1 || sync_error_ids.length > MOST_IDS) {
      const message = `sync_error_ids has to hold 1 to ${MOST_IDS} ids`
      const errors = [{ path: 'sync_error_ids', message }]
      return fail('invalid_request', `${message}.`, { errors })
    }
    const changes = { resolution: 'dismissed', resolved_at: new Date().toISOString() }
    return await this.#changeErrors(sync_error_ids, changes, options)
  }

  /**
   * Tries refused records again, after the code or their payload was repaired: all open ones of the
   * stream, or the named ones, at most 1,000 in one call. While `remaining` is above 0, call again
   * with `after: next`. Asks nothing of the platform, so the account may be disconnected. Passes over local
   * changes, which {@link push} tries again. Owners and managers may.
   *
   * @param input.sync_error_ids 1 to 1000 of `sync_errors.id`.
   * @param input.after `next` of the answer before.
   * @returns `error.code` is `integration_not_found`, `not_a_manager`, `stream_not_found`,
   *   `invalid_settings` (they no longer suit the connector) or a transport code.
   * @example
   * for (let after: string | null | undefined; after !== null;) {
   *   const { data, error } = await plugboard.syncs.replay({ integration_id, stream, after })
   *   if (error) throw error
   *   after = data.next
   * }
   */
  replay(
    input: z.input<typeof replaySyncErrors.request>,
    options?: CallOptions,
  ): Promise<Result<ReplayResult>> {
    return callFunction(this.#supabase, replaySyncErrors, input, options)
  }

  /** Under row level security, which hides what the caller may not change. Only open ones. */
  async #changeErrors(
    ids: string[],
    changes: { payload: unknown } | { resolution: string; resolved_at: string },
    options?: CallOptions,
    direction?: SyncError['direction'],
  ): Promise<Result<SyncError[]>> {
    const open = this.#supabase.schema('public').from('sync_errors').update(changes)
      .in('id', ids).is('resolved_at', null)
    const query = direction === undefined ? open : open.eq('direction', direction)
    const columns = Object.keys(SyncError.shape).join(',')
    const answer = await send(query.select(columns), z.array(SyncError), options)
    if (answer.error || answer.data.length > 0) return answer
    return fail(
      'sync_error_not_found',
      'There is no such open error, or it is not yours to change: owners and managers may.',
    )
  }
}
