// Integrations: an organization's connected accounts on outside platforms.
import type { z } from 'zod'
import {
  checkIntegration,
  connectIntegration,
  disconnectIntegration,
  Integration,
  type IntegrationCheck,
  type IntegrationStatus,
  updateIntegration,
} from '../supabase/functions/_shared/contracts/integrations.ts'
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
   * @param input.settings As the connector's `settings_schema` describes them.
   * @param input.credentials As the connector's `credentials_schema` describes them.
   * @param input.name What the platform calls the account when left out.
   * @param input.sync_interval_minutes 1 to 10080 (a week); 60 when left out.
   * @returns `error.code` is `invalid_settings` or `invalid_credentials` when a field is wrong
   *   (`error.errors` names it) or the platform refused them; `organization_not_found`,
   *   `not_a_manager`, `connector_not_found`, `sign_in_not_supported`, `private_network_refused`, a
   *   `provider_…` code or `circuit_open` when the platform could not be asked, or a transport code.
   * @example
   * const { data: integration, error } = await plugboard.integrations.connect({
   *   organization_id,
   *   connector: 'treez',
   *   settings: { dispensary: 'downtown' },
   *   credentials: { client_id, api_key },
   * })
   */
  connect(
    input: z.input<typeof connectIntegration.request>,
    options?: CallOptions,
  ): Promise<Result<Integration>> {
    return callFunction(this.#supabase, connectIntegration, input, options)
  }

  /**
   * Changes what is given and leaves the rest; new settings and credentials replace the old ones as
   * a whole, after the platform has accepted them. Owners and managers may.
   *
   * @param input.paused `true` stops its syncs, `false` lets them go on.
   * @returns `error.code` is as for {@link connect}, and `integration_not_found` or
   *   `integration_disconnected`. Another account's settings are `invalid_settings`: connect that one
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
   * Owners and managers may.
   *
   * @param input.delete_data `true` also deletes the rows synced from it; they stay when left out.
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
}
