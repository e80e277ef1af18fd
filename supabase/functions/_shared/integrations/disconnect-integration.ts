// Takes back an account's access, forgets its credentials and stops its syncs.
import type { z } from 'zod'
import type {
  disconnectIntegration as disconnectContract,
  Integration,
} from '../contracts/integrations.ts'
import { isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { endSubscriptions } from '../webhooks/end-subscriptions.ts'
import { readIntegration } from './open-integration.ts'
import { revokeGrant } from './revoke-grant.ts'

/**
 * The synced rows stay, unless they are to go too. A platform that cannot be reached does not keep an account
 * connected: what came of ending its webhooks and of the revocation is written into the activity log. Where webhooks may
 * still be ended, the credentials are kept for that, and revoked after it.
 *
 * @throws AppError `integration_not_found`
 */
export async function disconnectIntegration(
  outside: Outside,
  input: z.output<typeof disconnectContract.request>,
  actorId: string | null,
): Promise<Integration> {
  const read = () => readIntegration(outside.db, input.integration_id, { toUnsubscribe: true })
  // first: without a grant nobody could
  const outcome = await endSubscriptions(outside, await read())
  const isKept = outcome === 'unanswered' && !input.delete_credentials_at_once
  for (;;) {
    const open = await read()
    const revoked = isKept ? null : await revokeGrant(outside, open)
    try {
      return await outside.db.call<Integration>('disconnect_integration', {
        p_integration_id: input.integration_id,
        p_delete_data: input.delete_data ?? false,
        p_actor_id: actorId,
        p_revoked: revoked,
        p_unsubscribed: outcome === null ? null : outcome === 'ended',
        p_keep_credentials: isKept,
        p_credentials_id: open.credentials_id,
      })
    } catch (error) {
      // its owner has signed in again meanwhile: that is revoked and goes, too
      if (!isCode(error, 'lease_lost')) throw error
    }
  }
}
