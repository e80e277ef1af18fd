// May this caller change things in an organization? Asked before any engine acts with the service's rights.
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Caller } from '../platform/caller.ts'
import { AppError } from '../platform/errors.ts'

type Asking = { caller: Caller; db: SupabaseClient }

/**
 * @throws AppError `organization_not_found` for people who do not belong to it, whether or not it exists;
 *   `not_a_manager` for members and viewers.
 */
export async function requireManager(asking: Asking, organizationId: string): Promise<void> {
  await requireRole(asking, organizationId, 'organization_not_found')
}

/** The same for the organization an integration belongs to; strangers get `integration_not_found`. */
export async function requireIntegrationManager(
  asking: Asking,
  integrationId: string,
): Promise<void> {
  // under the caller's row level security: somebody else's integration looks like none
  await requireManagerOf(asking, asking.db, 'integrations', integrationId, 'integration_not_found')
}

/** The same for the organization a business app's instance belongs to; strangers get `app_instance_not_found`. */
export async function requireAppInstanceManager(
  asking: Asking,
  appInstanceId: string,
): Promise<void> {
  // under the caller's row level security, as above
  await requireManagerOf(
    asking,
    asking.db,
    'app_instances',
    appInstanceId,
    'app_instance_not_found',
  )
}

/**
 * The same for whoever sends webhooks: an integration, or a business app. Those of neither belong to no organization, and are
 * the secret key's alone; people get `connector_not_found`.
 */
export async function requireSenderManager(
  asking: Asking,
  sender: { integration_id?: string | undefined; app_instance_id?: string | undefined },
): Promise<void> {
  const { integration_id, app_instance_id } = sender
  if (integration_id !== undefined) await requireIntegrationManager(asking, integration_id)
  else if (app_instance_id !== undefined) await requireAppInstanceManager(asking, app_instance_id)
  else if (asking.caller.kind === 'user') throw new AppError('connector_not_found')
}

/** The same for the organization a webhook endpoint belongs to; strangers get `webhook_endpoint_not_found`. */
export async function requireEndpointManager(
  asking: Asking & { admin: SupabaseClient },
  endpointId: string,
): Promise<void> {
  // with the service's rights: members may not see endpoints, and are told that, not that there is none
  const { admin } = asking
  await requireManagerOf(asking, admin, 'app_webhooks', endpointId, 'webhook_endpoint_not_found')
}

/** auth.users.id of a signed-in caller, for the record of who asked; null for the secret key. */
export function actorId(caller: Caller): string | null {
  return caller.kind === 'user' ? caller.userId : null
}

type NotFound =
  | 'organization_not_found'
  | 'integration_not_found'
  | 'app_instance_not_found'
  | 'webhook_endpoint_not_found'

/** @param reader Whose rights decide whether the row is there. */
async function requireManagerOf(
  asking: Asking,
  reader: SupabaseClient,
  table: string,
  id: string,
  toStrangers: NotFound,
): Promise<void> {
  if (asking.caller.kind !== 'user') return
  const { data, error } = await reader.from(table).select('organization_id').eq('id', id)
    .maybeSingle()
  if (error) throw error
  if (!data) throw new AppError(toStrangers)
  await requireRole(asking, data.organization_id, toStrangers)
}

async function requireRole(
  { caller, db }: Asking,
  organizationId: string,
  toStrangers: NotFound,
): Promise<void> {
  if (caller.kind !== 'user') return
  const { data, error } = await db.from('organization_members').select('role')
    .eq('organization_id', organizationId).eq('user_id', caller.userId).maybeSingle()
  if (error) throw error
  if (!data) throw new AppError(toStrangers)
  if (data.role !== 'owner' && data.role !== 'manager') throw new AppError('not_a_manager')
}
