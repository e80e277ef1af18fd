// Integrations: an organization's connected accounts on outside platforms.
import type { z } from 'zod'
import {
  type ActionResult,
  actOnIntegration,
  type Authorization,
  checkIntegration,
  checkIntegrations,
  connectIntegration,
  disconnectIntegration,
  finishSignIn,
  Integration,
  type IntegrationCheck,
  type IntegrationStatus,
  reconnectIntegration,
  updateIntegration,
} from '../supabase/functions/_shared/contracts/integrations.ts'
import {
  describeWebhookReceiver,
  rotateWebhookPath,
  setWebhookSecret,
  type WebhookReceiver,
} from '../supabase/functions/_shared/contracts/webhook-events.ts'
import { callFunction } from './call-function.ts'
import { readRow } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which integrations to list; what is left out does not narrow. */
export type IntegrationQuery = Page & {
  organization_id?: string | undefined
  /** `connectors.slug`. */
  connector?: string | undefined
  status?: IntegrationStatus | IntegrationStatus[] | undefined
}

type ConnectInput = z.input<typeof connectIntegration.request>

/** For platforms that give keys. */
export type ConnectByCredentials =
  & Omit<ConnectInput, 'credentials' | 'return_url' | 'finish_in'>
  & { credentials: Record<string, unknown> }

/** For platforms where the owner signs in. */
export type ConnectBySignIn =
  & Omit<ConnectInput, 'credentials' | 'return_url'>
  & { return_url: string }

