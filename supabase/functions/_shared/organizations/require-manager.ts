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
  if (asking.caller.kind !== 'user') return
  // under the caller's row level security: somebody else's integration looks like none
  const { data, error } = await asking.db.from('integrations').select('organization_id')
    .eq('id', integrationId).maybeSingle()
  if (error) throw error
  if (!data) throw new AppError('integration_not_found')
  await requireRole(asking, data.organization_id, 'integration_not_found')
}

/** auth.users.id of a signed-in caller, for the record of who asked; null for the secret key. */
export function actorId(caller: Caller): string | null {
  return caller.kind === 'user' ? caller.userId : null
}

async function requireRole(
  { caller, db }: Asking,
  organizationId: string,
  toStrangers: 'organization_not_found' | 'integration_not_found',
): Promise<void> {
  if (caller.kind !== 'user') return
  const { data, error } = await db.from('organization_members').select('role')
    .eq('organization_id', organizationId).eq('user_id', caller.userId).maybeSingle()
  if (error) throw error
  if (!data) throw new AppError(toStrangers)
  if (data.role !== 'owner' && data.role !== 'manager') throw new AppError('not_a_manager')
}
