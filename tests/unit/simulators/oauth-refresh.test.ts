import { describe, expect, it, vi } from 'vitest'
import { granted, refusal, startPlatform } from './oauth-platform.ts'

const revoked = { status: 400, error: 'invalid_grant' }

describe('a refresh with rotation', () => {
  it('gives new tokens each time', async () => {
    const platform = await startPlatform()
    const first = await platform.connect()

    const second = await granted(await platform.refresh(first.refresh_token!))
    const third = await granted(await platform.refresh(second.refresh_token))

    expect(new Set([first, second, third].map((tokens) => tokens.refresh_token)).size).toBe(3)
    expect(platform.server.verify(third.access_token)).not.toBeNull()
    expect(platform.control.counters())
      .toMatchObject({ refreshes_granted: 2, refreshes_refused: 0 })
  })

  it('ends the whole grant when a used token comes again, and no other grant', async () => {
    const platform = await startPlatform()
    const other = await platform.connect('bob@acme.example')
    const first = await platform.connect()
    const second = await granted(await platform.refresh(first.refresh_token!))

    const again = await platform.refresh(first.refresh_token!)

    expect(await refusal(again)).toEqual(revoked)
    expect(await refusal(await platform.refresh(second.refresh_token))).toEqual(revoked)
    expect(platform.server.verify(second.access_token)).toBeNull()
    await granted(await platform.refresh(other.refresh_token!))
  })

  it('lets one of twenty at once through', async () => {
    const platform = await startPlatform()
    const { refresh_token } = await platform.connect()

    const arrived = vi.spyOn(platform.faults, 'next')
    const release = platform.control.holdTokenEndpoint()
    const calls = Array.from({ length: 20 }, () => platform.refresh(refresh_token!))
    await vi.waitFor(() => expect(arrived).toHaveBeenCalledTimes(20))
    release()
    const answers = await Promise.all(calls)

    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(400)])
    expect(platform.control.counters())
      .toMatchObject({ refreshes_granted: 1, refreshes_refused: 19 })
  })

  it('has happened even if its answer is lost on the way', async () => {
    const platform = await startPlatform()
    const { refresh_token } = await platform.connect()

    platform.control.loseNextTokenAnswer()
    await expect(platform.refresh(refresh_token!)).rejects.toThrow('fetch failed')

    expect(platform.control.counters().refreshes_granted).toBe(1)
    expect(platform.log.entries.at(-1)).toMatchObject({ status: 0, fault: 'lost_answer' })
    expect(await refusal(await platform.refresh(refresh_token!))).toEqual(revoked)
  })
})

describe('a refresh without rotation', () => {
  it('keeps the refresh token, however often and however many at once', async () => {
    const platform = await startPlatform({ rotation: false })
    const { refresh_token, access_token } = await platform.connect()

    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => await granted(await platform.refresh(refresh_token!))),
    )

    expect(answers.every((tokens) => tokens.refresh_token === refresh_token)).toBe(true)
    expect(platform.control.counters())
      .toMatchObject({ refreshes_granted: 20, refreshes_refused: 0 })
    expect(platform.server.verify(access_token)).not.toBeNull()
  })

  it('ends the access token before it where the platform does so', async () => {
    const platform = await startPlatform({ rotation: false, old_access_token_dies: true })
    const other = await platform.connect('bob@acme.example')
    const first = await platform.connect()

    const second = await granted(await platform.refresh(first.refresh_token!))

    expect(platform.server.verify(first.access_token)).toBeNull()
    expect(platform.server.verify(second.access_token)).not.toBeNull()
    expect(platform.server.verify(other.access_token)).not.toBeNull()
  })
})

describe('time', () => {
  it('ends access tokens first and refresh tokens later', async () => {
    let now = Date.now()
    const platform = await startPlatform({
      rotation: false,
      access_token_seconds: 600,
      refresh_token_seconds: 86_400,
      now: () => new Date(now),
    })
    const { access_token, refresh_token } = await platform.connect()

    now += 599_000
    expect(platform.server.verify(access_token)).not.toBeNull()
    now += 2_000
    expect(platform.server.verify(access_token)).toBeNull()
    const fresh = await granted(await platform.refresh(refresh_token!))
    expect(platform.server.verify(fresh.access_token)).not.toBeNull()
    now += 86_400_000
    expect(await refusal(await platform.refresh(refresh_token!))).toEqual(revoked)
  })

  it('can be cut short, for one account or for all', async () => {
    const platform = await startPlatform()
    const [ada, bob] = [await platform.connect('ada'), await platform.connect('bob')]
    const alive = () =>
      [ada, bob].map((tokens) => platform.server.verify(tokens.access_token) !== null)

    platform.control.expireAccessTokens({ account: 'ada' })
    expect(alive()).toEqual([false, true])
    platform.control.expireAccessTokens({ access_token: bob.access_token })
    expect(alive()).toEqual([false, false])

    platform.control.expireRefreshTokens({ refresh_token: ada.refresh_token! })
    expect(await refusal(await platform.refresh(ada.refresh_token!))).toEqual(revoked)
    await granted(await platform.refresh(bob.refresh_token!))
  })

  it('is as long as told, for tokens issued from then on', async () => {
    const platform = await startPlatform({ rotation: false })
    const { refresh_token, expires_in } = await platform.connect()

    platform.control.setLifetimes({ access_token_seconds: 120 })

    expect(expires_in).toBe(3600)
    expect((await granted(await platform.refresh(refresh_token!))).expires_in).toBe(120)
  })
})

