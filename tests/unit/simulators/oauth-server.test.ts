import * as oauth from 'oauth4webapi'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { browser } from '../../../scripts/simulators/parts/oauth/browser.ts'
import { granted, REDIRECT_URI, refusal, startPlatform } from './oauth-platform.ts'

describe('a person who is asked', () => {
  it('comes back with a code that is worth tokens', async () => {
    const platform = await startPlatform()

    const asked = await platform.consent()
    const tokens = await platform.read(await platform.exchange(asked))

    expect(asked.landed.chain[0]).toBe(asked.url)
    expect([...asked.callback.searchParams.keys()].sort()).toEqual(['code', 'state'])
    expect(tokens).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      expires_in: 3600,
      scope: 'products:read',
      token_type: 'bearer',
    })
    expect(platform.server.verify(tokens.access_token)).toMatchObject({
      account: 'ada@acme.example',
      scopes: ['products:read'],
    })
    expect(platform.server.verify('another')).toBeNull()
  })

  it('comes back with a refusal after pressing Deny, or when told to refuse', async () => {
    const platform = await startPlatform()

    const pressed = await platform.consent({ decision: 'deny' })
    platform.control.denyNextConsent()
    const told = await platform.consent()
    const agreed = await platform.consent()

    for (const { callback, state } of [pressed, told]) {
      expect(callback.searchParams.get('error')).toBe('access_denied')
      expect(() => oauth.validateAuthResponse(platform.as, platform.client, callback, state))
        .toThrow(oauth.AuthorizationResponseError)
    }
    expect(agreed.callback.searchParams.get('code')).toBeTruthy()
    expect(platform.control.counters()).toMatchObject({ consents_given: 1, consents_denied: 2 })
  })

  it('connects several accounts in one browser, each with tokens of its own', async () => {
    const platform = await startPlatform()
    const same = browser()

    const accounts = ['ada@acme.example', 'bob@acme.example', 'ada@acme.example']
    const consents = []
    for (const account of accounts) consents.push(await platform.consent({ account }, {}, same))
    const tokens = await Promise.all(
      consents.map(async (asked) => await platform.read(await platform.exchange(asked))),
    )

    const known = tokens.map(({ access_token }) => platform.server.verify(access_token))
    expect(known.map((consent) => consent?.account)).toEqual(accounts)
    expect(new Set(known.map((consent) => consent?.grant)).size).toBe(3)
  })

  it('may have two questions open at once', async () => {
    const platform = await startPlatform()
    const [tabs, stopAt] = [browser(), REDIRECT_URI]
    const first = await platform.ask()
    const second = await platform.ask()
    const [one, two] = [await tabs.open(first.url), await tabs.open(second.url)]

    const landed = [
      await tabs.press(two, 'allow', { account: 'bob' }, { stopAt }),
      await tabs.press(one, 'allow', { account: 'ada' }, { stopAt }),
    ]

    const states = landed.map((page) => new URL(page.url).searchParams.get('state'))
    expect(states).toEqual([second.state, first.state])
    expect(platform.control.consents().map(({ account }) => account)).toEqual(['bob', 'ada'])
  })

  it('answers once: pressing again, or from another browser, is no consent', async () => {
    const platform = await startPlatform()
    const [one, stopAt] = [browser(), REDIRECT_URI]
    const question = await one.open((await platform.ask()).url)

    const stranger = await browser().press(question, 'allow', {}, { stopAt })
    const first = await one.press(question, 'allow', {}, { stopAt })
    const again = await one.press(question, 'allow', {}, { stopAt })

    expect([stranger.status, again.status]).toEqual([400, 400])
    expect(new URL(first.url).searchParams.get('code')).toBeTruthy()
    expect(platform.control.counters().consents_given).toBe(1)
  })

  it('is not sent to an address the app did not register, nor asked by an unknown app', async () => {
    const platform = await startPlatform()
    const open = async (parameters: Record<string, string>) =>
      await browser().open((await platform.ask(parameters)).url)

    const elsewhere = await open({ redirect_uri: 'https://evil.example/oauth-callback' })
    const longer = await open({ redirect_uri: `${REDIRECT_URI}/` })
    const stranger = await open({ client_id: 'somebody' })
    const right = await open({})

    for (const page of [elsewhere, longer, stranger]) {
      expect(page).toMatchObject({ status: 400, chain: [page.url] })
    }
    expect(elsewhere.body).toContain('invalid_redirect_uri')
    expect(stranger.body).toContain('invalid_client')
    expect(right.status).toBe(200)
    expect(right.body).toContain('Allow')
  })

  it('is sent to an address registered after the start', async () => {
    const platform = await startPlatform({ redirect_uris: [] })
    const open = async () => await browser().open((await platform.ask()).url)

    const before = await open()
    platform.server.setRedirectUris([REDIRECT_URI])
    const after = await open()
    platform.server.setRedirectUris('any')
    const any = await browser().open(
      (await platform.ask({ redirect_uri: 'http://127.0.0.1:54321/' })).url,
    )

    expect([before.status, after.status, any.status]).toEqual([400, 200, 200])
  })
})

