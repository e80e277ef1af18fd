// Which answers does a sign-in accept? Only those of the platform that was asked.
import { describe, expect, it } from 'vitest'
import { readAuthorizationResponse } from '../../../supabase/functions/_shared/oauth/authorization-response.ts'
import { authorizationRequest } from '../../../supabase/functions/_shared/oauth/begin-sign-in.ts'
import { signInClient } from '../../../supabase/functions/_shared/oauth/sign-in-client.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import type { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { acmeSigningIn, type OAuthWords } from '../../support/acme-connector.ts'
import { testEnvironment } from '../../support/environment.ts'
import { startPlatform } from '../simulators/oauth-platform.ts'

function clientWith(words: OAuthWords = {}) {
  const connector = acmeSigningIn({
    authorization_endpoint: 'https://{shop}.acme.example/authorize?theme=dark',
    token_endpoint: 'https://acme.example/token',
    ...words,
  })
  const account = connector.readAccount({ settings: {}, credentials: {} })
  const environment = testEnvironment({
    OAUTH_CLIENTS: { acme: { client_id: 'app', client_secret: 's' } },
  })
  return signInClient({ environment }, connector, account)
}

const read = (query: string, words?: OAuthWords) =>
  readAuthorizationResponse({ clock: systemClock }, clientWith(words), new URLSearchParams(query))

describe('an authorization response', () => {
  it('with a code is accepted', () => {
    expect(read('code=abc&state=s').get('code')).toBe('abc')
  })

  it.each([
    ['no code', 'state=s'],
    ['an empty code', 'code=&state=s'],
    ['two codes', 'code=a&code=b&state=s'],
    ['tokens in it, as the implicit flow has them', 'code=a&id_token=x.y.z&state=s'],
    ['a JARM response', 'response=x.y.z&state=s'],
  ])('with %s is none', (_, query) => {
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'oauth_response_invalid' }))
  })

  it('must name the issuer where the platform promises to (RFC 9207)', () => {
    const issuer = { issuer: 'https://acme.example' }
    const right = `code=a&state=s&iss=${encodeURIComponent('https://acme.example')}`

    expect(read(right, issuer).get('code')).toBe('a')
    for (const query of ['code=a&state=s', 'code=a&state=s&iss=https%3A%2F%2Fevil.example']) {
      expect(() => read(query, issuer)).toThrow(
        expect.objectContaining({ code: 'oauth_response_invalid' }),
      )
    }
    expect(read('code=a&state=s&iss=https%3A%2F%2Fany.example').get('code')).toBe('a')
  })

  it('of a certified server names its issuer, and is refused where another was asked, also when it denies', async () => {
    const platform = await startPlatform({ issuer_parameter: true })
    const allowed = (await platform.consent()).callback.search
    const denied = (await platform.consent({ decision: 'deny' })).callback.search
    const outcome = (query: string, issuer: string) => {
      try {
        return read(query, { issuer }).has('code') ? 'accepted' : 'odd'
      } catch (error) {
        return (error as AppError).code
      }
    }

    expect([allowed, denied].map((query) => outcome(query, platform.origin)))
      .toEqual(['accepted', 'oauth_denied'])
    expect([allowed, denied].map((query) => outcome(query, 'https://acme.example')))
      .toEqual(['oauth_response_invalid', 'oauth_response_invalid'])
  })

  it.each([
    ['access_denied', 'oauth_denied', 'denied'],
    ['server_error', 'oauth_exchange_failed', 'server_error'],
    ['<script>alert(1)</script>', 'oauth_exchange_failed', 'without a reason'],
  ])('with the error %j is a refusal in our own words', (error, code, said) => {
    const query = `error=${encodeURIComponent(error)}&state=s&error_description=secret`

    expect(() => read(query)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(said) }),
    )
    expect(() => read(query)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    )
  })

  it('that the platform signs is refused when its signature is wrong', () => {
    const words: OAuthWords = {
      verifyResponse: (parameters, { client_secret }) =>
        parameters.get('hmac') === `right-${client_secret}`,
    }

    expect(read('code=a&state=s&hmac=right-s', words).get('code')).toBe('a')
    expect(() => read('code=a&state=s&hmac=wrong', words)).toThrow(
      expect.objectContaining({ code: 'oauth_response_invalid' }),
    )
    // a denial may come without one; a code beside it is not taken
    for (const code of ['', '&code=a']) {
      expect(() => read(`error=access_denied&state=s${code}`, words)).toThrow(
        expect.objectContaining({ code: 'oauth_denied' }),
      )
    }
  })
})

describe('an authorization request', () => {
  const ask = (words?: OAuthWords, code_challenge: string | null = 'challenge') =>
    new URL(
      authorizationRequest(clientWith(words), {
        state: 'the-state',
        redirect_uri: 'https://p.example/functions/v1/oauth-callback',
        code_challenge,
      }),
    )

  it('has what RFC 6749 and RFC 7636 ask for, beside what stood in the address', () => {
    const url = ask()

    expect(url.origin).toBe('https://north.acme.example')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      theme: 'dark',
      response_type: 'code',
      client_id: 'app',
      redirect_uri: 'https://p.example/functions/v1/oauth-callback',
      scope: 'read write',
      state: 'the-state',
      code_challenge: 'challenge',
      code_challenge_method: 'S256',
    })
  })

  it('separates scopes by commas, asks for none and sends no challenge where a platform wants it so', () => {
    expect(ask({ scopeSeparator: ',' }).searchParams.get('scope')).toBe('read,write')
    expect(ask({ scope: '' }).searchParams.has('scope')).toBe(false)
    expect(ask({ pkce: false }, null).searchParams.has('code_challenge')).toBe(false)
    expect(ask({ parameters: { access_type: 'offline' } }).searchParams.get('access_type')).toBe(
      'offline',
    )
  })
})
