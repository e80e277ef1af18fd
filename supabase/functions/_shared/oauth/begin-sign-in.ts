// A sign-in begins: its state is kept, and the person gets an address to open.
import { calculatePKCECodeChallenge, generateRandomCodeVerifier } from 'oauth4webapi'
import { placesOf } from '../connectors/define-connector.ts'
import { fillValues } from '../connectors/vocabulary/fill-template.ts'
import type { Authorization } from '../contracts/integrations.ts'
import type { Outside } from '../platform/outside.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import { checkReturnUrl } from './return-url.ts'
import { hashOf, randomSecret } from './secrets.ts'
import { type SignInClient, signInClient } from './sign-in-client.ts'

/** Where the platforms send the browser back to; register it with each OAuth app. */
export function callbackUrl({ environment }: Pick<Outside, 'environment'>): string {
  return `${environment.SUPABASE_URL}/functions/v1/oauth-callback`
}

export type BeginSignIn = {
  organization_id: string
  connector: string
  /** Connects this account again, and no other. */
  integration_id?: string
  name?: string
  settings: Record<string, unknown>
  sync_interval_minutes?: number
  return_url: string
  finish_in?: 'callback' | 'app'
}

/**
 * @param actorId auth.users.id of who begins it; only they can finish it. Null: the secret key.
 * @throws AppError `return_url_refused`, `oauth_client_missing`
 */
export async function beginSignIn(
  outside: Outside,
  input: BeginSignIn,
  actorId: string | null,
): Promise<Authorization> {
  const { db, environment } = outside
  const connector = requireConnector(input.connector)
  checkReturnUrl(input.return_url, environment.PLUGBOARD_RETURN_URLS)
  const account = connector.readAccount({ settings: input.settings, credentials: {} })
  const signIn = signInClient(outside, connector, account)
  const { finish_in = 'callback' } = input
  const state = randomSecret()
  const code_verifier = signIn.auth.pkce === false ? null : generateRandomCodeVerifier()
  const code_challenge = code_verifier && await calculatePKCECodeChallenge(code_verifier)
  const redirect_uri = finish_in === 'app' ? input.return_url : callbackUrl(outside)
  const expires_at = await db.call<string>('begin_oauth', {
    p_state_hash: hashOf(state),
    p_organization_id: input.organization_id,
    p_user_id: actorId,
    p_connector: connector.slug,
    p_integration_id: input.integration_id ?? null,
    p_name: input.name ?? null,
    p_settings: account.settings,
    p_sync_interval_minutes: input.sync_interval_minutes ?? null,
    p_return_url: input.return_url,
    p_redirect_uri: redirect_uri,
    p_finished_by: finish_in,
    p_code_verifier: code_verifier,
    p_code_challenge: code_challenge,
  })
  return {
    // By way of our own address, which leaves a cookie: whoever comes back must be who went there.
    authorization_url: finish_in === 'app'
      ? authorizationRequest(signIn, { state, redirect_uri, code_challenge })
      : `${callbackUrl(outside)}/authorize?state=${state}`,
    expires_at,
  }
}

/** The platform's page to send the browser to (RFC 6749, section 4.1.1; RFC 7636, section 4.3). */
export function authorizationRequest(
  { server, client, auth, account }: SignInClient,
  { state, redirect_uri, code_challenge }: {
    state: string
    redirect_uri: string
    code_challenge: string | null
  },
): string {
  const url = new URL(server.authorization_endpoint!)
  const parameters: Record<string, string> = {
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri,
    ...(auth.scope === '' ? {} : { scope: auth.scope.replaceAll(' ', auth.scopeSeparator ?? ' ') }),
    state,
    ...(code_challenge === null ? {} : { code_challenge, code_challenge_method: 'S256' }),
    ...fillValues(auth.parameters ?? {}, placesOf(account)),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}
