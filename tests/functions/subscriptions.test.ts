// Are webhooks subscribed at a platform once, whatever happens, as long as the account is connected?
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import type { StripeSimulator, StripeSimulatorOptions } from '../../scripts/simulators/stripe.ts'
import { disconnectIntegration } from '../../supabase/functions/_shared/integrations/disconnect-integration.ts'
import { systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { runDueSubscriptions } from '../../supabase/functions/_shared/webhooks/run-subscriptions.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { platformOf, stripeAccount, subscribedAccount } from '../support/subscribed-account.ts'
import { type DeathPoint, useSubscribingEngine } from '../support/subscriptions.ts'

const functions = useFunctions()
const { database } = functions
const { owner } = database
const engine = useSubscribingEngine(database)
const { connect, look, outside, rows, secrets } = engine

let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

const DAY_MS = 86_400_000

async function airtableBase(now?: () => Date) {
  const simulator = await startAirtableSimulator({
    people: 3,
    items: 3,
    requestsPerSecond: 0,
    ...(now ? { now } : {}),
  })
  onTestFinished(() => simulator.stop())
  const settings = { ...simulator.settings, auth: 'personal_access_token' }
  return { simulator, platform: platformOf('airtable', simulator, settings) }
}

async function shop() {
  const simulator = await startShopifySimulator({ products: 3 })
  onTestFinished(() => simulator.stop())
  const settings = { ...simulator.settings, auth: 'admin_token' }
  return { simulator, platform: platformOf('shopify', simulator, settings) }
}

async function audience() {
  const simulator = await startMailchimpSimulator({ members: 3 })
  onTestFinished(() => simulator.stop())
  const settings = { ...simulator.settings, auth: 'api_key' }
  return { simulator, platform: platformOf('mailchimp', simulator, settings) }
}

const subscribed = (options: StripeSimulatorOptions = {}) =>
  subscribedAccount(engine, team.organizationId, options)

const made = ({ requests }: Pick<StripeSimulator, 'requests'>) =>
  requests.filter(({ method }) => method === 'POST').length

const setSecret = (id: string, secret: string) =>
  database.call('service_role', 'set_webhook_secret', { p_integration_id: id, p_secret: secret })

const activity = (id: string, action: string) =>
  owner`
    select outcome, detail from public.activity_logs
    where subject_id = ${id} and action = ${`integration.${action}`} order by created_at`

describe('an account that was connected', () => {
  it('is subscribed once at Stripe, and what the secret signs is believed', async () => {
    const { simulator, id } = await subscribed()

    expect(simulator.webhooks[0]).toMatchObject({ url: engine.address(id), status: 'enabled' })
    expect(await secrets(id)).toEqual([simulator.webhooks[0]!.secret])
    expect(await rows(id)).toMatchObject([
      { status: 'active', external_id: simulator.webhooks[0]!.id, error: null, expires_at: null },
    ])
    expect(await activity(id, 'webhook_subscribed')).toHaveLength(1)
  })

  it('is looked at again within the hour, and left as it is', async () => {
    const { simulator, platform, id } = await subscribed()
    const [endpoint] = simulator.webhooks

    await look(id, outside(platform))

    expect(simulator.webhooks).toEqual([endpoint])
    expect(made(simulator)).toBe(1)
    expect(await engine.dueIn(id)).toBeGreaterThan(3_500)
    expect(await engine.dueIn(id)).toBeLessThan(3_601)
  })

  it.each([
    ['stripe', stripeAccount, 1],
    ['airtable', airtableBase, 1],
    ['shopify', shop, 3],
    ['mailchimp', audience, 1],
  ])('is subscribed once at %s by ten workers at once', async (name, open, count) => {
    const { simulator, platform } = await open()
    const id = await connect(team.organizationId, platform)
    // only its owner knows what webhooks of a custom app are signed with
    if (name === 'shopify') await setSecret(id, randomUUID())
    await owner`
      update private.webhook_subscription_runs set run_at = 'infinity' where integration_id <> ${id}`

    await Promise.all(
      Array.from({ length: 10 }, () => runDueSubscriptions(outside(platform))),
    )

    const there = 'webhooks' in simulator ? simulator.webhooks : simulator.subscriptions
    expect(there).toHaveLength(count)
    expect(await rows(id)).toHaveLength(count)
    expect((await rows(id)).every(({ status }) => status === 'active')).toBe(true)
  })

  it('is not subscribed where its managers do not want it', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform, false)

    await look(id, outside(platform))

    expect(simulator.requests).toEqual([])
    expect(await rows(id)).toEqual([])
  })

  it('is not subscribed from a private network, unless its managers want it', async () => {
    const { simulator, platform } = await stripeAccount()
    const unsaid = await connect(team.organizationId, platform, null)
    const wanted = await connect(team.organizationId, platform)

    await look(unsaid, outside(platform))
    expect(simulator.requests).toEqual([])
    await look(wanted, outside(platform))

    expect(simulator.webhooks).toMatchObject([{ url: engine.address(wanted) }])
    expect(await rows(unsaid)).toEqual([])
  })

  it('says why it cannot be subscribed from a private network', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)
    const guarded = outside(platform)
    guarded.environment = { ...guarded.environment, PLUGBOARD_ALLOW_PRIVATE_NETWORKS: false }

    await look(id, guarded)

    expect(simulator.requests).toEqual([])
    expect(await rows(id)).toMatchObject([
      { status: 'failed', error: { code: 'private_network_refused' } },
    ])
  })
})

