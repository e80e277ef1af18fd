// Webhook events: what outside platforms and business apps sent by themselves, and what became of it.
import type { z } from 'zod'
import {
  replayWebhookEvents,
  verifyWebhookEvents,
  WebhookEvent,
  type WebhookEventStatus,
  WebhookEventWithBody,
} from '../supabase/functions/_shared/contracts/webhook-events.ts'
import { callFunction } from './call-function.ts'
import { readRow } from './data-api.ts'
import { type Page, readPageBy } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which webhooks to list; what is left out does not narrow. */
export type WebhookEventQuery = Page<'id', 'received_at'> & {
  organization_id?: string | undefined
  integration_id?: string | undefined
  /** Of what a business app sent. */
  app_instance_id?: string | undefined
  connector?: string | undefined
  /** The sender's own word, such as `customer.updated`. */
  type?: string | string[] | undefined
  status?: WebhookEventStatus | WebhookEventStatus[] | undefined
}

export class WebhookEvents {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Lists webhooks that came for the user's organizations, newest first, without their bodies. Owners, managers and
   * members may; viewers get an empty list. Kept for 30 days.
   */
  list(query: WebhookEventQuery = {}, options?: CallOptions): Promise<Result<WebhookEvent[]>> {
    const { limit, before, organization_id, integration_id, app_instance_id, connector, type } =
      query
    const { status } = query
    const filter = { organization_id, integration_id, app_instance_id, connector, type, status }
    const page = { limit, before }
    return readPageBy(
      this.#supabase,
      'webhook_events',
      WebhookEvent,
      ['received_at', 'id'],
      filter,
      page,
      options,
    )
  }

  /**
   * Gets one webhook with its body, the bytes as they were sent: `new TextDecoder().decode(data.body)`.
   *
   * @param webhook_event_id `webhook_events.id`, a UUID.
   * @returns `error.code` is `webhook_event_not_found` (somebody else's, too) or a transport code.
   */
  get(webhook_event_id: string, options?: CallOptions): Promise<Result<WebhookEventWithBody>> {
    const notFound = {
      code: 'webhook_event_not_found',
      message: `There is no webhook event ${webhook_event_id}.`,
    } as const
    const filter = { id: webhook_event_id }
    return readRow(
      this.#supabase,
      'webhook_events',
      WebhookEventWithBody,
      filter,
      notFound,
      options,
    )
  }

  /**
   * Works on webhooks of an integration or of a business app once more, after the code or its settings were repaired: the
   * named ones whatever became of them, or all of a span of time. Records are merged, so that doing it twice changes
   * nothing; what becomes an event becomes another one, and all that a business app sends does. Owners and managers may.
   *
   * @param input.app_instance_id Instead of `integration_id`: what that business app sent.
   * @param input.connector Instead of both: webhooks of our app at that platform about several accounts, which
   *   belong to no organization. With the secret key only.
   * @param input.webhook_event_ids 1 to 1000 of `webhook_events.id`; then nothing else is given.
   * @param input.statuses Only those with one of these; `failed` when left out.
   * @param input.from RFC 3339: only those that came then or later.
   * @param input.to RFC 3339: only those that came before.
   * @param input.after `data.next` of the answer before.
   * @returns `data.replayed` says how many were put back into the queue, of 10,000 at most in one call, and `data.next` where
   *   to go on, null when nothing remains. `error.code` is `integration_not_found`, `app_instance_not_found`,
   *   `not_a_manager`, `connector_not_found` or a transport code.
   * @example
   * const { data } = await plugboard.webhookEvents.replay({ integration_id })
   */
  replay(
    input: z.input<typeof replayWebhookEvents.request>,
    options?: CallOptions,
  ): Promise<Result<z.output<typeof replayWebhookEvents.response>>> {
    return callFunction(this.#supabase, replayWebhookEvents, input, options)
  }

  /**
   * Verifies webhooks that are kept once more, as of the time they came: that their bytes are those that were signed, and that
   * a repaired signature check still believes them. Asked are the secrets that count now. Owners and managers may.
   *
   * @param input.integration_id Or `app_instance_id`, or `connector`, as for `replay`.
   * @param input.webhook_event_ids 1 to 100 of `webhook_events.id`.
   * @returns `data` holds `{ webhook_event_id, verified, reason }` of each that is there, in any order. `error.code` as of
   *   `replay`.
   * @example
   * const { data } = await plugboard.webhookEvents.verify({ integration_id, webhook_event_ids })
   */
  verify(
    input: z.input<typeof verifyWebhookEvents.request>,
    options?: CallOptions,
  ): Promise<Result<z.output<typeof verifyWebhookEvents.response>>> {
    return callFunction(this.#supabase, verifyWebhookEvents, input, options)
  }
}
