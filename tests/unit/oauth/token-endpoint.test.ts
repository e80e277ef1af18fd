// What counts as a token? Everything platforms send that the RFC did not mean, and nothing that is none.
import { describe, expect, it } from 'vitest'
import type { OAuth2 } from '../../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { signInClient } from '../../../supabase/functions/_shared/oauth/sign-in-client.ts'
import {
  refreshTokens,
  TokenRefused,
} from '../../../supabase/functions/_shared/oauth/token-endpoint.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import { acmeSigningIn, type OAuthWords } from '../../support/acme-connector.ts'
import { testEnvironment } from '../../support/environment.ts'

type Sent = { url: string; headers: Headers; form: URLSearchParams }

/** Refreshes at an endpoint that answers so. */
async function refresh(
  answer: { status?: number; body: unknown; type?: string },
  words: OAuthWords = {},
  client: { client_id: string; client_secret?: string } = {
    client_id: 'app',
    client_secret: 'a:b&c',
  },
) {
  const sent: Sent[] = []
  const connector = acmeSigningIn(words)
  const outside: Outside = {
    db: { call: () => Promise.reject(new Error('not here')), end: () => Promise.resolve() },
    environment: testEnvironment({ OAUTH_CLIENTS: { acme: client } }),
    log: createLog({}, () => {}),
    clock: systemClock,
    fetch: (url, init) => {
      sent.push({
        url: String(url),
        headers: new Headers(init?.headers),
        form: new URLSearchParams(String(init?.body)),
      })
      const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      return Promise.resolve(
        new Response(body, {
          status: answer.status ?? 200,
          headers: { 'content-type': answer.type ?? 'application/json' },
        }),
      )
    },
  }
  const account = connector.readAccount({ settings: {}, credentials: {} })
  const tokens = await refreshTokens(
    outside,
    signInClient(outside, connector, account),
    'the-refresh-token',
  )
  return { tokens, sent: sent[0]! }
}

const good = { access_token: 'at', token_type: 'Bearer', expires_in: 3600 }

describe('a token answer', () => {
  it.each([
    ['as the RFC has it', 3600, 3600],
    ['a lifetime as text', '7200', 7200],
    ['a lifetime of 0, which means none', 0, null],
    ['a lifetime that is nonsense', 'soon', null],
    ['a lifetime below zero', -5, null],
    ['no lifetime', undefined, null],
    ['a lifetime longer than can be kept', 99_999_999_999, 2_147_483_647],
    ['a part of a second', 0.5, 1],
  ])('%s', async (_, expires_in, expected) => {
    const { tokens } = await refresh({ body: { ...good, expires_in } })

    expect(tokens).toMatchObject({ access_token: 'at', expires_in: expected })
  })

  it('without a lifetime takes the one its connector declares', async () => {
    const { tokens } = await refresh({ body: { ...good, expires_in: undefined } }, {
      lifetimeSeconds: 7200,
    })

    expect(tokens.expires_in).toBe(7200)
  })

  it('without a new refresh token keeps the old one; with one replaces it', async () => {
    const kept = await refresh({ body: good })
    const replaced = await refresh({ body: { ...good, refresh_token: 'next' } })

    expect(kept.tokens.refresh_token).toBeNull() // null: save_token_refresh keeps what it has
    expect(replaced.tokens.refresh_token).toBe('next')
  })

  it.each([
    ['no token type', { access_token: 'at' }],
    ['a type of its own', { access_token: 'at', token_type: 'bot' }],
    ['scopes as a list', { ...good, scope: ['read', 'write'] }],
    ['scope null', { ...good, scope: null }],
    ['an id token nobody asked for', { ...good, id_token: 'x.y.z' }],
    ['an empty refresh token', { ...good, refresh_token: '' }],
    ['status 201', good],
  ])('with %s is a token', async (name, body) => {
    const { tokens } = await refresh({ body, status: name === 'status 201' ? 201 : 200 })

    expect(tokens.access_token).toBe('at')
    expect(tokens.refresh_token).toBeNull()
  })

  it.each([
    ['a web page', '<!doctype html>', 'text/html'],
    ['no JSON', 'ok', 'text/plain'],
    ['no access token', { token_type: 'bearer' }, undefined],
    ['an access token that is a number', { ...good, access_token: 7 }, undefined],
    ['a list', [good], undefined],
    ['null', 'null', undefined],
  ])('that is %s is no token, and is not repeated in the error', async (_, body, type) => {
    await expect(refresh({ body, type })).rejects.toMatchObject({ code: 'provider_bad_answer' })
    await expect(refresh({ body: good })).resolves.toBeDefined()
  })

  it('that cannot be read is not kept with the error: it may be a token all the same', async () => {
    const failure = await refresh({
      body: 'access_token=very-secret-token&expires_in=1',
      type: 'text/plain',
    })
      .then(() => null, (error: unknown) => error)

    expect(failure).toMatchObject({ code: 'provider_bad_answer' })
    expect(JSON.stringify(failure) + String((failure as Error).cause)).not.toContain('very-secret')
  })

  it('with text that Postgres cannot keep is kept without that', async () => {
    const { tokens } = await refresh({
      body: { ...good, scope: 'read\u0000 \ud800', refresh_token: 'next\u0000' },
    })

    expect(tokens).toMatchObject({ scope: 'read \ufffd', refresh_token: 'next' })
  })

  it('tells facts of the account, and is kept also when they cannot be read', async () => {
    const account: OAuth2['account'] = (answer) => ({
      host: new URL((answer as { instance_url: string }).instance_url).host,
    })

    const told = await refresh({ body: { ...good, instance_url: 'https://a.example/x' } }, {
      account,
    })
    const odd = await refresh({ body: { ...good, instance_url: 'not an address' } }, { account })

    expect(told.tokens.account).toEqual({ host: 'a.example' })
    expect(odd.tokens).toMatchObject({ access_token: 'at', account: {} })
  })
})

