// Conflicts: records that both sides had changed, and what was decided.
import {
  type ConflictKind,
  SyncConflict,
} from '../supabase/functions/_shared/contracts/sync-conflicts.ts'
import { callProcedure } from './data-api.ts'
import { type Page, readPageBy } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which conflicts to list; what is left out does not narrow. */
export type SyncConflictQuery = Page<'id', 'decided_at'> & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  stream?: string | undefined
  /** The row's `id`. */
  record_id?: string | undefined
  /** The run that noticed. */
  sync_log_id?: string | undefined
  kind?: ConflictKind | ConflictKind[] | undefined
  decision?: SyncConflict['decision'] | undefined
}

export class SyncConflicts {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Lists conflicts, newest first, each with both versions and whose stayed. Every member may; kept for 90 days.
   */
  list(query: SyncConflictQuery = {}, options?: CallOptions): Promise<Result<SyncConflict[]>> {
    const { limit, before, organization_id, integration_id, stream, record_id, sync_log_id } = query
    const { kind, decision } = query
    const filter = {
      organization_id,
      integration_id,
      stream,
      record_id,
      sync_log_id,
      kind,
      decision,
    }
    const page = { limit, before }
    return readPageBy(
      this.#supabase,
      'sync_conflicts',
      SyncConflict,
      ['decided_at', 'id'],
      filter,
      page,
      options,
    )
  }

  /**
   * Puts the version that lost in the place of the one that stayed, as a change made here and now: it is pushed.
   * Owners and managers may, once for each conflict.
   *
   * @param input.sync_conflict_id `sync_conflicts.id`, a UUID.
   * @returns `data` is the conflict as it is now. `error.code` is `conflict_not_found` (also when it is somebody else's, or
   *   the caller is no manager), `conflict_overturned`, `stream_not_pushed` (the stream no longer pushes),
   *   `deletes_not_pushed` (the version that lost is a deletion, and `push_deletes` is off) or a transport code.
   */
  overturn(
    input: { sync_conflict_id: string },
    options?: CallOptions,
  ): Promise<Result<SyncConflict>> {
    const args = { p_conflict_id: input.sync_conflict_id }
    return callProcedure(this.#supabase, 'overturn_conflict', args, SyncConflict, options)
  }
}