export class Integrations {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /** Lists the integrations of the user's organizations, newest first. Every member may. */
  list(query: IntegrationQuery = {}, options?: CallOptions): Promise<Result<Integration[]>> {
    const { limit, before, organization_id, connector, status } = query
    const filter = { organization_id, connector, status }
    const page = { limit, before }
    return readPage(this.#supabase, 'integrations', Integration, 'id', filter, page, options)
  }

  /**
   * Gets one integration.
   *
   * @param integration_id `integrations.id`, a UUID.
   * @returns `error.code` is `integration_not_found` (somebody else's, too) or a transport code.
   */
  get(integration_id: string, options?: CallOptions): Promise<Result<Integration>> {
    const filter = { id: integration_id }
    const notFound = {
      code: 'integration_not_found',
      message: `There is no integration ${integration_id}.`,
    } as const
    return readRow(this.#supabase, 'integrations', Integration, filter, notFound, options)
  }

  /**
   * Connects an account: the platform is asked whether the credentials work, then they go into Vault
   * and never come out. An account that was connected before keeps its integration and its data.
   * Owners and managers may.
   *
   * Where the owner signs in at the platform (`x-auth-type` is `oauth2`), give `return_url` instead of
   * credentials, and open the `authorization_url` that is answered. The page at `return_url` gets
   * `integration_id`, or `error` with a code and `error_description`.
   *
   * @param input.settings As the connector's `settings_schema` describes them.
   * @param input.credentials As the connector's `credentials_schema` describes them.
   * @param input.return_url One of the pages in the secret `PLUGBOARD_RETURN_URLS`.
   * @param input.name What the platform calls the account when left out.
   * @param input.sync_interval_minutes 1 to 10080 (a week); 60 when left out.
   * @returns `error.code` is `invalid_settings` or `invalid_credentials` when a field is wrong
   *   (`error.errors` names it) or the platform refused them; `organization_not_found`,
   *   `not_a_manager`, `connector_not_found`, `sign_in_required`, `oauth_client_missing`,
   *   `return_url_refused`, `private_network_refused`, a
   *   `provider_…` code or `circuit_open` when the platform could not be asked, or a transport code.
   * @example
   * const { data: integration, error } = await plugboard.integrations.connect({
   *   organization_id,
   *   connector: 'treez',
   *   settings: { dispensary: 'downtown' },
   *   credentials: { client_id, api_key },
   * })
   * @example
   * const { data: authorization, error } = await plugboard.integrations.connect({
   *   organization_id,
   *   connector: 'hubspot',
   *   settings: {},
   *   return_url: 'https://app.example.com/integrations',
   * })
   * if (authorization) location.assign(authorization.authorization_url)
   */
  connect(input: ConnectByCredentials, options?: CallOptions): Promise<Result<Integration>>
  connect(input: ConnectBySignIn, options?: CallOptions): Promise<Result<Authorization>>
  connect(
    input: ConnectByCredentials | ConnectBySignIn,
    options?: CallOptions,
  ): Promise<Result<Integration | Authorization>> {
    return callFunction(this.#supabase, connectIntegration, input, options)
  }

  /**
   * Lets the owner sign in again: the integration keeps its id, settings, cursors and data. Owners and
   * managers may.
   *
   * @returns Where to send the browser, as {@link connect} does. `error.code` is `integration_not_found`,
   *   `not_a_manager`, `credentials_required` (it is connected with credentials: {@link update} them),
   *   `oauth_client_missing`, `return_url_refused` or a transport code.
   */
  reconnect(
    input: z.input<typeof reconnectIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<Authorization>> {
    return callFunction(this.#supabase, reconnectIntegration, input, options)
  }

  /**
   * Ends a sign-in that came back to the app's own page (`finish_in: 'app'`). Only the user who began it may.
   *
   * @param input.parameters The whole query the page was opened with, as it came.
   * @returns The connected integration. `error.code` is `oauth_denied`, `oauth_state_expired`,
   *   `oauth_state_used`, `oauth_state_not_yours`, `oauth_state_unknown`, `oauth_account_mismatch`,
   *   `oauth_scope_missing`, `oauth_exchange_failed`, `oauth_response_invalid`, a code of {@link connect} or a
   *   transport code.
   * @example
   * const parameters = Object.fromEntries(new URLSearchParams(location.search))
   * const { data: integration, error } = await plugboard.integrations.finishSignIn({ parameters })
   */
  finishSignIn(
    input: z.input<typeof finishSignIn.request>,
    options?: CallOptions,
  ): Promise<Result<Integration>> {
    return callFunction(this.#supabase, finishSignIn, input, options)
  }

  /**
   * Says where the platform's webhooks come in, what to do there, and when the secrets they are checked with were
   * set; never the secrets. Owners and managers may.
   *
   * @param input.integration_id `integrations.id`, a UUID.
   * @returns `data.doors` has the `address` for the platform and the steps in Markdown (`setup`). `error.code` is
   *   `webhooks_not_offered` when nothing is read from this platform's webhooks, `integration_not_found`,
   *   `not_a_manager`, `connector_not_found` or a transport code.
   */
  webhook(
    input: z.input<typeof describeWebhookReceiver.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookReceiver>> {
    return callFunction(this.#supabase, describeWebhookReceiver, input, options)
  }

  /**
   * Keeps the secret with which the platform signs its webhooks. Until there is one, they are refused. Owners and managers
   * may.
   *
   * @param input.secret As the platform shows it.
   * @param input.overlap_hours For how long the ones before count too, 0 to 168; 24 when left out.
   * @returns The receiver as it is now. `error.code` is `invalid_webhook_secret`, `integration_disconnected`, a code of
   *   {@link webhook} or a transport code.
   */
  setWebhookSecret(
    input: z.input<typeof setWebhookSecret.request>,
    options?: CallOptions,
  ): Promise<Result<WebhookReceiver>> {
    return callFunction(this.#supabase, setWebhookSecret, input, options)
  }

  /**
   * Makes an address with an unguessable end, for platforms that sign nothing. It is shown this once; the one before
   * counts no more. Owners and managers may.
   *
   * @returns `data.address` is null where Plugboard subscribes by itself: the platform is then given another address.
   *   To enter one by hand, turn that off first (`integrations.update({ integration_id, webhooks: false })`).
   *   `error.code` is `integration_disconnected`, a code of {@link webhook} or a transport code.
   */
  rotateWebhookPath(
    input: z.input<typeof rotateWebhookPath.request>,
    options?: CallOptions,
  ): Promise<Result<{ address: string | null }>> {
    return callFunction(this.#supabase, rotateWebhookPath, input, options)
  }

  /**
   * Does something at the platform: one of the connector's `actions`. Owners and managers may. It is written
   * into the activity log, whatever comes of it.
   *
   * @param input.input As the action's `input_schema` describes it.
   * @param input.dry_run `true` sends nothing and answers what would be sent.
   * @param input.idempotency_key The same key again answers what the first call came to.
   * @returns What the platform refuses is `data` with `status: 'failed'` and `error`. `unknown` means that no
   *   answer came and that it may have been done: look before doing it again. The result's own
   *   `error.code` is `action_not_found` or `invalid_input` (`error.errors` names the fields),
   *   `integration_not_found`, `not_a_manager`, `integration_disconnected`, `integration_paused`,
   *   `reconnect_required`, `action_in_progress`, `idempotency_key_reused` or a transport code.
   * @example
   * const { data, error } = await plugboard.integrations.act({
   *   integration_id,
   *   action: 'post_message',
   *   input: { channel: 'C024BE91L', text: 'Open again from 9 am' },
   * })
   */
  act(
    input: z.input<typeof actOnIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<ActionResult>> {
    return callFunction(this.#supabase, actOnIntegration, input, options)
  }

  /**
   * Changes what is given and leaves the rest; new settings and credentials replace the old ones as
   * a whole, after the platform has accepted them. Owners and managers may.
   *
   * @param input.paused `true` stops its syncs, `false` lets them go on.
   * @returns `error.code` is as for {@link connect}, and `integration_not_found`, `integration_disconnected` or
   *   `reconnect_required`. Another account's settings are `invalid_settings`: connect that one
   *   by itself.
   */
  update(
    input: z.input<typeof updateIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<Integration>> {
    return callFunction(this.#supabase, updateIntegration, input, options)
  }

  /**
   * Disconnects an account: its credentials are deleted and runs that are under way end as failed.
   * Owners and managers may. Where the platform does not answer when its webhooks are to end, the credentials are kept for
   * that alone, at most three days: `credentials_kept_until` says so. Called again, it is tried again.
   *
   * @param input.delete_data `true` also deletes the rows synced from it; they stay when left out.
   * @param input.delete_credentials_at_once `true` keeps no credentials; the platform may then go on to send webhooks, which
   *   are refused.
   * @returns `error.code` is `integration_not_found`, `not_a_manager` or a transport code.
   */
  disconnect(
    input: z.input<typeof disconnectIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<Integration>> {
    return callFunction(this.#supabase, disconnectIntegration, input, options)
  }

  /**
   * Asks the platform now whether the credentials work. Owners and managers may.
   *
   * @returns An account that does not work is `data` with `status: 'unhealthy'` and `error`, which
   *   says who can act. `latency_ms` is in milliseconds. The result's own `error.code` is
   *   `integration_not_found`, `not_a_manager`, `integration_disconnected` or a transport code.
   */
  check(
    input: z.input<typeof checkIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<IntegrationCheck>> {
    return callFunction(this.#supabase, checkIntegration, input, options)
  }

  /**
   * Checks every connected account of an organization now, a few at a time. Owners and managers may.
   *
   * @returns One check an account; `unchecked` are those that were not reached while the caller waits.
   *   `error.code` is `organization_not_found`, `not_a_manager` or a transport code.
   */
  checkAll(
    input: z.input<typeof checkIntegrations.request>,
    options?: CallOptions,
  ): Promise<Result<z.output<typeof checkIntegrations.response>>> {
    return callFunction(this.#supabase, checkIntegrations, input, options)
  }
}
