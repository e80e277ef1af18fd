// How connectors subscribe our app: each call against the simulated platform, with its quirks.
import { createHmac } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startXSimulator } from '../../scripts/simulators/x.ts'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { hubspot } from '../../supabase/functions/_shared/connectors/hubspot.ts'
import { slack } from '../../supabase/functions/_shared/connectors/slack.ts'
import { x } from '../../supabase/functions/_shared/connectors/x.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { appSubscriptionCalls } from '../../supabase/functions/_shared/webhooks/app-subscription-calls.ts'
import type { AppSecrets } from '../../supabase/functions/_shared/webhooks/scheme.ts'
import { testEnvironment } from '../support/environment.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { loopbackServer } from '../support/loopback-server.ts'

const ADDRESS = 'https://project.example/functions/v1/webhook-receive/hubspot'

function callsOf(connector: Connector, baseUrl: string, app: AppSecrets) {
  const clock = fakeClock('2026-11-20T09:00:00Z')
  return appSubscriptionCalls({
    connector,
    declared: connector.webhooks!.appSubscriptions!,
    app,
    http: createHttpClient({ clock, allowPrivateNetworks: true }),
    outside: {
      clock,
      environment: testEnvironment({ CONNECTOR_OVERRIDES: { [connector.slug]: { baseUrl } } }),
    },
  })
}

describe('HubSpot', () => {
  async function open(changes: Partial<AppSecrets> = {}) {
    const simulator = await startHubSpotSimulator({ contacts: 3 })
    onTestFinished(() => simulator.stop())
    const calls = callsOf(hubspot, simulator.baseUrl, { ...simulator.client, ...changes })
    return { simulator, calls, wanted: hubspot.webhooks!.appSubscriptions!.parts.wanted(['62515']) }
  }

  it('has no webhook before there is a target, then one', async () => {
    const { simulator, calls } = await open()

    expect(await calls.listWebhooks()).toEqual([])
    const id = await calls.createWebhook(ADDRESS)

    expect(simulator.webhooks.target()).toBe(ADDRESS)
    expect(await calls.listWebhooks()).toEqual([{ id, address: ADDRESS, works: true }])
  })

  it('subscribes the app to each kind of event and to each property that is synced', async () => {
    const { simulator, calls, wanted } = await open()

    for (const part of wanted) await calls.createPart(part, 'settings')

    expect((await calls.listParts('settings')).map(({ name }) => name))
      .toEqual(wanted.map(({ name }) => name))
    expect(simulator.webhooks.subscriptions).toContainEqual({
      id: expect.any(Number),
      eventType: 'contact.propertyChange',
      propertyName: 'company',
      active: true,
    })
    expect(simulator.webhooks.subscriptions.map(({ eventType }) => eventType))
      .toContain('contact.privacyDeletion')
  })

  it('activates a subscription that was turned off', async () => {
    const { simulator, calls, wanted } = await open()
    const id = await calls.createPart(wanted[0]!, 'settings')
    simulator.webhooks.subscriptions[0]!.active = false

    expect(await calls.listParts('settings')).toMatchObject([{ id, works: false }])
    await calls.repairPart(id)

    expect(await calls.listParts('settings')).toMatchObject([{ id, works: true }])
  })

  it('removes what is gone already', async () => {
    const { calls, wanted } = await open()
    const webhook = await calls.createWebhook(ADDRESS)
    const part = await calls.createPart(wanted[0]!, webhook)

    for (const _ of [1, 2]) {
      await calls.removePart(part)
      await calls.removeWebhook(webhook)
    }

    expect(await calls.listWebhooks()).toEqual([])
    expect(await calls.listParts(webhook)).toEqual([])
  })

  it('refuses another developer key', async () => {
    const { calls } = await open({ developer_key: 'of somebody else' })

    await expect(calls.listWebhooks()).rejects.toMatchObject({ code: 'provider_unauthorized' })
  })

  it('subscribes for accounts that signed in at our app, not for private apps', () => {
    const { isOfApp } = hubspot.webhooks!.appSubscriptions!

    expect([isOfApp({ auth: 'oauth' }), isOfApp({ auth: 'private_app' })]).toEqual([true, false])
  })
})

