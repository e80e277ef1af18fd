// Events: what has happened in an organization, and an app's own word about what happens there.
import { z } from 'zod'
import { Event, EventTypeInfo } from '../supabase/functions/_shared/contracts/events.ts'
import type { Json } from './database.types.ts'
import { callProcedure, select, send } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import { type Result, succeed } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which events of an organization to list; what is left out does not narrow. */
export type EventQuery = Page & {
  organization_id: string
  type?: string | string[] | undefined
  /** Such as `integration/<id>`. */
  subject?: string | string[] | undefined
}

export class Events {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /** Lists an organization's events, newest first. Every member may; kept for 30 days. */
  list(query: EventQuery, options?: CallOptions): Promise<Result<Event[]>> {
    const { limit, before, organization_id, type, subject } = query
    const filter = { organization_id, type, subject }
    return readPage(this.#supabase, 'events', Event, 'id', filter, { limit, before }, options)
  }

  /**
   * Writes an event of the app's own, which goes to the webhook endpoints that ask for its type. Members may, viewers may not.
   *
   * @param input.type Words in lower case with dots between, such as `booking.created`. First words of Plugboard's own types
   *   (see {@link types}) are refused.
   * @param input.data Any JSON object up to 256 KB.
   * @param input.subject What it is about, such as `booking/17`: endpoints with `ordered_by_subject` keep its order.
   * @returns `data.event_id` is also the `webhook-id` of its deliveries. `error.code` is `organization_not_found`,
   *   `invalid_event_type`, `event_type_reserved`, `event_too_large`, `invalid_request` or a transport code.
   */
  async emit(
    input: {
      organization_id: string
      type: string
      data: Record<string, unknown>
      subject?: string | undefined
    },
    options?: CallOptions,
  ): Promise<Result<{ event_id: string }>> {
    const { organization_id, type, data, subject } = input
    const emitted = await callProcedure(
      this.#supabase,
      'emit_event',
      {
        p_organization_id: organization_id,
        p_type: type,
        p_data: data as Json, // what is no JSON is refused by Postgres, or left out on the way
        ...(subject === undefined ? {} : { p_subject: subject }),
      },
      z.uuid(),
      options,
    )
    return emitted.error ? emitted : succeed({ event_id: emitted.data })
  }

  /** Lists Plugboard's own event types by name, each with the JSON Schema of its `data` and an example. */
  types(options?: CallOptions): Promise<Result<EventTypeInfo[]>> {
    const query = select(this.#supabase, 'event_types', EventTypeInfo, {})
    return send(query.order('name'), z.array(EventTypeInfo), options)
  }
}
