// Is an account tried before it is kept, within the time a caller waits, and who is at fault if it fails?
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineConnector } from '../../../supabase/functions/_shared/connectors/define-connector.ts'
import { noAuth } from '../../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { proveAccount } from '../../../supabase/functions/_shared/integrations/prove-account.ts'
import { connectAccount } from '../../../supabase/functions/_shared/integrations/connect-account.ts'
import { updateIntegration } from '../../../supabase/functions/_shared/integrations/update-integration.ts'
import { ACME } from '../../support/acme-connector.ts'
import { answering, loopbackServer } from '../../support/loopback-server.ts'
import { feedIntegration, outsideWith } from './outside-with.ts'
import { testEnvironment } from '../../support/environment.ts'

const organization_id = '22222222-2222-4222-8222-222222222222'
const stalling = () => {}

function connectFeed(url: string, parts: Parameters<typeof outsideWith>[1] = {}) {
  const { outside, calls } = outsideWith({ connect_integration: () => feedIntegration(url) }, parts)
  const input = { organization_id, connector: 'json-feed', settings: { url }, credentials: {} }
  return { calls, connected: connectAccount(outside, input, null) }
}

describe('the name of an account', () => {
  it.each([
    ['Acme', 'Acme'],
    ['  Acme ', 'Acme'],
    ['n'.repeat(201), 'n'.repeat(200)],
    [' ', undefined],
    ['', undefined],
    [`${'n'.repeat(199)}😀`, `${'n'.repeat(199)}\ufffd`],
  ])('that the platform tells fits the column: %j', async (told, kept) => {
    const { url } = await loopbackServer(answering(200, {}, JSON.stringify({ name: told })))
    const connector = defineConnector({
      ...ACME,
      settings: z.strictObject({}),
      auth: noAuth(),
      baseUrl: url,
      accountId: () => 'one',
      check: { path: '/', accountName: (body) => (body as { name: string }).name },
      streams: {},
    })
    const { outside } = outsideWith({})

    const proved = await proveAccount(
      outside,
      connector,
      { settings: {}, credentials: {}, account: {} },
      organization_id,
    )

    expect(proved.account_name).toBe(kept)
  })
})

describe('connecting', () => {
  it('keeps an account that answers', async () => {
    const { url } = await loopbackServer(answering(200, {}, '[]'))

    const { calls, connected } = connectFeed(url)

    await expect(connected).resolves.toMatchObject({ status: 'connected' })
    expect(calls.map(({ name }) => name)).toEqual([
      'acquire_request',
      'find_integration',
      'connect_integration',
    ])
  })

  it('gives up a platform that stalls, names it and keeps nothing', async () => {
    const { url } = await loopbackServer(stalling)

    const { calls, connected } = connectFeed(url, { answerWithinMs: 50 })

    await expect(connected).rejects.toMatchObject({
      code: 'provider_timeout',
      detail: 'JSON product feed did not answer within 0.05 s.',
    })
    expect(calls.map(({ name }) => name)).not.toContain('connect_integration')
  })

  it("draws on the organization's one budget, whatever is typed", async () => {
    const { url } = await loopbackServer(answering(200, {}, '[]'))

    const tries = [connectFeed(`${url}/one`), connectFeed(`${url}/two`)]
    await Promise.all(tries.map(({ connected }) => connected))

    for (const { calls } of tries) {
      expect(calls[0]).toMatchObject({
        name: 'acquire_request',
        args: { p_key: `json-feed:unproved:${organization_id}` },
      })
    }
  })

  it.each([401, 403, 404])(
    'a platform without credentials that answers %i: the address is wrong',
    async (status) => {
      const { url } = await loopbackServer(answering(status))

      const { connected } = connectFeed(url)

      await expect(connected).rejects.toMatchObject({
        code: 'invalid_settings',
        errors: [{ path: 'settings.url' }],
      })
    },
  )

  it('a platform that refuses credentials: the credentials are wrong', async () => {
    const { url } = await loopbackServer(answering(401))
    const { outside } = outsideWith({}, {
      environment: testEnvironment({ CONNECTOR_OVERRIDES: { treez: { baseUrl: url } } }),
    })

    const connected = connectAccount(outside, {
      organization_id,
      connector: 'treez',
      settings: { dispensary: 'main' },
      credentials: { client_id: 'client', api_key: 'wrong' },
    }, null)

    await expect(connected).rejects.toMatchObject({
      code: 'invalid_credentials',
      errors: [{ path: 'credentials' }],
    })
  })
})

describe('updating', () => {
  const open = (integration: ReturnType<typeof feedIntegration>) => ({
    open_integration: () => ({ integration, credentials_id: null, credentials: {}, token: null }),
    update_integration: () => integration,
  })
  const change = (url: string) => ({
    integration_id: '11111111-1111-4111-8111-111111111111',
    settings: { url, currency: 'EUR' },
  })

  it('tries new settings first, within the budget of the organization', async () => {
    const { url, requests } = await loopbackServer(answering(200, {}, '[]'))
    const { outside, calls } = outsideWith(open(feedIntegration(url)))

    await updateIntegration(outside, change(url), null)

    expect(requests).toHaveLength(1)
    expect(calls[1]?.args).toMatchObject({ p_key: `json-feed:unproved:${organization_id}` })
    expect(calls.at(-1)?.name).toBe('update_integration')
  })

  it('refuses a disconnected integration before anything is called', async () => {
    const { url, requests } = await loopbackServer(answering(200, {}, '[]'))
    const { outside, calls } = outsideWith(open(feedIntegration(url, { status: 'disconnected' })))

    await expect(updateIntegration(outside, change(url), null))
      .rejects.toMatchObject({ code: 'integration_disconnected' })
    expect(requests).toEqual([])
    expect(calls.map(({ name }) => name)).toEqual(['open_integration'])
  })

  it('gives up a platform that stalls and changes nothing', async () => {
    const { url } = await loopbackServer(stalling)
    const { outside, calls } = outsideWith(open(feedIntegration(url)), { answerWithinMs: 50 })

    await expect(updateIntegration(outside, change(url), null))
      .rejects.toMatchObject({ code: 'provider_timeout' })
    expect(calls.map(({ name }) => name)).not.toContain('update_integration')
  })
})
