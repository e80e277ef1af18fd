// Which page may a sign-in come back to?
import { describe, expect, it } from 'vitest'
import {
  checkReturnUrl,
  withOutcome,
} from '../../../supabase/functions/_shared/oauth/return-url.ts'

const allowed = [
  'https://app.example.com/settings',
  'https://other.example.com',
  'http://127.0.0.1',
]

describe('a return address', () => {
  it.each([
    'https://app.example.com/settings',
    'https://app.example.com/settings/',
    'https://app.example.com/settings/accounts?tab=2',
    'https://other.example.com/',
    'https://other.example.com/any/page',
    'http://127.0.0.1:5173/settings', // a port of its own on this machine (RFC 8252, 7.3)
    'http://127.0.0.1/',
  ])('%s is allowed', (url) => {
    expect(() => checkReturnUrl(url, allowed)).not.toThrow()
  })

  it.each([
    'https://app.example.com/',
    'https://app.example.com/settings-of-others',
    'https://app.example.com/settings/../admin',
    'https://app.example.com/settings%2f..%2fadmin/../../x',
    'https://app.example.com:8443/settings',
    'http://app.example.com/settings',
    'https://app.example.com.evil.example/settings',
    'https://app.example.com@evil.example/settings',
    'https://user:pass@app.example.com/settings',
    'https://evil.example/https://app.example.com/settings',
    'https://other.example.com.evil.example/',
    'https://127.0.0.1/',
    'http://127.0.0.1.evil.example/',
    'http://localhost/',
    'https://app.example.com/settings#fragment',
    'javascript:alert(1)//https://app.example.com/settings',
    'data:text/html,x',
    '//app.example.com/settings',
    '/settings',
    '',
  ])('%s is refused', (url) => {
    expect(() => checkReturnUrl(url, allowed)).toThrow(
      expect.objectContaining({ code: 'return_url_refused' }),
    )
  })

  it('is refused while none is allowed, and the error says what to set', () => {
    expect(() => checkReturnUrl('https://app.example.com/', [])).toThrow(/PLUGBOARD_RETURN_URLS/)
  })

  it('gets what came of it beside its own query', () => {
    const url = withOutcome('https://app.example.com/settings?tab=2&error=old&integration_id=old', {
      error: 'oauth_denied',
      error_description: 'Access was denied & nothing connected',
    })

    expect(Object.fromEntries(new URL(url).searchParams)).toEqual({
      tab: '2',
      error: 'oauth_denied',
      error_description: 'Access was denied & nothing connected',
    })
  })
})
