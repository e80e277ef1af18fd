import { describe, expect, it } from 'vitest'
import { startPlatform } from './oauth-platform.ts'

describe('the control API of the authorization server', () => {
  it('does over HTTP what the methods do', async () => {
    const platform = await startPlatform()
    const { access_token, refresh_token } = await platform.connect('ada')
    const bob = await platform.connect('bob')

    await platform.post('expire-access-tokens', { account: 'ada' })
    expect(platform.server.verify(access_token)).toBeNull()
    expect(platform.server.verify(bob.access_token)).not.toBeNull()

    await platform.post('fail-next-token-call', { status: 500 })
    expect((await platform.refresh(refresh_token!)).status).toBe(500)
    expect((await platform.refresh(refresh_token!)).status).toBe(200)

    await platform.post('revoke-grants')
    expect(platform.server.verify(bob.access_token)).toBeNull()

    await platform.post('access-token-seconds', { seconds: 120 })
    expect((await platform.connect()).expires_in).toBe(120)

    await platform.post('deny-next-consent')
    expect((await platform.consent()).callback.searchParams.get('error')).toBe('access_denied')

    const counters = await fetch(`${platform.origin}/_control/oauth/counters`)
    expect(await counters.json()).toEqual(platform.control.counters())
    expect(platform.control.counters()).toMatchObject({ codes_exchanged: 3, consents_denied: 1 })
  })

  it.each([
    ['expire-access-tokens', { acount: 'ada' }, 400],
    ['fail-next-token-call', {}, 400],
    ['set-on-fire', {}, 404],
  ])('refuses %s with %j', async (verb, body, status) => {
    const platform = await startPlatform()

    const answer = await platform.post(verb, body)
    const right = await platform.post('expire-access-tokens', { account: 'ada' })

    expect([answer.status, right.status]).toEqual([status, 200])
  })
})
