// Connectors: the outside platforms that can be connected, with what a connect form needs.
import { z } from 'zod'
import { ConnectorInfo } from '../supabase/functions/_shared/contracts/connectors.ts'
import { readRow, select, send } from './data-api.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

export class Connectors {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Lists what can be connected, by name. Every signed-in user may; without a session it answers
   * `unauthorized`.
   *
   * @returns `settings_schema` and `credentials_schema` are JSON Schema (draft 2020-12); secret
   *   fields have `"format": "password"`. Where a setting chooses how to authenticate,
   *   `credentials_schema` is `oneOf`, and `x-when` in each branch names the setting and its value.
   */
  list(options?: CallOptions): Promise<Result<ConnectorInfo[]>> {
    const query = select(this.#supabase, 'connectors', ConnectorInfo, { available: true })
    return send(query.order('name'), z.array(ConnectorInfo), options)
  }

  /**
   * Gets one connector, also one that can no longer be connected but still has integrations.
   *
   * @param slug `connectors.slug`, such as `treez`. `data.available` says whether it can be connected.
   * @returns `error.code` is `connector_not_found`, `unauthorized` or a transport code.
   */
  get(slug: string, options?: CallOptions): Promise<Result<ConnectorInfo>> {
    const notFound = {
      code: 'connector_not_found',
      message: `There is no connector ${slug}.`,
    } as const
    return readRow(this.#supabase, 'connectors', ConnectorInfo, { slug }, notFound, options)
  }
}
