// Organizations and their members: the tenants everything else belongs to.
import { z } from 'zod'
import { Timestamp } from '../supabase/functions/_shared/contracts/contract.ts'
import { callProcedure } from './data-api.ts'
import { type Page, readPage } from './read-page.ts'
import { type Result, succeed } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

/** One tenant: a row of `organizations`. */
const Organization = z.object({
  id: z.uuid(),
  name: z.string(),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type Organization = z.infer<typeof Organization>

/** Each may do what the ones after it may: `viewer` reads, `manager` connects and syncs. */
const Role = z.enum(['owner', 'manager', 'member', 'viewer'])
export type Role = z.infer<typeof Role>

/** A user in an organization: a row of `organization_members`. */
const Member = z.object({
  organization_id: z.uuid(),
  user_id: z.uuid(), // auth.users.id
  role: Role,
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type Member = z.infer<typeof Member>

const Invitation = z.object({
  invitation_id: z.uuid(),
  token: z.string(), // shown this once; who has it and the invited address can join
  expires_at: Timestamp, // seven days on
})
export type Invitation = z.infer<typeof Invitation>

export class Organizations {
  readonly #supabase: AppSupabaseClient

  constructor(supabase: AppSupabaseClient) {
    this.#supabase = supabase
  }

  /**
   * Creates an organization; the signed-in user becomes its owner.
   *
   * @param input.name 1 to 200 characters.
   * @returns `error.code` is `unauthorized`, `invalid_request` or a transport code.
   */
  create(input: { name: string }, options?: CallOptions): Promise<Result<Organization>> {
    const { name } = input
    return callProcedure(this.#supabase, 'create_organization', { name }, Organization, options)
  }

  /** Lists the organizations the user belongs to, newest first. */
  list(page: Page = {}, options?: CallOptions): Promise<Result<Organization[]>> {
    return readPage(this.#supabase, 'organizations', Organization, 'id', {}, page, options)
  }

  /**
   * Lists who belongs to an organization, latest arrivals first. Any member may; others get an
   * empty list.
   *
   * @param query.organization_id `organizations.id`, a UUID.
   */
  members(
    query: { organization_id: string } & Page<'user_id'>,
    options?: CallOptions,
  ): Promise<Result<Member[]>> {
    const { organization_id, ...page } = query
    const filter = { organization_id }
    return readPage(
      this.#supabase,
      'organization_members',
      Member,
      'user_id',
      filter,
      page,
      options,
    )
  }

  /**
   * Invites a person by email. Nothing is sent: put the token into a link and mail it yourself.
   * Inviting the same address again replaces its open invitation.
   *
   * @param input.role `member` when left out. A manager may invite members and viewers, an owner anyone.
   * @returns `data.token` is shown this once. `error.code` is `organization_not_found`,
   *   `not_a_manager`, `invalid_request` or a transport code.
   */
  invite(
    input: { organization_id: string; email: string; role?: Role | undefined },
    options?: CallOptions,
  ): Promise<Result<Invitation>> {
    const { organization_id, email, role = 'member' } = input
    const args = { organization_id, email, role }
    return callProcedure(this.#supabase, 'invite_member', args, Invitation, options)
  }

  /**
   * Joins the organization that the token invites to. The signed-in user's confirmed email address
   * has to be the invited one. Who is a member already keeps their role.
   *
   * @returns `error.code` is `invitation_not_found` (also when it is used, withdrawn, expired or
   *   meant for another address), `unauthorized` or a transport code.
   */
  async acceptInvitation(
    input: { token: string },
    options?: CallOptions,
  ): Promise<Result<{ organization_id: string }>> {
    const { token } = input
    const accepted = await callProcedure(
      this.#supabase,
      'accept_invitation',
      { token },
      z.uuid(),
      options,
    )
    return accepted.error ? accepted : succeed({ organization_id: accepted.data })
  }
}
