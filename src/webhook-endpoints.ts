// Webhook endpoints: where an organization wants its events sent.
import type { z } from 'zod'
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  pingWebhookEndpoint,
  rotateWebhookSecret,
  updateWebhookEndpoint,
  type WebhookDelivery,
  WebhookEndpoint,
  type WebhookEndpointStatus,
  type WebhookEndpointWithSecret,
} from '../supabase/functions/_shared/contracts/webhooks.ts'
import { callFunction } from './call-function.ts'
import { readRow } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which endpoints to list; what is left out does not narrow. */
export type WebhookEndpointQuery = Page & {
  organization_id?: string | undefined
  status?: WebhookEndpointStatus | WebhookEndpointStatus[] | undefined
}

export class WebhookEndpoints {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Registers an endpoint, at most 50 for an organization. Events committed from then on are sent to it.
   *
   * @param input.url https, at a public address.
   * @param input.event_types Exact types, beginnings such as `order.*`, or `*` (also when left out).
   * @param input.filter A condition about `{ type, subject, data }`; only events that fit are sent.
   * @param input.headers Sent with each webhook, `{ name: value }`; the values never come back.
   * @param input.signatures `['v1']` when left out. With `v1a` a key pair is made, and `public_key` answered.
   * @param input.ordered_by_subject `true`: an event waits until those before it about the same subject have arrived. Before
   *   is who was emitted first; an event whose transaction commits only after later ones were sent comes after them.
   * @param input.api_version The shape of what is sent: the newest when left out, and the same until you change it.
   * @returns `data.secret` (`whsec_…`) is shown this once. `error.code` is `organization_not_found`,
   *   `not_a_manager`, `invalid_endpoint`, `private_network_refused`, `too_many_webhook_endpoints`,
   *   `invalid_request` or a transport code; `error.errors` names the fields at fault.
   */
  create(
    input: z.input<typeof createWebhookEndpoint.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookEndpointWithSecret>> {
    return callFunction(this.#supabase, createWebhookEndpoint, input, options)
  }

  /** Lists endpoints of the user's organizations, newest first; who is no manager there sees none. */
  list(
    query: WebhookEndpointQuery = {},
    options?: CallOptions,
  ): Promise<Result<WebhookEndpoint[]>> {
    const { limit, before, organization_id, status } = query
    const filter = { organization_id, status }
    const page = { limit, before }
    return readPage(this.#supabase, 'app_webhooks', WebhookEndpoint, 'id', filter, page, options)
  }

  /**
   * Gets one endpoint.
   *
   * @param endpoint_id `app_webhooks.id`, a UUID.
   * @returns `error.code` is `webhook_endpoint_not_found` (somebody else's, too) or a transport code.
   */
  get(endpoint_id: string, options?: CallOptions): Promise<Result<WebhookEndpoint>> {
    const filter = { id: endpoint_id }
    const notFound = {
      code: 'webhook_endpoint_not_found',
      message: `There is no webhook endpoint ${endpoint_id}.`,
    } as const
    return readRow(this.#supabase, 'app_webhooks', WebhookEndpoint, filter, notFound, options)
  }

  /**
   * Changes what is given. Deliveries that wait are sent as the endpoint then is.
   *
   * @param input.headers In the place of all there are; `{}` for none. An endpoint that has some moves to another server
   *   (scheme, host or port) only with them: what was given for one is not sent to another.
   * @param input.paused `true` holds what comes, and keeps an endpoint that Plugboard has disabled from being tried again by
   *   itself; `false` sends it, and also enables such an endpoint.
   * @returns `error.code` is `webhook_endpoint_not_found`, `not_a_manager`, `invalid_endpoint`,
   *   `private_network_refused`, `invalid_request` or a transport code.
   */
  update(
    input: z.input<typeof updateWebhookEndpoint.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookEndpoint>> {
    return callFunction(this.#supabase, updateWebhookEndpoint, input, options)
  }

  /**
   * Deletes an endpoint, its secrets and what still waits for it, and shows its log no more.
   *
   * @returns `error.code` is `webhook_endpoint_not_found`, `not_a_manager` or a transport code.
   */
  delete(
    input: z.input<typeof deleteWebhookEndpoint.request>,
    options?: CallOptions,
  ): Promise<Result<{ deleted: true }>> {
    return callFunction(this.#supabase, deleteWebhookEndpoint, input, options)
  }

  /**
   * Puts a new secret in the place of the present one, and a new key pair where there is one.
   *
   * @param input.overlap_hours How long the old secret signs beside the new one: 24 when left out, at most 168; 0: neither it
   *   nor any before it. `X-Webhook-Signature`, which holds one signature, is the new secret's at once.
   * @returns `data.secret` is shown this once. After a `network_error` it may have been rotated: rotate again; what receivers
   *   have signs on until its own end. `error.code` is `webhook_endpoint_not_found`, `not_a_manager`,
   *   `too_many_webhook_secrets` (four still sign) or a transport code.
   */
  rotateSecret(
    input: z.input<typeof rotateWebhookSecret.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookEndpointWithSecret>> {
    return callFunction(this.#supabase, rotateWebhookSecret, input, options)
  }

  /**
   * Sends an event `webhook.test` to this endpoint alone, whatever types it asks for.
   *
   * @returns Its delivery, queued; `deliveries.get` tells what became of it. `error.code` is
   *   `webhook_endpoint_not_found`, `not_a_manager`, `webhook_endpoint_not_active` or a transport code.
   */
  ping(
    input: z.input<typeof pingWebhookEndpoint.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookDelivery>> {
    return callFunction(this.#supabase, pingWebhookEndpoint, input, options)
  }
}
