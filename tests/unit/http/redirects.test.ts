import { describe, expect, it } from 'vitest'
import {
  checkRedirectCount,
  MAX_REDIRECTS,
  redirectTarget,
} from '../../../supabase/functions/_shared/http/redirects.ts'

function redirect(location: string | undefined, from: string, method = 'GET', status = 302) {
  const headers = new Headers(location === undefined ? {} : { location })
  return redirectTarget({ status, headers }, new URL(from), method)
}

describe('redirects', () => {
  it.each([200, 201, 304, 400, 500])('%i is no redirect', (status) => {
    expect(redirect('/elsewhere', 'https://a.example/', 'GET', status)).toBeUndefined()
  })

  it.each([
    ['/v3', 'https://a.example/v2', 'https://a.example/v3'],
    ['page/2', 'https://a.example/v2/', 'https://a.example/v2/page/2'],
    ['https://a.example:443/x', 'https://a.example/', 'https://a.example/x'],
    ['//a.example/x', 'https://a.example/', 'https://a.example/x'],
    ['https://a.example/x', 'http://a.example/', 'https://a.example/x'],
  ])('follows %s within the host of %s', (location, from, expected) => {
    expect(redirect(location, from)?.href).toBe(expected)
  })

  it.each([
    ['another host', 'https://b.example/', 'https://a.example/'],
    ['a subdomain', 'https://x.a.example/', 'https://a.example/'],
    ['another port', 'https://a.example:8443/', 'https://a.example/'],
    ['unprotected http', 'http://a.example/', 'https://a.example/'],
    ['https on another port', 'https://a.example:8443/', 'http://a.example/'],
    ['another scheme', 'file:///etc/passwd', 'https://a.example/'],
    ['a password', 'https://user:pass@a.example/', 'https://a.example/'],
    ['nowhere', undefined, 'https://a.example/'],
    ['nonsense', 'https://', 'https://a.example/'],
  ])('refuses %s', (_what, location, from) => {
    expect(() => redirect(location, from)).toThrow(
      expect.objectContaining({ code: 'provider_redirect_refused' }),
    )
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
    'never follows for %s, and does for HEAD',
    (method) => {
      expect(() => redirect('/v3', 'https://a.example/', method, 307)).toThrow(
        expect.objectContaining({ code: 'provider_redirect_refused' }),
      )
      expect(redirect('/v3', 'https://a.example/', 'HEAD')?.pathname).toBe('/v3')
    },
  )

  describe('to any host, for public files', () => {
    const follow = (location: string, from: string, method = 'GET') =>
      redirectTarget(
        { status: 302, headers: new Headers({ location }) },
        new URL(from),
        method,
        'any host',
      )

    it.each([
      ['https://cdn.example/x', 'https://a.example/'],
      ['https://cdn.example/x', 'http://a.example/'],
      ['http://cdn.example/x', 'http://a.example/'],
    ])('follows %s from %s', (location, from) => {
      expect(follow(location, from)?.href).toBe(location)
    })

    it.each([
      ['a step down to http', 'http://cdn.example/', 'https://a.example/', 'GET'],
      ['a password', 'https://user:pass@cdn.example/', 'https://a.example/', 'GET'],
      ['what is sent twice', 'https://cdn.example/', 'https://a.example/', 'POST'],
    ])('still refuses %s', (_what, location, from, method) => {
      expect(() => follow(location, from, method)).toThrow(
        expect.objectContaining({ code: 'provider_redirect_refused' }),
      )
    })
  })

  it('ends after five', () => {
    expect(() => checkRedirectCount(MAX_REDIRECTS, new URL('https://a.example/'))).not.toThrow()
    expect(() => checkRedirectCount(MAX_REDIRECTS + 1, new URL('https://a.example/'))).toThrow(
      expect.objectContaining({ code: 'provider_redirect_refused' }),
    )
  })
})
