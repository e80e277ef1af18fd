// A sign-in comes back: proved to be ours and whose it is, its code exchanged, its account connected.
import { pushColumnsOf } from '../connectors/define-connector.ts'
import { fixedGrant } from '../connectors/token-cache.ts'
import type { OAuth2 } from '../connectors/vocabulary/auth.ts'
import type { Integration } from '../contracts/integrations.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import { proveAccount } from '../integrations/prove-account.ts'
import { DatabaseError } from '../platform/database.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { readAuthorizationResponse, word } from './authorization-response.ts'
import { hashOf } from './secrets.ts'
import { type SignInClient, signInClient } from './sign-in-client.ts'
import { exchangeCode, TokenRefused, type Tokens } from './token-endpoint.ts'

type SignIn = {
  organization_id: string
  user_id: string | null
  connector: string
  integration_id: string | null
  name: string | null
  settings: Record<string, unknown>
  sync_interval_minutes: number | null
  redirect_uri: string
  code_verifier: string | null
  /** By Postgres' clock, before the code is exchanged. */
  used_at: string
}

type UsedState = {
  outcome: StateOutcome
  return_url?: string
  sign_in: SignIn | null
}

type StateOutcome =
  | 'ready'
  | 'unknown'
  | 'expired'
  | 'used'
  | 'not_yours'
  | 'other_browser'
  | 'not_a_manager'

const REFUSALS = {
  unknown: 'oauth_state_unknown',
  expired: 'oauth_state_expired',
  used: 'oauth_state_used',
  not_yours: 'oauth_state_not_yours',
  other_browser: 'oauth_other_browser',
  not_a_manager: 'not_a_manager',
} as const satisfies Record<Exclude<StateOutcome, 'ready'>, ErrorCode>

/** Who came back: a browser with its cookie, or an app with its user's token. */
export type Finisher = { browser: string } | { user_id: string | null }

/** `return_url` is null where the state is not known: then nobody knows where to go. */
export type FinishedSignIn =
  & { return_url: string | null }
  & (
    | { integration: Integration; error?: undefined }
    | { error: AppError; integration?: undefined }
  )

/**
 * @param parameters The authorization response (RFC 6749, section 4.1.2), as it came.
 * @returns Refusals too; throws only while the state, and so the way back, is not known.
 */
export async function finishSignIn(
  outside: Outside,
  parameters: URLSearchParams,
  finisher: Finisher,
): Promise<FinishedSignIn> {
  const state = parameters.get('state') ?? ''
  const used = await outside.db.call<UsedState>('use_oauth_state', {
    p_state_hash: hashOf(state),
    p_attempt: crypto.randomUUID(),
    p_browser_hash: 'browser' in finisher ? hashOf(finisher.browser) : null,
    p_user_id: 'browser' in finisher ? null : finisher.user_id,
  })
  const return_url = used.return_url ?? null
  if (used.outcome !== 'ready') {
    return { return_url, error: new AppError(REFUSALS[used.outcome]) }
  }
  try {
    return { return_url, integration: await connect(outside, parameters, used.sign_in!) }
  } catch (error) {
    // the state is used up: whatever went wrong, the person has to learn it on the app's own page
    return { return_url, error: toAppError(error, outside) }
  }
}

/** Our own failures are logged and show nothing of themselves. */
function toAppError(error: unknown, { log }: Outside): AppError {
  if (error instanceof AppError) return error
  log.error('a sign-in ended in an internal error', { error })
  const isPassing = error instanceof DatabaseError && error.isPassing
  return new AppError(isPassing ? 'unavailable' : 'internal_error', { cause: error })
}

async function connect(
  outside: Outside,
  parameters: URLSearchParams,
  signIn: SignIn,
): Promise<Integration> {
  const connector = requireConnector(signIn.connector)
  const account = connector.readAccount({ settings: signIn.settings, credentials: {} })
  const client = signInClient(outside, connector, account)
  const accepted = readAuthorizationResponse(outside, client, parameters)
  const tokens = await exchangeCode(outside, client, accepted, signIn)
    .catch((error: unknown) => {
      throw error instanceof TokenRefused ? refusedCode(client, error) : error
    })
  requireScope(client.auth, tokens, connector.name)
  const values = { ...account, account: tokens.account }
  const proved = await proveAccount(
    outside,
    connector,
    values,
    signIn.organization_id,
    fixedGrant(tokens.access_token),
  )
  // What is not kept is not revoked: at many platforms that would end every grant of the same person, and with
  // it accounts that are connected already.
  return await outside.db.call<Integration>('connect_oauth_integration', {
    p_organization_id: signIn.organization_id,
    p_connector: connector.slug,
    p_external_account_id: connector.accountId({ ...values, account: proved.account }),
    p_name: signIn.name ?? proved.account_name ?? connector.name,
    p_settings: account.settings,
    p_account: proved.account,
    p_streams: connector.streamsOf(account.settings),
    p_push_columns: pushColumnsOf(connector, account.settings),
    p_sync_interval_minutes: signIn.sync_interval_minutes,
    p_actor_id: signIn.user_id,
    p_integration_id: signIn.integration_id,
    p_access_token: tokens.access_token,
    p_expires_in_seconds: tokens.expires_in,
    p_refresh_token: tokens.refresh_token,
    p_scope: tokens.scope,
    p_started_at: signIn.used_at,
  })
}

function refusedCode({ connector }: SignInClient, { error }: TokenRefused): AppError {
  return new AppError('oauth_exchange_failed', {
    detail: error === 'invalid_client' || error === 'unauthorized_client'
      ? `${connector.name} refuses our app (${word(error)}): check OAUTH_CLIENTS.`
      : `${connector.name} did not hand out a token (${word(error)}). Start the sign-in again.`,
  })
}

/** People can untick scopes; what is missing would fail later, and nobody would know why. */
function requireScope({ requiredScope }: OAuth2, { scope }: Tokens, platform: string): void {
  if (requiredScope === undefined || scope === null) return
  const granted = new Set(scope.split(/[ ,]+/))
  const missing = requiredScope.split(' ').filter((name) => !granted.has(name))
  if (missing.length === 0) return
  throw new AppError('oauth_scope_missing', {
    detail: `Sign in at ${platform} again and allow: ${missing.join(', ')}.`,
  })
}
