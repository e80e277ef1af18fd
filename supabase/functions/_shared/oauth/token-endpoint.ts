// What does the platform's token endpoint hand out? Codes and refresh tokens become tokens, or a clear refusal.
import {
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  customFetch,
  nopkce,
  processGenericTokenEndpointResponse,
  refreshTokenGrantRequest,
  ResponseBodyError,
} from 'oauth4webapi'
import type { AccountFacts, OAuth2 } from '../connectors/vocabulary/auth.ts'
import { storable } from '../connectors/vocabulary/storable.ts'
import { ProviderAnswer } from '../http/answer.ts'
import { createHttpClient } from '../http/client.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import type { SignInClient } from './sign-in-client.ts'

/** Tokens as they came. */
export type Tokens = {
  access_token: string
  /** Seconds; null: not said, it lives until it is refused. */
  expires_in: number | null
  /** Null: none came; after a refresh the one before stays good. */
  refresh_token: string | null
  scope: string | null
  /** Facts about the account that the answer told. */
  account: AccountFacts
}

/** The token endpoint said no (RFC 6749, section 5.2): `error` is its code, as received. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused'
  readonly error: string
  readonly description: string | undefined

  constructor(error: string, description: string | undefined) {
    super(`the token endpoint answered ${error}${description ? `: ${description}` : ''}`)
    this.error = error
    this.description = description
  }

  /** The code or the refresh token is good no longer: asking again cannot help. */
  get isFinal(): boolean {
    return this.error === 'invalid_grant'
  }
}

/** A lease on a refresh outlives this by ten seconds. */
export const TOKEN_TIMEOUT_MS = 20_000

/**
 * Exchanges an authorization code (RFC 6749, section 4.1.3).
 *
 * @param parameters What `validateAuthResponse` accepted.
 * @throws TokenRefused, or AppError when there was no readable answer
 */
export function exchangeCode(
  outside: Outside,
  signIn: SignInClient,
  parameters: URLSearchParams,
  { redirect_uri, code_verifier }: { redirect_uri: string; code_verifier: string | null },
): Promise<Tokens> {
  return askForTokens(outside, signIn, (options) =>
    authorizationCodeGrantRequest(
      signIn.server,
      signIn.client,
      signIn.clientAuth,
      parameters,
      redirect_uri,
      code_verifier ?? nopkce,
      options,
    ))
}

/**
 * Exchanges a refresh token (RFC 6749, section 6), sent once: the platform may have replaced it.
 *
 * @throws TokenRefused, or AppError when there was no readable answer
 */
export function refreshTokens(
  outside: Outside,
  signIn: SignInClient,
  refresh_token: string,
): Promise<Tokens> {
  return askForTokens(outside, signIn, (options) =>
    refreshTokenGrantRequest(
      signIn.server,
      signIn.client,
      signIn.clientAuth,
      refresh_token,
      options,
    ))
}

type Options = Parameters<typeof refreshTokenGrantRequest>[4]

async function askForTokens(
  outside: Outside,
  { server, client, auth }: SignInClient,
  request: (options: Options) => Promise<Response>,
): Promise<Tokens> {
  let answered: unknown
  const response = await request({
    [customFetch]: async (url: string, init: RequestInit) => {
      const answer = await send(outside, url, init)
      answered = answer.body
      return inStandardWords(answer, auth.readTokenAnswer)
    },
    // the HTTP engine judges addresses: http is refused there unless private networks are allowed
    [allowInsecureRequests]: true,
    additionalParameters: auth.tokenParameters ?? {},
  } as Options)
  try {
    const tokens = await processGenericTokenEndpointResponse(server, client, response)
    const lifetime = tokens.expires_in ?? auth.lifetimeSeconds
    return {
      access_token: tokens.access_token,
      expires_in: lifetime === undefined ? null : seconds(lifetime),
      refresh_token: tokens.refresh_token ?? null,
      scope: tokens.scope ?? null,
      account: factsIn(answered, auth),
    }
  } catch (error) {
    if (error instanceof ResponseBodyError) {
      // a platform may quote a token in either, be it one that was sent or an older one
      const code = /^[a-z_-]{1,60}$/i.test(error.error) ? error.error : 'unknown_error'
      const description = error.error_description
        ?.replaceAll(/[\w.~+/=-]{20,}/g, '[redacted]').slice(0, 300)
      throw new TokenRefused(code, description)
    }
    throw new AppError('provider_bad_answer', {
      detail: `${new URL(server.token_endpoint!).host} answered with something that is no token.`,
      cause: error instanceof Error ? new Error(error.message) : undefined, // its own cause holds the body
    })
  }
}

/** A refresh token that has been replaced must be kept, however odd the rest of the answer is. */
function factsIn(answer: unknown, { account }: Pick<OAuth2, 'account'>): AccountFacts {
  try {
    return account?.(answer) ?? {}
  } catch {
    return {}
  }
}

/** At least one, and what Postgres can keep: a lifetime that cannot be kept would lose the token with it. */
const seconds = (lifetime: number) => Math.min(Math.max(1, Math.floor(lifetime)), 2_147_483_647)

type Answered = { status: number; body: unknown }

async function send(outside: Outside, url: string, init: RequestInit): Promise<Answered> {
  const http = createHttpClient({
    clock: outside.clock,
    fetch: outside.fetch,
    log: outside.log,
    timeoutMs: outside.timeoutMs ?? TOKEN_TIMEOUT_MS,
    maxResponseBytes: 100_000,
    maxAttempts: 1, // a code and a rotating refresh token are good once
    allowPrivateNetworks: outside.environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS,
  })
  try {
    const answer = await http.send({
      method: 'POST',
      url,
      headers: init.headers as Record<string, string>,
      body: String(init.body),
      repeatable: false,
      // a refusal is an answer; trouble is not
      judge: ({ status }) =>
        status >= 400 && status < 500 && status !== 429 ? 'success' : undefined,
    })
    // what Postgres cannot keep would lose the tokens with it
    return { status: answer.status, body: storable(answer.json(), answer.text) }
  } catch (error) {
    // a body that cannot be read may be a token all the same: nothing of it goes into a log
    if (!(error instanceof AppError && error.cause instanceof ProviderAnswer)) throw error
    const { code, detail, retryAfterMs } = error
    throw new AppError(code, { detail, retryAfterMs })
  }
}

/** What came, as RFC 6749 section 5 has it: platforms leave out or bend what their own clients do not need. */
function inStandardWords({ status, body }: Answered, read?: (body: unknown) => unknown): Response {
  const said = (read ? read(body) : body) as Record<string, unknown> | null
  if (typeof said !== 'object' || said === null) return new Response('null', { status: 500 })
  if (typeof said.error === 'string') {
    const { error, error_description } = said
    const description = typeof error_description === 'string' ? { error_description } : {}
    return json({ error, ...description }, 400)
  }
  const { id_token: _, token_type, expires_in, scope, refresh_token, ...rest } = said
  const lifetime = Number(expires_in)
  return json({
    ...rest,
    // anything but a token bound to a key is borne, whatever it is called
    token_type: /^(dpop|mac)$/i.test(String(token_type)) ? token_type : 'bearer',
    // 0 and nonsense mean that it was not said
    ...(Number.isFinite(lifetime) && lifetime > 0 ? { expires_in: lifetime } : {}),
    ...(Array.isArray(scope)
      ? { scope: scope.join(' ') }
      : typeof scope === 'string'
      ? { scope }
      : {}),
    ...(typeof refresh_token === 'string' && refresh_token !== '' ? { refresh_token } : {}),
  }, status < 300 ? 200 : status)
}

const json = (body: unknown, status: number) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
