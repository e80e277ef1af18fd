// What does the token endpoint answer? The standard's answer, counted, then bent into the platform's shape.
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Consent, OAuthCounters, OAuthServerOptions, TokenAnswer } from './options.ts'
import type { Lifetimes } from './provider.ts'
import type { TokenStore } from './token-store.ts'

export function platformTokenAnswer(
  ctx: KoaContextWithOIDC,
  parts: {
    options: OAuthServerOptions
    store: TokenStore
    consents: Map<string, Consent>
    counters: OAuthCounters
    lifetimes: Lifetimes
  },
): void {
  const { options, store, consents, counters } = parts
  const grant_type = String(ctx.oidc.params?.['grant_type'] ?? '')
  const granted = ctx.status === 200
  if (grant_type === 'authorization_code') {
    counters[granted ? 'codes_exchanged' : 'codes_refused'] += 1
  }
  if (grant_type === 'refresh_token') {
    counters[granted ? 'refreshes_granted' : 'refreshes_refused'] += 1
  }

  const { AccessToken: token } = ctx.oidc.entities
  const grant = granted ? token?.grantId : undefined
  if (grant !== undefined && grant_type === 'refresh_token' && options.old_access_token_dies) {
    for (const id of store.idsOf('AccessToken', grant)) {
      if (id !== token?.jti) store.remove('AccessToken', id)
    }
  }

  if (typeof ctx.body !== 'object') return // a page, for a caller who asks for HTML
  const standard = { status: ctx.status, body: { ...ctx.body as Record<string, unknown> } }
  const answer = options.answer?.(sayAsPlatform(standard, parts), {
    grant_type,
    consent: grant === undefined ? null : consents.get(grant) ?? null,
    origin: ctx.oidc.issuer,
  }) ?? sayAsPlatform(standard, parts)
  ctx.status = answer.status
  ctx.body = answer.body
}

function sayAsPlatform(
  answer: TokenAnswer,
  { options, lifetimes }: { options: OAuthServerOptions; lifetimes: Lifetimes },
): TokenAnswer {
  const { scope, expires_in, ...rest } = answer.body
  const said = typeof scope === 'string' && options.scopes.length > 0
    ? { scope: scope.split(' ').join(options.scope_separator ?? ' ') }
    : {}
  const lives = expires_in === undefined || lifetimes.access_token_seconds === null
    ? {}
    : { expires_in }
  return { status: answer.status, body: { ...rest, ...lives, ...said } }
}