describe('a worker that dies', () => {
  const POINTS: [string, DeathPoint][] = [
    ['before it notes its intent', { before: 'begin_webhook_subscription' }],
    ['before the platform is asked', { after: 'begin_webhook_subscription' }],
    ['with the answer in its hands', { answered: 'POST' }],
    ['before it has kept the answer', { before: 'save_webhook_subscription' }],
    ['after it has kept the answer', { after: 'save_webhook_subscription' }],
    ['before it is done', { before: 'finish_webhook_subscriptions' }],
  ]

  it.each(POINTS)('%s leaves one endpoint at Stripe, with a known secret', async (_, point) => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)

    await engine.dieAt(point, id, platform)
    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    expect((await secrets(id))[0]).toBe(simulator.webhooks[0]!.secret)
    expect(await rows(id)).toMatchObject([
      { status: 'active', external_id: simulator.webhooks[0]!.id, creating_since: null },
    ])
  })

  it.each(POINTS)('%s leaves one webhook in the base, with a known secret', async (_, point) => {
    const { simulator, platform } = await airtableBase()
    const id = await connect(team.organizationId, platform)

    await engine.dieAt(point, id, platform)
    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    expect((await secrets(id))[0]).toBe(simulator.webhooks[0]!.macSecretBase64)
  })

  it.each(POINTS)('%s leaves one webhook of the audience, at an address that answers', async (
    _,
    point,
  ) => {
    const { simulator, platform } = await audience()
    const id = await connect(team.organizationId, platform)

    await engine.dieAt(point, id, platform)
    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    const { status } = await fetch(simulator.webhooks[0]!.url)
    expect(status).toBe(200)
  })

  it('while it replaces an endpoint leaves the newer one', async () => {
    const { simulator, platform, id } = await subscribed()
    const [before] = simulator.webhooks
    await owner`
      update public.webhook_subscriptions set spec_hash = 'of another spec' where integration_id = ${id}`

    await engine.dieAt({ after: 'save_webhook_subscription' }, id, platform)
    expect(simulator.webhooks).toHaveLength(2)
    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    expect(simulator.webhooks[0]!.id).not.toBe(before!.id)
    expect((await secrets(id))[0]).toBe(simulator.webhooks[0]!.secret)
  })
})