describe('the end of a grant', () => {
  it('comes by revocation, of one grant', async () => {
    const platform = await startPlatform()
    const [ada, bob] = [await platform.connect('ada'), await platform.connect('bob')]

    const answer = await platform.revoke(ada.refresh_token!)

    expect(answer.status).toBe(200)
    expect(platform.server.verify(ada.access_token)).toBeNull()
    expect(await refusal(await platform.refresh(ada.refresh_token!))).toEqual(revoked)
    expect(platform.server.verify(bob.access_token)).not.toBeNull()
    expect(platform.control.counters().revocations).toBe(1)
  })

  it('comes by the person, at the platform', async () => {
    const platform = await startPlatform()
    const [ada, bob] = [await platform.connect('ada'), await platform.connect('bob')]

    platform.control.revokeGrants({ account: 'ada' })

    expect(platform.server.verify(ada.access_token)).toBeNull()
    expect(await refusal(await platform.refresh(ada.refresh_token!))).toEqual(revoked)
    await granted(await platform.refresh(bob.refresh_token!))
    expect(platform.control.consents().map(({ account }) => account)).toEqual(['bob'])
    expect(platform.control.counters().revocations).toBe(0)
  })

  it('is no route where the platform has no revocation', async () => {
    const { revocation_path: _, ...rest } = (await startPlatform()).options
    const platform = await startPlatform({ ...rest, revocation_path: undefined! })
    const { access_token } = await platform.connect()

    const answer = await fetch(`${platform.origin}/oauth2/v1/revoke`, { method: 'POST' })

    expect(answer.status).toBe(404)
    expect(platform.server.verify(access_token)).not.toBeNull()
  })
})

describe('trouble at the token endpoint', () => {
  it('may hold every call until it is let go', async () => {
    const platform = await startPlatform({ rotation: false })
    const { refresh_token } = await platform.connect()

    const arrived = vi.spyOn(platform.faults, 'next')
    const release = platform.control.holdTokenEndpoint()
    const held = [platform.refresh(refresh_token!), platform.refresh(refresh_token!)]
    await vi.waitFor(() => expect(arrived).toHaveBeenCalledTimes(2))
    expect((await fetch(`${platform.origin}/elsewhere`)).status).toBe(404)
    const before = platform.control.counters().refreshes_granted
    release()
    await Promise.all(held.map(async (answer) => await granted(await answer)))

    expect(before).toBe(0)
    expect(platform.control.counters().refreshes_granted).toBe(2)
    await granted(await platform.refresh(refresh_token!))
  })

  it('may fail the next call, which leaves the tokens as they were', async () => {
    const platform = await startPlatform()
    const { refresh_token } = await platform.connect()

    platform.control.failNextTokenCall({ status: 503, headers: { 'retry-after': '7' } })
    const failed = await platform.refresh(refresh_token!)

    expect(failed.headers.get('retry-after')).toBe('7')
    expect(await refusal(failed)).toEqual({ status: 503, error: 'temporarily_unavailable' })
    expect(platform.control.counters()).toMatchObject({
      refreshes_granted: 0,
      refreshes_refused: 0,
    })
    await granted(await platform.refresh(refresh_token!))
  })

  it('may cut an answer in half', async () => {
    const platform = await startPlatform({ rotation: false })
    const { refresh_token } = await platform.connect()

    platform.faults.set({ kind: 'cut_body', path: '/oauth2/v1/token' })
    const cut = await platform.refresh(refresh_token!)

    await expect(cut.text()).rejects.toThrow('terminated')
    await granted(await platform.refresh(refresh_token!))
  })

  it('is in the log beside the calls that went well', async () => {
    const platform = await startPlatform()
    const { refresh_token } = await platform.connect()
    platform.log.clear()

    platform.control.failNextTokenCall({ status: 500 })
    await platform.refresh(refresh_token!)
    await platform.refresh(refresh_token!)
    await platform.refresh('unknown')

    expect(
      platform.log.entries.map(({ method, path, status, fault }) => ({
        method,
        path,
        status,
        fault,
      })),
    )
      .toEqual([
        { method: 'POST', path: '/oauth2/v1/token', status: 500, fault: 'status' },
        { method: 'POST', path: '/oauth2/v1/token', status: 200, fault: null },
        { method: 'POST', path: '/oauth2/v1/token', status: 400, fault: null },
      ])
  })
})
