// How is a platform's own request said in the standard's words? Scopes, PKCE and prompts, before the server reads them.
import type { OAuthServerOptions } from './options.ts'
import { NO_SCOPE } from './provider.ts'

/** Path and query of the authorization request as `oidc-provider` takes it. */
export function standardAuthorizationUrl(url: URL, options: OAuthServerOptions): string {
  const query = new URLSearchParams(url.search)
  const asked = query.get('scope') ?? ''
  const scopes = asked.split(options.scope_separator ?? ' ').filter((scope) => scope !== '')
  const known = options.scopes.length === 0 ? [NO_SCOPE] : options.scopes
  const meant = scopes.length === 0 || options.scopes.length === 0 ? known : scopes
  query.set('scope', meant.join(' '))
  // The person is asked each time; `offline_access` counts only if so. Platforms have prompts of their own beside.
  if (query.get('prompt') !== 'none') query.set('prompt', 'consent')
  if (options.pkce === 'ignored') {
    query.delete('code_challenge')
    query.delete('code_challenge_method')
  }
  return `${url.pathname}?${query}`
}

/** Body of the token request as `oidc-provider` takes it. */
export function standardTokenBody(body: Buffer, options: OAuthServerOptions): Buffer {
  if (options.pkce !== 'ignored') return body
  const form = new URLSearchParams(body.toString('utf8'))
  form.delete('code_verifier')
  return Buffer.from(form.toString())
}