describe('a refusal', () => {
  const refusal = (answer: Parameters<typeof refresh>[0], words?: OAuthWords) =>
    refresh(answer, words).then(() => null, (error: unknown) => error)

  it.each([
    ['invalid_grant', true],
    ['invalid_client', false],
    ['invalid_request', false],
    ['temporarily_unavailable', false],
  ])('with %s is final: %s', async (error, isFinal) => {
    const refused = await refusal({ status: 400, body: { error } })

    expect(refused).toBeInstanceOf(TokenRefused)
    expect(refused).toMatchObject({ error, isFinal })
  })

  it('inside a 200 is a refusal in the platform’s own words', async () => {
    const readTokenAnswer: OAuth2['readTokenAnswer'] = (body) => {
      const { ok, error } = body as { ok?: boolean; error?: string }
      return ok === false ? { error: error === 'token_revoked' ? 'invalid_grant' : error } : body
    }

    const revoked = await refusal({ body: { ok: false, error: 'token_revoked' } }, {
      readTokenAnswer,
    })
    const { tokens } = await refresh({ body: { ok: true, ...good } }, { readTokenAnswer })

    expect(revoked).toMatchObject({ error: 'invalid_grant', isFinal: true })
    expect(tokens.access_token).toBe('at')
  })

  it('does not keep a token that its description quotes', async () => {
    const quoted = 'the-refresh-token-that-was-just-sent-0123456789'

    const refused = await refusal({
      status: 400,
      body: { error: 'invalid_grant', error_description: `unknown token ${quoted}` },
    })

    expect(String(refused)).toContain('unknown token')
    expect(JSON.stringify(refused) + String(refused)).not.toContain(quoted)
  })

  it.each([500, 502, 503, 429])('of status %i is trouble, not the end', async (status) => {
    const trouble = await refusal({ status, body: { error: 'invalid_grant' } })

    expect(trouble).not.toBeInstanceOf(TokenRefused)
    expect(trouble).toMatchObject({ next: 'retry' })
  })
})

describe('our app proves itself', () => {
  it('by HTTP Basic where nothing else is said, form-encoded as RFC 6749 section 2.3.1 asks', async () => {
    const { sent } = await refresh({ body: good })

    const [, pair] = /^Basic (.+)$/.exec(sent.headers.get('authorization') ?? '') ?? []
    expect(atob(pair ?? '')).toBe('app:a%3Ab%26c')
    expect(sent.form.get('client_secret')).toBeNull()
    expect(sent.form.get('grant_type')).toBe('refresh_token')
  })

  it('in the body, or by its name alone, as the connector says', async () => {
    const post = await refresh({ body: good }, { token_endpoint_auth_method: 'client_secret_post' })
    const none = await refresh({ body: good }, { token_endpoint_auth_method: 'none' })
    const secretless = await refresh({ body: good }, {}, { client_id: 'app' })

    expect(post.sent.headers.get('authorization')).toBeNull()
    expect(post.sent.form.get('client_secret')).toBe('a:b&c')
    for (const { sent } of [none, secretless]) {
      expect(sent.headers.get('authorization')).toBeNull()
      expect(sent.form.get('client_id')).toBe('app')
      expect(sent.form.get('client_secret')).toBeNull()
    }
  })

  it('with the parameters a platform wants besides', async () => {
    const { sent } = await refresh({ body: good }, { tokenParameters: { expiring: '1' } })

    expect(sent.form.get('expiring')).toBe('1')
    expect(sent.url).toBe('https://north.acme.example/token')
  })

  it('not at all before it is registered: the error says what to set', () => {
    const connector = acmeSigningIn({})
    const account = connector.readAccount({ settings: {}, credentials: {} })

    expect(() => signInClient({ environment: testEnvironment() }, connector, account)).toThrow(
      expect.objectContaining({ code: 'oauth_client_missing' }),
    )
  })
})
