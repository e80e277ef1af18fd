// Takes back at the platform what the owner of one account had granted.
import { findConnector } from '../connectors/index.ts'
import { type HeldTokens, revokeTokens } from '../oauth/revoke.ts'
import { signInAuth, signInClient } from '../oauth/sign-in-client.ts'
import { storedGrant } from '../oauth/stored-grant.ts'
import type { Outside } from '../platform/outside.ts'
import type { OpenIntegration } from './open-integration.ts'

/** `public.begin_grant_revocation`. */
type Begun = HeldTokens & { is_shared: boolean; interrupted: boolean }

/**
 * From its beginning on no sign-in of the account ends well until other credentials are stored or these are forgotten.
 *
 * @returns Whether the platform took it back; null where nobody knows, or its owner had granted nothing or has signed in
 *   again since.
 */
export async function revokeGrant(
  outside: Outside,
  open: OpenIntegration,
): Promise<boolean | null> {
  if (open.credentials_id === null) return null
  const begun = await outside.db.call<Begun | null>('begin_grant_revocation', {
    p_integration_id: open.integration.id,
    p_credentials_id: open.credentials_id,
  })
  if (!begun) return null
  const revoked = await revoke(outside, open, begun)
  // by the worker that died before it could say so, perhaps
  return revoked === false && begun.interrupted ? null : revoked
}

async function revoke(
  outside: Outside,
  open: OpenIntegration,
  tokens: Begun,
): Promise<boolean | null> {
  const { integration } = open
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
