// How connectors subscribe: each call against the simulated platform, with its quirks.
import { describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startStripeSimulator } from '../../scripts/simulators/stripe.ts'
import type { Account } from '../../supabase/functions/_shared/connectors/account.ts'
import { airtable } from '../../supabase/functions/_shared/connectors/airtable.ts'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { hubspot } from '../../supabase/functions/_shared/connectors/hubspot.ts'
import { mailchimp } from '../../supabase/functions/_shared/connectors/mailchimp.ts'
import { shopify } from '../../supabase/functions/_shared/connectors/shopify.ts'
import { slack } from '../../supabase/functions/_shared/connectors/slack.ts'
import { stripe } from '../../supabase/functions/_shared/connectors/stripe.ts'
import type { ListedSubscription } from '../../supabase/functions/_shared/connectors/vocabulary/subscriptions.ts'
import { x } from '../../supabase/functions/_shared/connectors/x.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { loopbackServer } from '../support/loopback-server.ts'
import { openSimulated, signIn } from './simulated-account.ts'

const NOW = '2026-11-20T09:00:00Z'
const ADDRESS = 'https://project.example/functions/v1/webhook-receive/4cf8a3b6-0000-4000-8000-1'

/** One call each, as the engine makes it. */
function subscriber(connector: Connector, account: Account, settings = {}, hasSecret = false) {
  const { subscriptions } = connector.webhooks!
  const declared = subscriptions!
  const wanted = declared.wanted({ settings, account: {}, hasSecret })
  return {
    wanted,
    async list() {
      const found: ListedSubscription[] = []
      let after: string | null = null
      do {
        const { body } = await account.call(declared.list(after))
        const page = declared.readList(body)
        found.push(...page.subscriptions)
        after = page.next
      } while (after !== null)
      return found
    },
    async create(index = 0, address = ADDRESS) {
      const { body } = await account.call(declared.create(wanted[index]!, address), {
        repeatable: false,
      })
      return declared.readCreated(body)
    },
    async renew(id: string) {
      const { body } = await account.call(declared.renewal!.call(id))
      return declared.renewal!.expiresAt(body)
    },
    remove: (id: string) => account.call(declared.remove(id)),
  }
}

describe('Stripe', () => {
  async function open(options: Parameters<typeof startStripeSimulator>[0] = {}) {
    const simulator = await startStripeSimulator({ customers: 3, payments: 3, ...options })
    onTestFinished(() => simulator.stop())
    const { settings, credentials } = simulator
    const account = openSimulated({
      connector: stripe,
      simulator,
      clock: fakeClock(NOW),
      settings,
      credentials,
    })
    return { simulator, ...subscriber(stripe, account) }
  }

  it('makes one endpoint with a secret that no list shows', async () => {
    const { simulator, wanted, create, list } = await open()

    const made = await create()

    expect(made).toEqual({
      id: expect.stringMatching(/^we_/),
      secret: simulator.webhooks[0]!.secret,
      expires_at: null,
    })
    expect(await list()).toEqual([{
      id: made.id,
      address: ADDRESS,
      name: wanted[0]!.name,
      spec: wanted[0]!.spec,
      works: true,
      expires_at: null,
    }])
    expect(simulator.webhooks[0]).toMatchObject({ api_version: '2026-07-29.dahlia' })
    expect(simulator.webhooks[0]!.enabled_events).toContain('customer.updated')
    expect(simulator.webhooks[0]!.enabled_events).toContain('refund.created')
  })

  it('lists an endpoint that Stripe has disabled as one that no longer works', async () => {
    const { simulator, create, list } = await open()
    await create()

    simulator.webhooks[0]!.status = 'disabled'

    expect(await list()).toMatchObject([{ works: false }])
  })

  it('removes one that is gone already', async () => {
    const { create, list, remove } = await open()
    const { id } = await create()

    await remove(id)
    await remove(id)

    expect(await list()).toEqual([])
  })

  it('says that a key without the right may not', async () => {
    const { list } = await open({ permissions: ['customers', 'payment_intents', 'events'] })

    await expect(list()).rejects.toMatchObject({ code: 'provider_forbidden' })
  })
})

describe('Airtable', () => {
  async function open(now?: () => Date) {
    const simulator = await startAirtableSimulator({
      people: 3,
      items: 3,
      requestsPerSecond: 0,
      ...(now ? { now } : {}),
    })
    onTestFinished(() => simulator.stop())
    const settings = { ...simulator.settings, auth: 'personal_access_token' }
    const account = openSimulated({
      connector: airtable,
      simulator,
      clock: fakeClock(NOW),
      settings,
      credentials: simulator.credentials,
    })
    return { simulator, ...subscriber(airtable, account, settings) }
  }

  it('makes one for the base that ends in 7 days, with a secret that no list shows', async () => {
    const { simulator, wanted, create, list } = await open(() => new Date(NOW))

    const made = await create()

    expect(made).toEqual({
      id: expect.stringMatching(/^ach/),
      secret: simulator.webhooks[0]!.macSecretBase64,
      expires_at: '2026-11-27T09:00:00.000Z',
    })
    expect(await list()).toEqual([{
      id: made.id,
      address: ADDRESS,
      name: wanted[0]!.name,
      spec: wanted[0]!.spec,
      works: true,
      expires_at: '2026-11-27T09:00:00.000Z',
    }])
  })

  it('renews it for 7 more days', async () => {
    const clock = fakeClock(NOW)
    const { create, renew } = await open(() => clock.now())
    const { id } = await create()

    await clock.sleep(3 * 86_400_000)

    expect(await renew(id)).toBe('2026-11-30T09:00:00.000Z')
  })

  it('is refused a third one for the same base after a sign-in', async () => {
    const { simulator } = await open()
    const tokens = await signIn(airtable, simulator, simulator.settings)
    const account = openSimulated({
      connector: airtable,
      simulator,
      clock: fakeClock(NOW),
      settings: simulator.settings,
      token: tokens.access_token,
    })
    const { create } = subscriber(airtable, account)

    await create()
    await create()

    await expect(create()).rejects.toMatchObject({ code: 'provider_rejected' })
  })

  it('removes one that is gone already', async () => {
    const { create, list, remove } = await open()
    const { id } = await create()

    await remove(id)
    await remove(id)

    expect(await list()).toEqual([])
  })
})

