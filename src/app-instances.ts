// App instances: the business apps that send an organization events, each with a secret of its own.
import type { z } from 'zod'
import {
  AppInstance,
  type AppInstanceStatus,
  type AppInstanceWithSecret,
  createAppInstance,
  deleteAppInstance,
  rotateAppInstanceSecret,
  updateAppInstance,
} from '../supabase/functions/_shared/contracts/apps.ts'
import { callFunction } from './call-function.ts'
import { type Page, readPage } from './read-page.ts'
import type { Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** Which instances to list; what is left out does not narrow. */
export type AppInstanceQuery = Page & {
  organization_id?: string | undefined
  app?: string | string[] | undefined
  status?: AppInstanceStatus | AppInstanceStatus[] | undefined
}

export class AppInstances {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Registers an instance of a business app, enabled; at most 50 for an organization.
   *
   * @param input.app Which app, in lowercase words with hyphens: `booking`.
   * @param input.name What people call this instance.
   * @returns `data.secret` (`whsec_…`) is shown this once: the app signs with it what it sends to `data.address`.
   *   `error.code` is `organization_not_found`, `not_a_manager`, `too_many_app_instances`, `invalid_request` or a
   *   transport code.
   */
  create(
    input: z.input<typeof createAppInstance.request>,
    options?: CallOptions,
  ): Promise<Result<AppInstanceWithSecret>> {
    return callFunction(this.#supabase, createAppInstance, input, options)
  }

  /** Lists instances of the user's organizations, newest first. */
  list(query: AppInstanceQuery = {}, options?: CallOptions): Promise<Result<AppInstance[]>> {
    const { limit, before, organization_id, app, status } = query
    const filter = { organization_id, app, status }
    const page = { limit, before }
    return readPage(this.#supabase, 'app_instances', AppInstance, 'id', filter, page, options)
  }

  /**
   * Renames an instance, switches it on or off.
   *
   * @param input.enabled `false`: what it sends is refused from now on.
   * @returns `error.code` is `app_instance_not_found`, `not_a_manager`, `invalid_request` or a transport code.
   */
  update(
    input: z.input<typeof updateAppInstance.request>,
    options?: CallOptions,
  ): Promise<Result<AppInstance>> {
    return callFunction(this.#supabase, updateAppInstance, input, options)
  }

  /**
   * Puts a new secret in the place of the present one.
   *
   * @param input.overlap_hours How long the old secret counts beside the new one: 24 when left out, at most 168; 0: not at all.
   * @returns `data.secret` is shown this once. After a `network_error` it may have been rotated: rotate again.
   *   `error.code` is `app_instance_not_found`, `not_a_manager` or a transport code.
   */
  rotateSecret(
    input: z.input<typeof rotateAppInstanceSecret.request>,
    options?: CallOptions,
  ): Promise<Result<AppInstanceWithSecret>> {
    return callFunction(this.#supabase, rotateAppInstanceSecret, input, options)
  }

  /**
   * Deletes an instance and its secrets. What it sent stays.
   *
   * @returns `error.code` is `app_instance_not_found`, `not_a_manager` or a transport code.
   */
  delete(
    input: z.input<typeof deleteAppInstance.request>,
    options?: CallOptions,
  ): Promise<Result<{ deleted: true }>> {
    return callFunction(this.#supabase, deleteAppInstance, input, options)
  }
}