describe('a subscription that ends', () => {
  async function weekly() {
    let time = new Date('2026-11-20T09:00:00Z')
    const { simulator, platform } = await airtableBase(() => time)
    const id = await connect(team.organizationId, platform)
    const lookNow = () =>
      look(id, outside(platform, { clock: { ...systemClock, now: () => time } }))
    await lookNow()
    return {
      simulator,
      id,
      /** So many days later. */
      async lookAfter(days: number) {
        time = new Date(time.getTime() + days * DAY_MS)
        await lookNow()
      },
      expiresAt: async () => new Date((await rows(id))[0]!.expires_at as string).toISOString(),
    }
  }

  it('is renewed once half of its life is over, and keeps its secret', async () => {
    const { simulator, id, lookAfter, expiresAt } = await weekly()
    const before = await secrets(id)

    await lookAfter(3)
    expect(await expiresAt()).toBe('2026-11-27T09:00:00.000Z')
    await lookAfter(1)

    expect(await expiresAt()).toBe('2026-12-01T09:00:00.000Z')
    expect(new Date(simulator.webhooks[0]!.expires).toISOString()).toBe('2026-12-01T09:00:00.000Z')
    expect(simulator.webhooks).toHaveLength(1)
    expect(await secrets(id)).toEqual(before)
  })

  it('is made again when it has ended', async () => {
    const { simulator, id, lookAfter } = await weekly()
    const [before] = simulator.webhooks

    await lookAfter(8)

    expect(simulator.webhooks).toHaveLength(1)
    expect(simulator.webhooks[0]!.id).not.toBe(before!.id)
    expect((await secrets(id))[0]).toBe(simulator.webhooks[0]!.macSecretBase64)
  })
})

describe('a subscription that is not as it should be', () => {
  it('is made again when the platform has lost it; what the old secret signed still counts', async () => {
    const { simulator, platform, id } = await subscribed()
    const [before] = simulator.webhooks.splice(0)

    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    expect(await secrets(id)).toEqual([simulator.webhooks[0]!.secret, before!.secret])
    const [overlap] = await owner`
      select round(extract(epoch from expires_at - now()) / 3600)::int as hours
      from private.webhook_receiver_secrets where integration_id = ${id} and expires_at is not null`
    expect(overlap).toEqual({ hours: 24 })
  })

  it('stays as it is, and believed, when a manager gives a secret for another endpoint', async () => {
    const { simulator, platform, id } = await subscribed()
    const before = structuredClone(simulator.webhooks)

    await setSecret(id, 'whsec_of_another_endpoint')
    await look(id, outside(platform))

    expect(simulator.webhooks).toEqual(before)
    expect(
      await owner`
      select count(*)::int as count from private.webhook_receiver_secrets
      where integration_id = ${id} and expires_at is null`,
    ).toEqual([{ count: 2 }])
  })

  it('follows the address when its secret end was rotated', async () => {
    const { simulator, platform } = await audience()
    const id = await connect(team.organizationId, platform)
    await look(id, outside(platform))
    const [before] = simulator.webhooks
    const { body } = await functions.call(team.manager, '/integrations/rotate-webhook-path', {
      integration_id: id,
    })
    expect(body).toEqual({ address: null }) // nobody is shown an address that will not be the one
    expect(await engine.dueIn(id)).toBeLessThan(2)

    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    const send = async ({ url }: { url: string }) =>
      (await fetch(url, { method: 'POST', body: new URLSearchParams({ type: 'profile' }) })).status
    expect([await send(simulator.webhooks[0]!), await send(before!)]).toEqual([200, 401])
  })

  it('is made again when the platform has stopped to send', async () => {
    const { simulator, platform, id } = await subscribed()
    const disabled = simulator.webhooks[0]!
    disabled.status = 'disabled'

    await look(id, outside(platform))

    expect(simulator.webhooks).toMatchObject([{ status: 'enabled' }])
    expect(simulator.webhooks[0]!.id).not.toBe(disabled.id)
  })

  it('is replaced when it should ask for something else, the new one before the old one goes', async () => {
    const { simulator, platform, id } = await subscribed()
    await owner`
      update public.webhook_subscriptions set spec_hash = 'of another spec' where integration_id = ${id}`
    simulator.requests.length = 0

    await look(id, outside(platform))

    expect(simulator.requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'DELETE'])
    expect(simulator.webhooks).toHaveLength(1)
  })

  it('is believed at its old address as long as the platform has not taken the new one', async () => {
    const { simulator, platform } = await audience()
    const id = await connect(team.organizationId, platform)
    await look(id, outside(platform))
    const [before] = simulator.webhooks
    await owner`
      update public.webhook_subscriptions set spec_hash = 'of another spec' where integration_id = ${id}`
    // between the new address and the call that would make it known
    const sleep = () => {
      simulator.control.setFault({ kind: 'status', status: 500, times: null })
      return Promise.resolve()
    }

    await look(id, outside(platform, { clock: { ...systemClock, sleep } }))

    expect(await rows(id)).toMatchObject([{ status: 'failed' }])
    expect(simulator.webhooks).toEqual([before])
    const body = new URLSearchParams({ type: 'profile' })
    expect((await fetch(before!.url, { method: 'POST', body })).status).toBe(200)
  })

  it('of somebody else is none of ours', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)
    await fetch(`${simulator.url}/v1/webhook_endpoints`, {
      method: 'POST',
      headers: { authorization: `Bearer ${simulator.credentials.api_key}` },
      body: new URLSearchParams({ url: `${engine.address(id)}0`, 'enabled_events[]': '*' }),
    })

    await look(id, outside(platform))
    await disconnectIntegration(outside(platform), { integration_id: id }, null)

    expect(simulator.webhooks.map(({ url }) => url)).toEqual([`${engine.address(id)}0`])
  })
})