describe('the exchange of a code', () => {
  it.each([
    ['a wrong verifier', { verifier: 'x'.repeat(43) }, 400, 'invalid_grant'],
    ['no verifier', { verifier: oauth.nopkce }, 400, 'invalid_grant'],
    ['another redirect URI', { redirect_uri: 'https://app.example/' }, 400, 'invalid_grant'],
    ['a wrong secret', { secret: 'guessed' }, 401, 'invalid_client'],
  ])('is refused with %s, and the code stays good for the right request', async (
    _what,
    changes,
    status,
    error,
  ) => {
    const platform = await startPlatform()
    const asked = await platform.consent()

    const refused = await platform.exchange(asked, changes)

    expect(await refusal(refused)).toEqual({ status, error })
    await granted(await platform.exchange(asked))
    expect(platform.control.counters()).toMatchObject({ codes_refused: 1, codes_exchanged: 1 })
  })

  it('is good once: the second time ends what the first one gave', async () => {
    const platform = await startPlatform()
    const other = await platform.connect('bob@acme.example')
    const asked = await platform.consent()
    const tokens = await granted(await platform.exchange(asked))
    expect(platform.server.verify(tokens.access_token)).not.toBeNull()

    const again = await platform.exchange(asked)

    expect(await refusal(again)).toEqual({ status: 400, error: 'invalid_grant' })
    expect(platform.server.verify(tokens.access_token)).toBeNull()
    expect(await refusal(await platform.refresh(tokens.refresh_token)))
      .toEqual({ status: 400, error: 'invalid_grant' })
    expect(platform.server.verify(other.access_token)).not.toBeNull()
  })

  it('comes too late once the code has expired, on the clock of the platform', async () => {
    let now = Date.now()
    const platform = await startPlatform({ code_seconds: 60, now: () => new Date(now) })
    const [inTime, late] = [await platform.consent(), await platform.consent()]

    now += 50_000
    const first = await platform.exchange(inTime)
    now += 11_000
    const second = await platform.exchange(late)

    await granted(first)
    expect(await refusal(second)).toEqual({ status: 400, error: 'invalid_grant' })
  })

  it('takes the way of client authentication that was agreed on, and no other', async () => {
    const post = await startPlatform({
      client: {
        client_id: 'x',
        client_secret: 'y',
        token_endpoint_auth_method: 'client_secret_post',
      },
    })
    const asked = await post.consent()
    const basic = await fetch(post.as.token_endpoint!, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('x:y')}` },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: asked.callback.searchParams.get('code')!,
        redirect_uri: REDIRECT_URI,
        code_verifier: asked.verifier,
      }),
    })

    expect(await refusal(basic)).toEqual({ status: 401, error: 'invalid_client' })
    await granted(await post.exchange(asked))
  })

  it('needs no secret of a public client', async () => {
    const platform = await startPlatform({
      client: { client_id: 'app', token_endpoint_auth_method: 'none' },
    })

    expect((await platform.connect()).access_token).toBeTruthy()
  })

  it('says nothing on the console, which belongs to the tests', async () => {
    const said = (['log', 'info', 'warn', 'error'] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => undefined)
    )
    onTestFinished(() => said.forEach((spy) => spy.mockRestore()))
    const platform = await startPlatform({ scopes: ['openid', 'offline_access'] })

    const { refresh_token } = await platform.connect(undefined, { scope: null })
    await platform.revoke(refresh_token!)
    await platform.refresh(refresh_token!)

    expect(said.flatMap((spy) => spy.mock.calls)).toEqual([])
  })
})