describe('Shopify', () => {
  async function open() {
    const simulator = await startShopifySimulator({ products: 3 })
    onTestFinished(() => simulator.stop())
    const settings = { ...simulator.settings, auth: 'oauth' }
    const tokens = await signIn(shopify, simulator, settings)
    const account = openSimulated({
      connector: shopify,
      simulator,
      clock: fakeClock(NOW),
      settings,
      token: tokens.access_token,
    })
    return { simulator, ...subscriber(shopify, account, settings) }
  }

  it('subscribes to each topic of products, signed with what is known before', async () => {
    const { wanted, create, list } = await open()

    for (const index of wanted.keys()) {
      expect(await create(index)).toMatchObject({ secret: null, expires_at: null })
    }

    expect(await list()).toMatchObject(
      ['PRODUCTS_CREATE', 'PRODUCTS_DELETE', 'PRODUCTS_UPDATE'].map((name) => ({
        name,
        address: ADDRESS,
        spec: { format: 'JSON' },
      })),
    )
  })

  it('is refused the same topic for the same address twice', async () => {
    const { create } = await open()
    await create()

    await expect(create()).rejects.toMatchObject({ code: 'provider_rejected' })
  })

  it('removes one that is gone already', async () => {
    const { create, list, remove } = await open()
    const { id } = await create()

    await remove(id)
    await remove(id)

    expect(await list()).toEqual([])
  })

  it('asks for nothing by an admin token, until the secret of that app is known', () => {
    const { wanted } = shopify.webhooks!.subscriptions!
    const context = { settings: { auth: 'admin_token' }, account: {} }

    expect(wanted({ ...context, hasSecret: false })).toEqual([])
    expect(wanted({ ...context, hasSecret: true })).toHaveLength(3)
  })
})

describe('Mailchimp', () => {
  async function open() {
    const simulator = await startMailchimpSimulator({ members: 3 })
    const receiver = await loopbackServer((request, response) => {
      request.resume()
      response.writeHead(request.url === '/refused' ? 401 : 200).end()
    })
    onTestFinished(() => simulator.stop())
    const settings = { ...simulator.settings, auth: 'api_key' }
    const account = openSimulated({
      connector: mailchimp,
      simulator,
      clock: fakeClock(NOW),
      settings,
      credentials: simulator.credentials,
    })
    return { simulator, receiver, ...subscriber(mailchimp, account, settings) }
  }

  it('makes one for what people did, not for what was written by the API', async () => {
    const { simulator, receiver, wanted, create, list } = await open()

    const made = await create(0, `${receiver.url}/token`)

    expect(made).toMatchObject({ secret: null, expires_at: null })
    expect(await list()).toMatchObject([{
      id: made.id,
      address: `${receiver.url}/token`,
      name: wanted[0]!.name,
      spec: wanted[0]!.spec,
    }])
    expect(simulator.webhooks[0]!.sources).toEqual({ user: true, admin: true, api: false })
  })

  it('asks for nothing where a signing secret was given: what the API makes is not signed', () => {
    const { wanted } = mailchimp.webhooks!.subscriptions!

    expect(wanted({ settings: {}, account: {}, hasSecret: false })).toHaveLength(1)
    expect(wanted({ settings: {}, account: {}, hasSecret: true })).toEqual([])
  })

  it('is refused an address that does not answer Mailchimp’s look', async () => {
    const { receiver, create } = await open()

    await expect(create(0, `${receiver.url}/refused`)).rejects.toMatchObject({
      code: 'provider_rejected',
    })
  })

  it('removes one that is gone already', async () => {
    const { receiver, create, list, remove } = await open()
    const { id } = await create(0, `${receiver.url}/token`)

    await remove(id)
    await remove(id)

    expect(await list()).toEqual([])
  })
})

it.each([
  ['stripe', stripe],
  ['airtable', airtable],
  ['shopify', shopify],
  ['mailchimp', mailchimp],
])('%s does not take an answer without its list for an empty one', (_, connector) => {
  const { subscriptions } = connector.webhooks!

  for (const body of [undefined, null, {}, [], { data: null }, { webhooks: {} }]) {
    expect(() => subscriptions!.readList(body)).toThrow(
      expect.objectContaining({ code: 'provider_bad_answer' }),
    )
    expect(() => subscriptions!.readCreated(body)).toThrow(
      expect.objectContaining({ code: 'provider_bad_answer' }),
    )
  }
})

it.each([
  ['hubspot', hubspot],
  ['slack', slack],
  ['x', x],
])('%s, where subscriptions are the app’s own, declares none of an account', (_, connector) => {
  expect(connector.webhooks).not.toBeNull()
  expect(connector.webhooks!.subscriptions).toBeUndefined()
})