describe('X', () => {
  async function open(changes: Partial<AppSecrets> = {}) {
    const simulator = await startXSimulator({ posts: 3, mentions: 3 })
    // our door, as far as X looks at it
    const door = await loopbackServer((request, response) => {
      const word = new URL(request.url!, 'http://door').searchParams.get('crc_token') ?? ''
      const signed = createHmac('sha256', simulator.client.signing_secret).update(word)
      response.writeHead(request.url!.startsWith('/closed') ? 401 : 200)
        .end(JSON.stringify({ response_token: `sha256=${signed.digest('base64')}` }))
    })
    onTestFinished(() => simulator.stop())
    const calls = callsOf(x, simulator.baseUrl, { ...simulator.client, ...changes })
    return { simulator, calls, door: `${door.url}/x` }
  }
  const PART = { name: 'post.create', account: '2244994945' }

  it('takes an address that answers its check, with the app’s own token', async () => {
    const { simulator, calls, door } = await open()

    expect(await calls.listWebhooks()).toEqual([])
    const id = await calls.createWebhook(door)

    expect(await calls.listWebhooks()).toEqual([{ id, address: door, works: true }])
    expect(simulator.requests.filter(({ path }) => path.startsWith('/oauth2/token'))).toHaveLength(
      1,
    )
  })

  it('refuses an address that does not, and the same one twice', async () => {
    const { calls, door } = await open()
    await calls.createWebhook(door)

    for (const address of [door.replace('/x', '/closed'), door]) {
      await expect(calls.createWebhook(address)).rejects.toMatchObject({
        code: 'provider_rejected',
      })
    }
  })

  it('checks an invalid webhook again when it is asked to', async () => {
    const { simulator, calls, door } = await open()
    const id = await calls.createWebhook(door)
    simulator.webhooks[0]!.valid = false

    expect(await calls.listWebhooks()).toMatchObject([{ works: false }])
    await calls.repairWebhook(id)

    expect(await calls.listWebhooks()).toMatchObject([{ id, works: true }])
  })

  it('lists what a webhook brings, page by page, and nothing of another webhook', async () => {
    const { simulator, calls, door } = await open()
    const id = await calls.createWebhook(door)
    const made = await calls.createPart(PART, id)
    const [ours] = simulator.subscriptions
    simulator.subscriptions.push(
      { ...ours!, subscription_id: '1', webhook_id: '2' },
      ...Array.from({ length: 1_000 }, (_, index) => ({
        ...ours!,
        subscription_id: String(index + 10),
        tag: 'by hand',
      })),
    )

    const parts = await calls.listParts(id)

    expect(parts).toHaveLength(1_001)
    expect(parts[0]).toEqual({ ...PART, id: made, works: true, isOurs: true })
    expect(parts[1]).toMatchObject({ ...PART, isOurs: false })
  })

  it('removes what is gone already', async () => {
    const { calls, door } = await open()
    const webhook = await calls.createWebhook(door)
    const part = await calls.createPart(PART, webhook)

    for (const _ of [1, 2]) {
      await calls.removePart(part)
      await calls.removeWebhook(webhook)
    }

    expect(await calls.listParts(webhook)).toEqual([])
    expect(await calls.listWebhooks()).toEqual([])
  })

  it('wants a subscription for each account and kind of activity that is read', () => {
    const wanted = x.webhooks!.appSubscriptions!.parts.wanted(['1', '2'])

    expect(wanted.map(({ account, name }) => `${account} ${name}`).sort()).toEqual([
      '1 post.create',
      '1 post.delete',
      '1 post.mention.create',
      '2 post.create',
      '2 post.delete',
      '2 post.mention.create',
    ])
  })

  it('refuses other keys of the app', async () => {
    const { calls } = await open({ api_key: 'of another app' })

    await expect(calls.listWebhooks()).rejects.toMatchObject({ code: 'provider_unauthorized' })
  })
})

it.each([
  ['hubspot', hubspot],
  ['x', x],
])('%s does not take an answer without its list for an empty one', (_, connector) => {
  const { webhook, parts } = connector.webhooks!.appSubscriptions!
  const badAnswer = expect.objectContaining({ code: 'provider_bad_answer' })

  for (const body of [undefined, null, {}, [], { data: null }, { results: {} }]) {
    const answer = { status: 200, body, headers: new Headers(), length: 2 }
    expect(() => webhook.readList(answer)).toThrow(badAnswer)
    expect(() => webhook.readCreated(body)).toThrow(badAnswer)
    expect(() => parts.readList(answer, '1')).toThrow(badAnswer)
    expect(() => parts.readCreated(body)).toThrow(badAnswer)
  }
})

it('Slack, which has no API for it, declares nothing to subscribe', () => {
  expect(slack.webhooks!.appSubscriptions).toBeUndefined()
})