describe('an account that cannot be subscribed', () => {
  it('says so to its members, once in the log, and is tried again a day later', async () => {
    const { platform } = await stripeAccount({
      permissions: ['customers', 'payment_intents', 'events'],
    })
    const id = await connect(team.organizationId, platform)

    await look(id, outside(platform))
    await look(id, outside(platform))

    const seen = await database.actAs(team.viewer, (sql) =>
      sql`
        select status, error ->> 'code' as code, error ->> 'next' as next
        from public.webhook_subscriptions where integration_id = ${id}`)
    expect(seen).toEqual([{ status: 'failed', code: 'provider_forbidden', next: 'owner' }])
    expect(await activity(id, 'webhook_subscription_failed')).toMatchObject([{
      outcome: 'failure',
    }])
    expect(await engine.dueIn(id)).toBeGreaterThan(86_000)
  })

  it('is tried at once when it is given another key', async () => {
    const { platform } = await stripeAccount({ permissions: ['customers'] })
    const { simulator: open, platform: allowed } = await stripeAccount({
      apiKey: 'rk_test_another',
    })
    const id = await connect(team.organizationId, platform)
    await look(id, outside(platform))

    await database.call('service_role', 'update_integration', {
      p_integration_id: id,
      p_credentials: allowed.credentials,
    })
    expect(await engine.dueIn(id)).toBeLessThan(2)
    await look(id, outside(allowed))

    expect(open.webhooks).toHaveLength(1)
    expect(await rows(id)).toMatchObject([{ status: 'active', error: null }])
  })

  it('is tried again after growing pauses while the platform is down', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)
    simulator.control.setFault({ kind: 'status', status: 500, times: null })
    const impatient = outside(platform, {
      clock: { ...systemClock, sleep: () => Promise.resolve() },
    })
    const pauses: number[] = []

    for (let tries = 0; tries < 3; tries++) {
      await owner`delete from private.request_budgets`
      await look(id, impatient)
      pauses.push(Math.round(await engine.dueIn(id) / 60))
    }

    expect(pauses).toEqual([1, 5, 15])
    expect(await rows(id)).toMatchObject([{ status: 'failed', error: { next: 'retry' } }])
  })
})

