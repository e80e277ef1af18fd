// The streams of an integration: what is synced, and how.
import { z } from 'zod'
import {
  SyncStream,
  SyncStreamSettings,
} from '../supabase/functions/_shared/contracts/sync-streams.ts'
import { select, send } from './data-api.ts'
import { fail, type Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

export class SyncStreams {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Lists the streams of one integration by name. Every member may.
   *
   * @param query.integration_id `integrations.id`, a UUID.
   */
  list(query: { integration_id: string }, options?: CallOptions): Promise<Result<SyncStream[]>> {
    const { integration_id } = query
    const rows = select(this.#supabase, 'sync_streams', SyncStream, { integration_id })
    return send(rows.order('stream'), z.array(SyncStream), options)
  }

  /**
   * Changes what is given of one stream. Owners and managers may.
   *
   * @param input.direction `pull` brings the platform's records here, `push` sends changes made here, `both` does both.
   * @param input.conflict_policy Whose version stays when both sides changed a record: `remote_wins`, `local_wins` or
   *   `latest_wins`, which goes by each side's clock.
   * @param input.merge_fields `true`: where the two sides changed different fields of a record, both changes stay.
   * @param input.push_deletes `true`: a record that is deleted here is deleted at the platform.
   * @param input.push_batch_size Records sent in one call, 1 to 1000; `null`: as many as the platform takes.
   * @param input.filter A condition over a record's columns, such as `{ field: 'tags', operator: 'contains', value: 'vip' }`:
   *   only what fits is pushed. `null`: everything.
   * @param input.retry_pauses_s Seconds before a record is sent again that the platform could not take just then, one for
   *   each further try.
   * @param input.record_events `ids`: each record that is created, updated or deleted becomes an event; `records`: with
   *   what is in it; `none`: no events.
   * @param input.enabled `false`: it is synced by hand only.
   * @returns `error.code` is `stream_not_found` (also for who is no manager), `stream_not_pushed` or `stream_not_read` (the
   *   platform does not take, or show, such records with the account's settings), `deletes_not_pushed`, `invalid_request`
   *   with the fields at fault in `errors`, or a transport code.
   * @example
   * await plugboard.syncs.streams.update({ integration_id, stream: 'contacts', direction: 'both' })
   */
  async update(
    input: { integration_id: string; stream: string } & SyncStreamSettings,
    options?: CallOptions,
  ): Promise<Result<SyncStream>> {
    const { integration_id, stream, ...given } = input
    const parsed = SyncStreamSettings.safeParse(given)
    if (!parsed.success) return invalid(parsed.error)
    const settings = Object.fromEntries(
      Object.entries(parsed.data).filter(([, value]) => value !== undefined),
    )
    if (Object.keys(settings).length === 0) {
      return fail('invalid_request', 'Give at least one setting to change.')
    }
    const query = this.#supabase.schema('public').from('sync_streams').update(settings)
      .eq('integration_id', integration_id).eq('stream', stream)
      .select(Object.keys(SyncStream.shape).join(','))
    const answer = await send(query, z.array(SyncStream), options)
    if (answer.error) return answer
    const [changed] = answer.data
    if (changed) return { data: changed, error: null }
    return fail(
      'stream_not_found',
      `There is no stream ${stream} of this integration, or it is not yours to change: owners and managers may.`,
    )
  }
}

/** Postgres would refuse it too, but only say which rule of the table it breaks. */
function invalid({ issues }: z.ZodError) {
  const errors = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: key, message: 'is not a known field' }))
      : [{ path: issue.path.join('.'), message: issue.message }]
  )
  const fields = [...new Set(errors.map(({ path }) => path))].join(', ')
  return fail('invalid_request', `These settings cannot be used: ${fields}.`, { errors })
}
