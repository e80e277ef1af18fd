import * as oauth from 'oauth4webapi'
import { describe, expect, it } from 'vitest'
import { browser } from '../../../scripts/simulators/parts/oauth/browser.ts'
import { granted, REDIRECT_URI, refusal, startPlatform } from './oauth-platform.ts'

describe('scopes', () => {
  it('are those asked for; without any, all of them; an unknown one is refused', async () => {
    const platform = await startPlatform()

    const some = await platform.connect(undefined, { scope: 'products:write' })
    const all = await platform.connect(undefined, { scope: null })
    const asked = await platform.ask({ scope: 'products:read products:fly' })
    const unknown = await browser().authorize(asked.url, { stopAt: REDIRECT_URI })

    expect(some.scope).toBe('products:write')
    expect(all.scope).toBe('products:read products:write')
    expect(new URL(unknown.url).searchParams.get('error')).toBe('invalid_scope')
  })

  it('may be granted in part', async () => {
    const platform = await startPlatform()
    const scope = 'products:read products:write'

    platform.control.allowOnlyNextTime(['products:write'])
    const part = await platform.connect(undefined, { scope })
    const whole = await platform.connect(undefined, { scope })

    expect(part.scope).toBe('products:write')
    expect(platform.server.verify(part.access_token)?.scopes).toEqual(['products:write'])
    expect(whole.scope).toBe(scope)
  })

  it('may be parted by commas', async () => {
    const platform = await startPlatform({ scope_separator: ',' })

    const tokens = await platform.connect(undefined, { scope: 'products:read,products:write' })

    expect(tokens.scope).toBe('products:read,products:write')
    expect(platform.server.verify(tokens.access_token)?.scopes)
      .toEqual(['products:read', 'products:write'])
  })

  it('may be missing from the platform altogether', async () => {
    const platform = await startPlatform({ scopes: [] })

    const tokens = await platform.connect(undefined, { scope: null })

    expect(tokens.scope).toBeUndefined()
    expect(platform.server.verify(tokens.access_token)?.scopes).toEqual([])
  })
})

describe('PKCE', () => {
  const without = { code_challenge: null, code_challenge_method: null }

  it('is asked for where the platform requires it', async () => {
    const platform = await startPlatform()
    const asked = await platform.ask(without)

    const sentBack = await browser().open(asked.url, { stopAt: REDIRECT_URI })

    expect(new URL(sentBack.url).searchParams.get('error')).toBe('invalid_request')
    await platform.connect()
  })

  it('may be left out where it is optional, but counts once used', async () => {
    const platform = await startPlatform({ pkce: 'optional' })
    const plain = await platform.consent({}, without)
    const used = await platform.consent()

    const refused = await platform.exchange(used, { verifier: oauth.nopkce })

    expect(await refusal(refused)).toEqual({ status: 400, error: 'invalid_grant' })
    await granted(await platform.exchange(used))
    await granted(await platform.exchange(plain, { verifier: oauth.nopkce }))
  })

  it('is overlooked where the platform does not know it', async () => {
    const platform = await startPlatform({ pkce: 'ignored' })
    const asked = await platform.consent()

    await granted(await platform.exchange(asked, { verifier: 'x'.repeat(43) }))
  })
})

describe('the shape of an answer', () => {
  it('is the platform’s own, for tokens and for errors', async () => {
    const platform = await startPlatform({
      answer: ({ status, body }, { consent, origin, grant_type }) =>
        status === 200
          ? {
            status,
            body: { ok: true, team: { id: consent?.account }, origin, grant_type, ...body },
          }
          : { status: 200, body: { ok: false, error: body['error'] } },
    })
    const asked = await platform.consent({ account: 'T0001' })

    const tokens = await granted(await platform.exchange(asked))
    const refused = await platform.refresh('unknown')

    expect(tokens).toMatchObject({
      ok: true,
      team: { id: 'T0001' },
      origin: platform.origin,
      grant_type: 'authorization_code',
      access_token: expect.any(String),
    })
    expect(refused.status).toBe(200)
    expect(await refused.json()).toEqual({ ok: false, error: 'invalid_grant' })
  })

  it('has no expires_in where tokens never expire', async () => {
    let now = Date.now()
    const platform = await startPlatform({
      access_token_seconds: null,
      now: () => new Date(now),
    })
    const tokens = await platform.connect()
    now += 365 * 86_400_000

    expect(tokens.expires_in).toBeUndefined()
    expect(platform.server.verify(tokens.access_token)).not.toBeNull()
  })

  it('has a refresh token only where the platform gives one', async () => {
    const platform = await startPlatform({
      more_parameters: ['access_type'],
      issues_refresh_token: ({ parameters }) => parameters['access_type'] === 'offline',
    })

    const online = await platform.connect()
    const offline = await platform.connect(undefined, { access_type: 'offline' })

    expect(online.refresh_token).toBeUndefined()
    expect(offline.refresh_token).toBeTruthy()
  })

  it('names the issuer where the platform follows RFC 9207', async () => {
    const platform = await startPlatform({ issuer_parameter: true })

    const asked = await platform.consent()

    expect(asked.callback.searchParams.get('iss')).toBe(platform.origin)
    await granted(await platform.exchange(asked))
  })

  it('has an id token once openid is asked for', async () => {
    const platform = await startPlatform({ scopes: ['openid', 'products:read'] })

    const plain = await platform.connect()
    const signedIn = await platform.connect('ada@acme.example', { scope: 'openid' })

    expect(plain.id_token).toBeUndefined()
    expect(oauth.getValidatedIdTokenClaims(signedIn)).toMatchObject({ sub: 'ada@acme.example' })
  })
})