describe('webhooks that are turned off', () => {
  it('are unsubscribed, and subscribed again when turned on', async () => {
    const { simulator, platform, id } = await subscribed()
    const turn = (p_webhooks: boolean) =>
      database.call('service_role', 'update_integration', { p_integration_id: id, p_webhooks })

    await turn(false)
    await look(id, outside(platform))
    expect(simulator.webhooks).toEqual([])
    expect(await rows(id)).toEqual([])
    await turn(true)
    await look(id, outside(platform))

    expect(simulator.webhooks).toHaveLength(1)
    expect(await activity(id, 'webhook_unsubscribed')).toHaveLength(1)
  })
})

describe('a webhook that somebody made by hand', () => {
  const makeByHand = async (
    { simulator }: Awaited<ReturnType<typeof stripeAccount>>,
    id: string,
  ) => {
    await fetch(`${simulator.url}/v1/webhook_endpoints`, {
      method: 'POST',
      headers: { authorization: `Bearer ${simulator.credentials.api_key}` },
      body: new URLSearchParams({ url: engine.address(id), 'enabled_events[]': '*' }),
    })
    return simulator.webhooks.at(-1)!
  }

  it('is left alone where somebody gave us its secret', async () => {
    const account = await stripeAccount()
    const id = await connect(team.organizationId, account.platform)
    const byHand = await makeByHand(account, id)
    await setSecret(id, byHand.secret)

    await look(id, outside(account.platform))

    expect(account.simulator.webhooks).toEqual([byHand])
    expect(await rows(id)).toMatchObject([{ status: 'active', external_id: byHand.id }])
  })

  it('stays when webhooks are turned off', async () => {
    const account = await subscribed()
    const { simulator, platform, id } = account
    const byHand = await makeByHand(account, id)

    await database.call('service_role', 'update_integration', {
      p_integration_id: id,
      p_webhooks: false,
    })
    await look(id, outside(platform))

    expect(simulator.webhooks).toEqual([byHand])
    expect(await secrets(id)).toEqual([])
  })

  it('at the address that a manager was shown is left as it is, whatever it asks for', async () => {
    const { simulator, platform } = await audience()
    const id = await connect(team.organizationId, platform)
    const turn = (p_webhooks: boolean) =>
      database.call('service_role', 'update_integration', { p_integration_id: id, p_webhooks })
    await turn(false)
    const { body } = await functions.call(team.manager, '/integrations/rotate-webhook-path', {
      integration_id: id,
    })
    await fetch(`${simulator.baseUrl}/3.0/lists/${simulator.settings.list_id}/webhooks`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${simulator.credentials.api_key}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        url: body.address,
        events: { unsubscribe: true },
        sources: { user: true },
      }),
    })
    const byHand = [...simulator.webhooks]

    for (const isOn of [true, false]) {
      await turn(isOn)
      await look(id, outside(platform))
    }

    expect(byHand).toHaveLength(1)
    expect(simulator.webhooks).toEqual(byHand)
  })

  it('and whose secret nobody gave us is replaced by ours, which is believed', async () => {
    const account = await stripeAccount()
    const id = await connect(team.organizationId, account.platform)
    const byHand = await makeByHand(account, id)

    await look(id, outside(account.platform))

    expect(account.simulator.webhooks).toHaveLength(1)
    expect(account.simulator.webhooks[0]!.id).not.toBe(byHand.id)
    expect(await secrets(id)).toEqual([account.simulator.webhooks[0]!.secret])
  })

  it('goes too when the account is disconnected', async () => {
    const account = await subscribed()
    await makeByHand(account, account.id)

    await disconnectIntegration(outside(account.platform), { integration_id: account.id }, null)

    expect(account.simulator.webhooks).toEqual([])
  })
})
