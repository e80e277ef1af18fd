// How does a simulated platform let our app in? An authorization server at the platform's own paths and origin.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { readBody } from './http-server.ts'
import { type ConsentPages, consentPages } from './oauth/consent.ts'
import { errorPage } from './oauth/consent-page.ts'
import { type OAuthControl, oauthControl, type Person } from './oauth/control.ts'
import type { Consent, OAuthCounters, OAuthServerOptions } from './oauth/options.ts'
import { NEVER, oauthProvider } from './oauth/provider.ts'
import { replayedRequest } from './oauth/replayed-request.ts'
import { standardAuthorizationUrl, standardTokenBody } from './oauth/standard-request.ts'
import { platformTokenAnswer } from './oauth/token-answer.ts'
import { tokenStore } from './oauth/token-store.ts'

export type { OAuthControl } from './oauth/control.ts'
export type * from './oauth/options.ts'

export type OAuthServer = {
  /** Takes the request if it is for one of the server's paths: what `mount` of the HTTP server wants. */
  handle(incoming: IncomingMessage, outgoing: ServerResponse): boolean
  /** Whose token is this, and for what? `null` once expired, revoked or followed by another where that ends it. */
  verify(access_token: string): Consent | null
  setRedirectUris(uris: readonly string[] | 'any'): void
  control: OAuthControl
}

export function oauthServer(options: OAuthServerOptions): OAuthServer {
  const store = tokenStore(() => (options.now?.() ?? new Date()).getTime())
  const consents = new Map<string, Consent>()
  const person: Person = { denials: 0, only: null }
  const lifetimes = {
    access_token_seconds: options.access_token_seconds,
    refresh_token_seconds: options.refresh_token_seconds ?? NEVER,
  }
  const counters: OAuthCounters = {
    consents_given: 0,
    consents_denied: 0,
    codes_exchanged: 0,
    codes_refused: 0,
    refreshes_granted: 0,
    refreshes_refused: 0,
    revocations: 0,
  }
  let redirectUris = options.redirect_uris
  const provider = oauthProvider(options, {
    store,
    lifetimes,
    consents,
    redirectAllowed: (uri) => redirectUris === 'any' || redirectUris.includes(uri),
  })
  const pages = consentPages(options, { provider, consents, person, counters })

  const parts = { options, store, consents, counters, lifetimes }
  provider.use(async (ctx, next) => {
    await next()
    const route = (ctx as KoaContextWithOIDC).oidc?.route
    if (route === 'token') platformTokenAnswer(ctx as KoaContextWithOIDC, parts)
    if (route === 'revocation' && ctx.status === 200) counters.revocations += 1
    if (!options.issuer_parameter) withoutIssuer(ctx as KoaContextWithOIDC)
  })
  const standard = provider.callback()

  // One token call at a time, as if each were a transaction: two uses of one refresh token never both succeed.
  let calls: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<void>) => {
    const turn = calls.then(work)
    calls = turn.catch(() => undefined)
    return turn
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse, url: URL) {
    Object.assign(provider, { issuer: url.origin }) // the port is known once somebody calls
    const headers = withoutSession(incoming, provider.cookieName('session'))
    if (url.pathname === options.token_path && incoming.method === 'POST') {
      const body = standardTokenBody(await readBody(incoming), options)
      return await inTurn(() => standard(replayedRequest(incoming, { body }), outgoing))
    }
    if (url.pathname === options.authorization_path) {
      const standardUrl = standardAuthorizationUrl(url, options)
      return await standard(replayedRequest(incoming, { url: standardUrl, headers }), outgoing)
    }
    if (url.pathname.endsWith('/consent')) {
      return await serveConsent(pages, incoming, outgoing).catch((error: unknown) => {
        if (!(error instanceof errors.OIDCProviderError)) throw error
        // Pressed twice, too late, or without the cookie.
        const { error: code, error_description: description = '' } = error
        const page = errorPage(options.platform, { error: code, description })
        outgoing.writeHead(400, { 'content-type': 'text/html; charset=utf-8' }).end(page)
      })
    }
    if (url.pathname === options.revocation_path) return await standard(incoming, outgoing)
    await standard(replayedRequest(incoming, { headers }), outgoing)
  }

  return {
    handle(incoming, outgoing) {
      const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? '127.0.0.1'}`)
      const { pathname } = url
      const ours = [options.authorization_path, options.token_path, options.revocation_path]
      if (!ours.includes(pathname) && !pathname.startsWith(`${options.authorization_path}/`)) {
        return false
      }
      serve(incoming, outgoing, url).catch((error: unknown) => {
        if (outgoing.headersSent) return void outgoing.destroy()
        outgoing.writeHead(500).end(error instanceof Error ? error.stack : String(error))
      })
      return true
    },
    verify(access_token) {
      const token = store.read('AccessToken', access_token)
      const consent = consents.get(token?.grantId ?? '')
      if (!token || !consent || !store.read('Grant', consent.grant)) return null
      const scopes = options.scopes.length === 0 ? [] : (token.scope ?? '').split(' ')
      return (token.exp ?? 0) * 1000 > Date.now() ? { ...consent, scopes } : null
    },
    setRedirectUris: (uris) => void (redirectUris = uris),
    control: oauthControl({ ...parts, person }),
  }
}

async function serveConsent(
  pages: ConsentPages,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  if (incoming.method === 'GET') return await pages.show(incoming, outgoing)
  if (incoming.method === 'POST') {
    const form = new URLSearchParams((await readBody(incoming)).toString('utf8'))
    return await pages.decide(incoming, outgoing, form)
  }
  outgoing.writeHead(405).end()
}

/**
 * Nobody stays signed in: each authorization asks who it is and whether they agree, so that one browser can connect
 * several accounts side by side, which the server's session would answer with the first one again.
 */
function withoutSession(incoming: IncomingMessage, name: string): IncomingMessage['headers'] {
  const { cookie = '', ...headers } = incoming.headers
  const kept = cookie.split('; ').filter((pair) => !pair.startsWith(name))
  return kept.length === 0 ? headers : { ...headers, cookie: kept.join('; ') }
}

/** Most platforms do not send RFC 9207's `iss`; the server always does. */
function withoutIssuer(ctx: KoaContextWithOIDC): void {
  const location = ctx.response.get('location')
  if (!URL.canParse(location)) return
  const url = new URL(location)
  if (!url.searchParams.has('iss')) return
  url.searchParams.delete('iss')
  ctx.set('location', url.href)
}
