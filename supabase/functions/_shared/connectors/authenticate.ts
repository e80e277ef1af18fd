// How do an account's credentials get onto a request? One way for each kind of authentication.
import { basicAuthorization } from '../http/basic-authorization.ts'
import type { HttpClient } from '../http/client.ts'
import type { HttpRequest } from '../http/request.ts'
import type { Clock } from '../platform/clock.ts'
import { AppError, type ErrorCode, isCode } from '../platform/errors.ts'
import type { Connector } from './define-connector.ts'
import type { OAuthGrant, TokenCache } from './token-cache.ts'
import type { AccountValues, OAuth2, TokenExchange } from './vocabulary/auth.ts'

export type Authentication = {
  /** Gets ready what has to be fetched first; call it before each request. */
  prepare(): Promise<void>
  authorize: NonNullable<HttpRequest['authorize']>
  /** Credentials that go into the query. */
  query: Record<string, string>
  /** After a refusal: true when there is something new to try. */
  renew(): Promise<boolean>
}

export type AuthenticationParts = {
  connector: Connector
  account: AccountValues
  http: HttpClient
  clock: Clock
  tokens: TokenCache
  /** For accounts whose owner has signed in. */
  grant?: OAuthGrant
  /** The address of a path below the account's base address. */
  address(path: string): string
}

export function openAuthentication(parts: AuthenticationParts): Authentication {
  const { connector, account, clock } = parts
  const auth = connector.auth(account.settings)
  switch (auth.type) {
    case 'none':
      return fixed({}, {})
    case 'api_key':
      if (auth.in === 'basic') {
        const authorization = basicAuthorization(auth.username(account), auth.password(account))
        return fixed({ authorization }, {})
      }
      return auth.in === 'query'
        ? fixed({}, { [auth.name]: auth.value(account) })
        : fixed({ [auth.name]: auth.value(account) }, {})
    case 'signed_request':
      return {
        ...fixed({}, {}),
        authorize: ({ method, url, headers }) =>
          setAll(headers, auth.headers(account, { method, url, now: clock.now() })),
      }
    case 'token_exchange':
    case 'client_credentials':
      return exchanged(auth, parts)
    case 'oauth2':
      return signedIn(auth, parts)
  }
}

function fixed(headers: Record<string, string>, query: Record<string, string>): Authentication {
  return {
    prepare: () => Promise.resolve(),
    authorize: (request) => setAll(request.headers, headers),
    query,
    renew: () => Promise.resolve(false),
  }
}

/** A token ends a little early for us, so that it does not end between here and there. */
const EXPIRY_MARGIN_MS = 60_000

function exchanged(auth: TokenExchange, parts: AuthenticationParts): Authentication {
  const { connector, account, http, clock, tokens } = parts
  let token: { access_token: string; expires_at: string } | null = null
  const isFresh = (held: { expires_at: string }) =>
    Date.parse(held.expires_at) - EXPIRY_MARGIN_MS > clock.now().getTime()

  async function exchange() {
    const sent = clock.now().getTime()
    const answer = await http.send({
      method: 'POST',
      url: parts.address(auth.request.path),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...auth.request.headers?.(account),
      },
      body: new URLSearchParams(auth.request.form(account)).toString(),
      // Nothing is lost when the first token was made and its answer was not read.
      repeatable: true,
    }).catch((error: unknown) => {
      throw isRefusal(error) ? refused(connector, account, error) : error
    })
    const read = auth.read(answer.json())
    if (!read) throw refused(connector, account)
    const made = {
      access_token: read.access_token,
      expires_at: new Date(sent + read.expires_in * 1000).toISOString(),
    }
    await tokens.write(made)
    return made
  }

  return {
    async prepare() {
      if (token && isFresh(token)) return
      const held = await tokens.read()
      token = held && isFresh(held) ? held : await exchange()
    },
    authorize({ headers }) {
      if (token) setAll(headers, auth.headers(token.access_token, account))
    },
    query: {},
    async renew() {
      // Another worker may have renewed meanwhile: its token is as good as ours would be.
      const held = await tokens.read()
      if (held && token && held.access_token !== token.access_token && isFresh(held)) {
        token = held
        return true
      }
      token = null
      await tokens.clear()
      return true
    },
  }
}

function signedIn(
  auth: OAuth2,
  { connector, account, grant }: AuthenticationParts,
): Authentication {
  let token: string | null = null
  return {
    ...fixed({}, {}),
    async prepare() {
      if (!grant) {
        throw new AppError('sign_in_required', {
          detail: `${connector.name} wants the owner to sign in there.`,
        })
      }
      token = await grant.current()
    },
    authorize({ headers }) {
      if (token === null) return
      setAll(headers, auth.headers?.(token, account) ?? { authorization: `Bearer ${token}` })
    },
    async renew() {
      if (!grant || token === null) return false
      token = await grant.renew(token)
      return token !== null
    },
  }
}

/** "The platform refuses the credentials", with the account's name and what to do. */
export function refused(connector: Connector, account: AccountValues, cause?: unknown): AppError {
  return new AppError('provider_unauthorized', {
    detail: `${connector.name} refuses the credentials${nameOf(connector, account)}.`,
    cause,
  })
}

/** Empty while the platform has not yet said whose they are. */
function nameOf(connector: Connector, account: AccountValues): string {
  const id = connector.accountId(account)
  return id ? ` of "${id}"` : ''
}

/** At the address that hands out tokens, every one of these means the same. */
const REFUSALS: readonly ErrorCode[] = [
  'provider_unauthorized',
  'provider_forbidden',
  'provider_rejected',
]
const isRefusal = (error: unknown) => isCode(error, ...REFUSALS)

function setAll(headers: Headers, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) headers.set(name, value)
}
