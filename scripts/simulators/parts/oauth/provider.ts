// Which rules does the authorization server follow? `oidc-provider`, told to be plain OAuth 2 as platforms speak it.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { errors, type JWK, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { errorPage } from './consent-page.ts'
import type { Consent, OAuthClient, OAuthServerOptions } from './options.ts'
import type { TokenStore } from './token-store.ts'

export type Lifetimes = { access_token_seconds: number | null; refresh_token_seconds: number }

/** What stands for "never": ten years. */
export const NEVER = 10 * 365 * 86_400

/** The one scope of a platform that has none; it never shows on the wire. */
export const NO_SCOPE = 'everything'

const INTERACTION_SECONDS = 600

export function oauthProvider(
  options: OAuthServerOptions,
  parts: {
    store: TokenStore
    lifetimes: Lifetimes
    consents: ReadonlyMap<string, Consent>
    redirectAllowed(uri: string): boolean
  },
): Provider {
  const { client, platform } = options
  const scopes = options.scopes.length === 0 ? [NO_SCOPE] : [...options.scopes]
  const provider = new Provider('http://127.0.0.1', {
    adapter: parts.store.adapter,
    clients: [{
      client_id: client.client_id,
      ...(client.client_secret === undefined ? {} : { client_secret: client.client_secret }),
      token_endpoint_auth_method: client.token_endpoint_auth_method,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['https://placeholder.example/'], // whoever asks, `redirectUriAllowed` decides
      id_token_signed_response_alg: scopes.includes('openid') ? 'RS256' : 'ES256',
    }],
    scopes,
    // Not a parameter: the hook that runs once the redirect URI is known to be good.
    extraParams: {
      ...Object.fromEntries((options.more_parameters ?? []).map((name) => [name, null])),
      unknown_scope: (ctx: KoaContextWithOIDC) => {
        // As sent: the server itself drops what it does not know without a word.
        const asked = String(ctx.query['scope'] ?? '').split(' ')
        const unknown = asked.filter((scope) => scope !== '' && !scopes.includes(scope))
        if (unknown.length > 0) {
          throw new errors.InvalidScope('the platform has no such scope', unknown.join(' '))
        }
      },
    },
    pkce: { required: () => options.pkce === 'required' },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: { enabled: false },
      revocation: {
        enabled: options.revocation_path !== undefined,
        allowedPolicy: (_ctx, { clientId }, token) => token.clientId === clientId,
      },
    },
    routes: {
      authorization: options.authorization_path,
      token: options.token_path,
      ...(options.revocation_path === undefined ? {} : { revocation: options.revocation_path }),
    },
    interactions: {
      url: (_ctx, { uid }) => consentPath(options, uid),
    },
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    clientBasedCORS: () => false, // platforms do not let browsers call their token endpoint
    rotateRefreshToken: () => options.rotation,
    issueRefreshToken: (_ctx, _client, code) => {
      const consent = parts.consents.get(code.grantId ?? '')
      return consent !== undefined && (options.issues_refresh_token?.(consent) ?? true)
    },
    expiresWithSession: () => false, // signing out of a platform does not end what apps were allowed
    ttl: {
      AccessToken: () => parts.lifetimes.access_token_seconds ?? NEVER,
      RefreshToken: () => parts.lifetimes.refresh_token_seconds,
      AuthorizationCode: () => options.code_seconds ?? 60,
      Grant: () => NEVER,
      IdToken: () => 3600,
      Interaction: () => INTERACTION_SECONDS,
      Session: () => INTERACTION_SECONDS,
    },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [signingKey(scopes.includes('openid'))] },
    renderError: (ctx, { error, error_description }) => {
      ctx.type = 'html'
      ctx.body = errorPage(platform, { error, description: error_description ?? '' })
    },
  })
  provider.Client.prototype.redirectUriAllowed = parts.redirectAllowed
  if (!client.secret_anywhere) secretWhereAgreed(provider, client.token_endpoint_auth_method)
  return provider
}

/** Two segments below the authorization endpoint: one segment is where the server itself goes on. */
export const consentPath = (options: OAuthServerOptions, uid: string) =>
  `${options.authorization_path}/${uid}/consent`

/** The server takes a secret from the header or the body, whichever was registered; most platforms take it from one. */
function secretWhereAgreed(provider: Provider, method: OAuthClient['token_endpoint_auth_method']) {
  const { compareClientSecret } = provider.Client.prototype
  provider.Client.prototype.compareClientSecret = function (secret) {
    const inHeader = Provider.ctx?.headers.authorization !== undefined
    return inHeader === (method === 'client_secret_basic') && compareClientSecret.call(this, secret)
  }
}

/** For id tokens, which are RS256 everywhere; making that key takes most of the start, so only where there are any. */
function signingKey(idTokens: boolean): JWK {
  const { privateKey } = idTokens
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig' } as JWK
}
