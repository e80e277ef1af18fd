// Takes back at the platform what the owner of one account had granted.
import { findConnector } from '../connectors/index.ts'
import { type HeldTokens, revokeTokens } from '../oauth/revoke.ts'
import { signInAuth, type SignInClient, signInClient } from '../oauth/sign-in-client.ts'
import type { Outside } from '../platform/outside.ts'
import { grantOf, type OpenIntegration } from './open-integration.ts'

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
  const client = clientOf(outside, open)
  // a call with the token needs one that has not ended; once the revocation has begun, nobody renews it
  const isCurrent = !client?.auth.revoke || await isRenewed(outside, open, client)
  const begun = await outside.db.call<Begun | null>('begin_grant_revocation', {
    p_integration_id: open.integration.id,
    p_credentials_id: open.credentials_id,
  })
  if (!begun) return null
  const { access_token, refresh_token, is_shared, interrupted } = begun
  // nobody knows where to take it back, or another organization's integration of the same account would lose its access
  const revoked = client !== null && !is_shared &&
    await revokeTokens(outside, client, {
      access_token: isCurrent ? access_token : null,
      refresh_token,
    })
  // by the worker that died before it could say so, perhaps
  return revoked === false && interrupted ? null : revoked
}

/** Null where the connector, its settings or our app there are no more. */
function clientOf(outside: Outside, { integration }: OpenIntegration): SignInClient | null {
  const connector = findConnector(integration.connector)
  const settings = connector?.settings.safeParse(integration.settings)
  if (!connector || !settings?.success || !signInAuth(connector, settings.data)) return null
  try {
    const { account } = integration
    return signInClient(outside, connector, { settings: settings.data, credentials: {}, account })
  } catch (error) {
    outside.log.warn('tokens could not be revoked', { integration_id: integration.id, error })
    return null
  }
}

async function isRenewed(
  outside: Outside,
  open: OpenIntegration,
  { connector, account }: SignInClient,
): Promise<boolean> {
  const grant = grantOf(outside, open, connector, account)
  return grant !== undefined && await grant.current().then(() => true, () => false)
}
