// Takes back an account's access, forgets its credentials and stops its syncs.
import type { z } from 'zod'
import type {
  disconnectIntegration as disconnectContract,
  Integration,
} from '../contracts/integrations.ts'
import { findConnector } from '../connectors/index.ts'
import { type HeldTokens, revokeTokens } from '../oauth/revoke.ts'
import { signInAuth, signInClient } from '../oauth/sign-in-client.ts'
import { storedGrant } from '../oauth/stored-grant.ts'
import type { Outside } from '../platform/outside.ts'
import { endSubscriptions } from '../webhooks/run-subscriptions.ts'
import { type OpenIntegration, readIntegration } from './open-integration.ts'

/**
 * The synced rows stay, unless they are to go too. A platform that cannot be reached does not keep an account
 * connected: what came of ending its webhooks and of the revocation is written into the activity log.
 *
 * @throws AppError `integration_not_found`
 */
export async function disconnectIntegration(
  outside: Outside,
  input: z.output<typeof disconnectContract.request>,
  actorId: string | null,
): Promise<Integration> {
  const open = await readIntegration(outside.db, input.integration_id)
  // first: without a grant nobody could
  const unsubscribed = await endSubscriptions(outside, open)
  return await outside.db.call<Integration>('disconnect_integration', {
    p_integration_id: input.integration_id,
    p_delete_data: input.delete_data ?? false,
    p_actor_id: actorId,
    p_revoked: await revoke(outside, open),
    p_unsubscribed: unsubscribed,
  })
}

/** Null where its owner had granted nothing. */
async function revoke(outside: Outside, open: OpenIntegration): Promise<boolean | null> {
  const { integration } = open
  const tokens = await outside.db.call<(HeldTokens & { is_shared: boolean }) | null>(
    'read_oauth_tokens',
    {
      p_integration_id: integration.id,
    },
  )
  if (!tokens) return null
  // another organization's integration of the same account would lose its access with ours
  if (tokens.is_shared) return false
  const connector = findConnector(integration.connector)
  const settings = connector?.settings.safeParse(integration.settings)
  // a connector or settings that are no more: nobody knows where to take it back
  if (!connector || !settings?.success || !signInAuth(connector, settings.data)) return false
  const values = { settings: settings.data, credentials: {}, account: integration.account }
  try {
    const client = signInClient(outside, connector, values)
    // a call with the token needs one that has not ended
    const access_token = client.auth.revoke
      ? await storedGrant(outside, open, connector, values).current().catch(() => null)
      : tokens.access_token
    return await revokeTokens(outside, client, { ...tokens, access_token })
  } catch (error) {
    outside.log.warn('tokens could not be revoked', { integration_id: integration.id, error })
    return false
  }
}
