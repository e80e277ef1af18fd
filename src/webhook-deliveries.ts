// Webhook deliveries: one event on its way to one endpoint, with every attempt that was made.
import { z } from 'zod'
import {
  replayWebhookDeliveries,
  WebhookAttempt,
  WebhookDelivery,
  type WebhookDeliveryStatus,
} from '../supabase/functions/_shared/contracts/webhooks.ts'
import { callFunction } from './call-function.ts'
import { readRow, select, send } from './data-api.ts'
import { type Page, readPageBy } from './read-page.ts'
import { type Result, succeed } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which deliveries of an endpoint to list; what is left out does not narrow. */
export type WebhookDeliveryQuery = Page<'event_id', 'event_created_at'> & {
  endpoint_id: string
  status?: WebhookDeliveryStatus | WebhookDeliveryStatus[] | undefined
  event_type?: string | string[] | undefined
}

/** A delivery, and the calls that were made for it, latest first. */
export type WebhookDeliveryWithAttempts = WebhookDelivery & { attempts: WebhookAttempt[] }

export class WebhookDeliveries {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /** Lists deliveries of one endpoint, those of the newest events first; who is no manager sees none. */
  list(query: WebhookDeliveryQuery, options?: CallOptions): Promise<Result<WebhookDelivery[]>> {
    const { limit, before, endpoint_id, status, event_type } = query
    return readPageBy(
      this.#supabase,
      'webhook_deliveries',
      WebhookDelivery,
      ['event_created_at', 'event_id'],
      { endpoint_id, status, event_type },
      { limit, before },
      options,
    )
  }

  /**
   * Gets one delivery with its attempts, at most the latest 1,000.
   *
   * @param input.event_created_at As a listed delivery has it: of an endpoint with millions of deliveries one is
   *   then found at once.
   * @returns `error.code` is `webhook_delivery_not_found` (somebody else's, too) or a transport code.
   */
  async get(
    input: { endpoint_id: string; event_id: string; event_created_at?: string | undefined },
    options?: CallOptions,
  ): Promise<Result<WebhookDeliveryWithAttempts>> {
    const { endpoint_id, event_id, event_created_at } = input
    const [delivery, attempts] = await Promise.all([
      readRow(
        this.#supabase,
        'webhook_deliveries',
        WebhookDelivery,
        { endpoint_id, event_id, event_created_at },
        {
          code: 'webhook_delivery_not_found',
          message: `There is no delivery of the event ${event_id} to this endpoint.`,
        },
        options,
      ),
      send(
        select(this.#supabase, 'webhook_attempts', WebhookAttempt, { endpoint_id, event_id })
          .order('created_at', { ascending: false }).limit(1_000),
        z.array(WebhookAttempt),
        options,
      ),
    ])
    if (delivery.error) return delivery
    if (attempts.error) return attempts
    return succeed({ ...delivery.data, attempts: attempts.data })
  }

  /**
   * Sends deliveries of one endpoint again, with all their attempts before them; what waits for its next
   * attempt becomes due at once. Doing it twice is harmless: receivers know an event again by its id.
   *
   * @param input.event_ids Only these events.
   * @param input.what `failed`; `all`, also what succeeded; `missing`: events that the endpoint wants now and was never
   *   sent, such as those from before it was made. Left out: all of `event_ids`, or what failed.
   * @param input.since Only of events from then on; `input.until`: only of events before.
   * @returns `data.replayed` says how many, 10,000 at most in one call, the oldest first: as many mean that there may be
   *   more. `error.code` is `webhook_endpoint_not_found`, `not_a_manager`, `invalid_request` or a transport code.
   */
  replay(
    input: z.input<typeof replayWebhookDeliveries.request>,
    options?: CallOptions,
  ): Promise<Result<{ replayed: number }>> {
    return callFunction(this.#supabase, replayWebhookDeliveries, input, options)
  }
}
