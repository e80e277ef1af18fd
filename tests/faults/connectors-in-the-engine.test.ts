// What do connectors with ways of their own leave in our tables: bookmarks, points, signed sign-ins, grants taken back?
import { describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startGmailSimulator } from '../../scripts/simulators/gmail.ts'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startSalesforceSimulator } from '../../scripts/simulators/salesforce.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startStripeSimulator } from '../../scripts/simulators/stripe.ts'
import { startXSimulator } from '../../scripts/simulators/x.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import { readIntegration } from '../../supabase/functions/_shared/integrations/open-integration.ts'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { runDueSubscriptions } from '../../supabase/functions/_shared/webhooks/run-subscriptions.ts'
import { doSlice } from '../support/engine-run.ts'
import { testEnvironment } from '../support/environment.ts'
import { connectAccount, startFaultStack } from '../support/fault-stack.ts'
import { ourApp } from '../support/our-app.ts'

const faulty = await startFaultStack({ functions: false })
const { appOf, disconnect } = ourApp(faulty)

/** Nobody waits between the tries of one call. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() }

/** One run to its end, by the engine in this process; answers its log. */
async function run(
  id: string,
  stream: string,
  { mode, slug, baseUrl }: { mode: 'full' | 'incremental'; slug: string; baseUrl: string },
): Promise<SyncLog> {
  const { data, error } = await faulty.service.rpc('start_sync', {
    p_integration_id: id,
    p_stream: stream,
    p_sync_type: 'manual',
    p_mode: mode,
    p_wake: false,
  })
  if (error) throw new Error(error.message, { cause: error })
  const outcome = await doSlice(
    faulty.outside({
      environment: testEnvironment({ CONNECTOR_OVERRIDES: { [slug]: { baseUrl } } }),
    }),
    data.id,
  )
  if (outcome.kind !== 'finished') throw new Error(`the run is ${outcome.kind}`)
  return outcome.log
}

describe('a Stripe account in our tables', () => {
  async function connected() {
    const platform = await startStripeSimulator({ customers: 150, payments: 120 })
    onTestFinished(platform.stop)
    const id = await connectAccount(faulty, {
      connector: 'stripe',
      settings: platform.settings,
      credentials: platform.credentials,
    })
    const sync = (stream: string, mode: 'full' | 'incremental') =>
      run(id, stream, { mode, slug: 'stripe', baseUrl: platform.baseUrl })
    return { platform, id, sync }
  }

  it('takes changes and deletions from events, and everything when they are gone', async () => {
    const { platform, id, sync } = await connected()
    const whole = await sync('contacts', 'full')
    const [changed] = platform.control.customers.change(1, { name: 'Somebody Else' })
    const [gone] = platform.control.customers.remove([platform.customers()[9]!.id])
    platform.control.customers.add(1)
    platform.requests.length = 0

    const delta = await sync('contacts', 'incremental')
    const askedForDelta = platform.requests.length
    await faulty.admin`
      update public.sync_streams
      set cursor = jsonb_set(cursor, '{bookmark,read_until}', to_jsonb(extract(epoch from now() - interval '31 days')))
      where integration_id = ${id} and stream = 'contacts'`
    const late = await sync('contacts', 'incremental')

    const rows = await faulty.admin`
      select source_id, full_name, deleted_at is not null as gone from public.contacts
      where integration_id = ${id} and source_id in ${faulty.admin([changed!, gone!])}`
    expect(whole).toMatchObject({ status: 'success', created_count: 150 })
    expect(delta).toMatchObject({
      status: 'success',
      fetched_count: 3,
      created_count: 1,
      updated_count: 1,
      deleted_count: 1,
    })
    expect(askedForDelta).toBe(4) // the events, and each of the three
    expect(late).toMatchObject({ status: 'success', mode: 'full', fetched_count: 150 })
    expect(Object.fromEntries(rows.map((row) => [row['source_id'], row]))).toMatchObject({
      [changed!]: { full_name: 'Somebody Else', gone: false },
      [gone!]: { gone: true },
    })
  })

  it('takes a refund of a payment', async () => {
    const { platform, id, sync } = await connected()
    await sync('orders', 'full')
    const { id: payment, currency } = platform.payments()
      .find(({ status, currency }) => status === 'succeeded' && currency === 'jpy')!
    platform.control.refund(payment, 300)

    const delta = await sync('orders', 'incremental')

    const [row] = await faulty.admin`
      select status, refunded_amount, currency, customer_source_id is not null as is_known
      from public.orders where integration_id = ${id} and source_id = ${payment}`
    expect(delta).toMatchObject({ status: 'success', updated_count: 1 })
    expect(row).toEqual({
      status: 'partially_refunded',
      refunded_amount: '300',
      currency: currency.toUpperCase(),
      is_known: true,
    })
  })
})

describe('a Shopify shop in our tables', () => {
  it('is read within its points: the pauses in Postgres keep them from running out', async () => {
    const shop = await startShopifySimulator({
      products: 160,
      plan: { maximum: 1000, restoreRate: 1500 },
    })
    onTestFinished(shop.stop)
    const id = await connectAccount(faulty, {
      connector: 'shopify',
      settings: { ...shop.settings, auth: 'admin_token' },
      credentials: shop.credentials,
    })
    await faulty.admin`
      update public.integrations set account = '{"currency":"EUR"}' where id = ${id}`

    const whole = await run(id, 'products', {
      mode: 'full',
      slug: 'shopify',
      baseUrl: shop.baseUrl,
    })

    expect(whole).toMatchObject({ status: 'success', created_count: 160, error_count: 0 })
    expect(shop.load()).toMatchObject({ throttled: 0 })
    const [row] = await faulty.admin`
      select count(*)::int as priced from public.products
      where integration_id = ${id} and price_amount is not null and price_currency = 'EUR'`
    expect(row).toEqual({ priced: 160 })
  })

  it('is signed in to, read with the token of its owner, and left when it is disconnected', async () => {
    const shop = await startShopifySimulator({ products: 30 })
    onTestFinished(shop.stop)
    const { outside, signIn } = appOf('shopify', shop)

    const forged = await signIn({
      change: (answer) => answer.set('shop', 'other.myshopify.com'),
    })
    const { integration } = await signIn()
    const id = integration!.id
    const whole = await run(id, 'products', {
      mode: 'full',
      slug: 'shopify',
      baseUrl: shop.baseUrl,
    })
    const log = await disconnect(outside, id)

    expect(forged.error).toMatchObject({ code: 'oauth_response_invalid' })
    expect(integration).toMatchObject({
      external_account_id: shop.settings.shop,
      name: 'Demo Shop',
      account: { currency: 'EUR' },
    })
    expect(whole).toMatchObject({ status: 'success', created_count: 30, error_count: 0 })
    expect(shop.oauth.control.counters()).toMatchObject({ codes_exchanged: 1 })
    expect(shop.oauth.control.consents()).toEqual([])
    expect(log).toMatchObject([{ detail: { revoked: true } }])
  })
})

describe('two X accounts of one organization', () => {
  it('are synced side by side, each with what is its own, and one goes on when the other is disconnected', async () => {
    const network = await startXSimulator({ posts: 12, mentions: 5 })
    onTestFinished(network.stop)
    const [acme, fieldnotes] = network.accounts
    const { outside, signIn } = appOf('x', network)
    const sync = (id: string, mode: 'full' | 'incremental') =>
      run(id, 'social_posts', { mode, slug: 'x', baseUrl: network.baseUrl })
    const rows = async (id: string) => {
      const found = await faulty.admin`
        select source_id, is_own from public.social_posts
        where integration_id = ${id} and deleted_at is null`
      return Object.fromEntries(found.map(({ source_id, is_own }) => [source_id, is_own]))
    }
    const first = (await signIn({ account: acme!.username })).integration!
    const { organization_id } = first
    const second = (await signIn({ account: fieldnotes!.username, organization_id })).integration!
    // one post in both accounts: the one's own, and a mention of the other
    const shared = network.network.publish({ text: 'Thanks, @fieldnotes!', author_id: acme!.id })

    const logs = await Promise.all([sync(first.id, 'full'), sync(second.id, 'full')])
    const [ofFirst, ofSecond] = [await rows(first.id), await rows(second.id)]
    await disconnect(outside, first.id)
    network.network.publish({ text: 'Still here', author_id: fieldnotes!.id })
    const later = await sync(second.id, 'incremental')

    expect(second.id).not.toBe(first.id)
    expect([first, second].map(({ external_account_id }) => external_account_id))
      .toEqual([acme!.id, fieldnotes!.id])
    expect(logs).toMatchObject([{ status: 'success' }, { status: 'success' }])
    for (const [{ id }, held] of [[acme!, ofFirst], [fieldnotes!, ofSecond]] as const) {
      const own = network.network.by(id).filter(({ text }) => text !== 'Still here')
      expect(Object.keys(held).filter((post) => held[post]).sort())
        .toEqual(own.map((post) => post.id).sort())
    }
    expect([ofFirst[shared.id], ofSecond[shared.id]]).toEqual([true, false])
    expect(later).toMatchObject({ status: 'success', fetched_count: 1, created_count: 1 })
  })
})

describe('disconnecting an account', () => {
  it('of Shopify while the shop is down revokes once it has unsubscribed, and not before', async () => {
    const shop = await startShopifySimulator({ products: 3 })
    onTestFinished(shop.stop)
    const { outside, signIn } = appOf('shopify', shop)
    const { id } = (await signIn()).integration!
    const look = async () => {
      await faulty.admin`
        update private.webhook_subscription_runs set run_at = now() where integration_id = ${id}`
      await faulty.admin`delete from private.request_budgets`
      await runDueSubscriptions({ ...outside, clock: impatient })
    }
    await outside.db.call('update_integration', { p_integration_id: id, p_webhooks: true })
    await look()
    expect(shop.subscriptions).toHaveLength(3)
    // the token's own address answers all the while
    shop.control.setFault({ kind: 'status', status: 503, path: '/graphql', times: null })

    const log = await disconnect({ ...outside, clock: impatient }, id)
    await look()
    const meanwhile = shop.oauth.control.consents()
    shop.control.clearFaults()
    await look()

    expect(log).toMatchObject([{ detail: { unsubscribed: false } }])
    expect(log[0]?.['detail']).not.toHaveProperty('revoked')
    expect(meanwhile).toHaveLength(1)
    expect([shop.subscriptions, shop.oauth.control.consents()]).toEqual([[], []])
    expect(
      await faulty.admin`
      select detail from public.activity_logs
      where subject_id = ${id} and action = 'integration.credentials_deleted'`,
    ).toMatchObject([{ detail: { unsubscribed: true, revoked: true } }])
    expect(await outside.db.call('begin_grant_revocation', { p_integration_id: id })).toBeNull()
  })

  it.each([
    ['hubspot', startHubSpotSimulator],
    ['salesforce', startSalesforceSimulator],
    ['gmail', startGmailSimulator],
  ])(
    'of %s revokes its tokens there (RFC 7009) and writes down that it did',
    async (connector, start) => {
      const platform = await start()
      onTestFinished(platform.stop)
      const { outside, signIn } = appOf(connector, platform)
      const { integration } = await signIn()
      const { token } = await readIntegration(outside.db, integration!.id)
      const before = platform.oauth.verify(token!.access_token)

      const log = await disconnect(outside, integration!.id)

      expect(before).not.toBeNull()
      expect(platform.oauth.verify(token!.access_token)).toBeNull()
      expect(platform.oauth.control.consents()).toEqual([])
      expect(platform.oauth.control.counters()).toMatchObject({ consents_given: 1, revocations: 1 })
      expect(log).toMatchObject([{ detail: { revoked: true } }])
    },
  )

  it('writes down that nobody knows where the platform did not answer, and forgets the tokens all the same', async () => {
    const platform = await startHubSpotSimulator()
    onTestFinished(platform.stop)
    const { outside, signIn } = appOf('hubspot', platform)
    const { integration } = await signIn()
    platform.control.setFault({ kind: 'status', status: 503, path: '/revoke', times: null })

    const log = await disconnect(outside, integration!.id)

    expect(log).toMatchObject([{ detail: { revoked: 'unknown' } }])
    expect(platform.oauth.control.counters()).toMatchObject({ revocations: 0 })
    expect(await outside.db.call('begin_grant_revocation', { p_integration_id: integration!.id }))
      .toBeNull()
  })

  it('writes down that nobody knows where the first answer was lost and the second try refused', async () => {
    const platform = await startHubSpotSimulator()
    onTestFinished(platform.stop)
    const { outside, signIn } = appOf('hubspot', platform)
    const { integration } = await signIn()
    let tries = 0
    const fetch: typeof globalThis.fetch = async (input, init) => {
      if (!String(input).includes('/revoke')) return await globalThis.fetch(input, init)
      tries += 1
      if (tries > 1) return Response.json({ error: 'unauthorized_client' }, { status: 400 })
      await globalThis.fetch(input, init)
      throw new TypeError('fetch failed')
    }

    const log = await disconnect({ ...outside, fetch }, integration!.id)

    expect(tries).toBe(2)
    expect(platform.oauth.control.counters()).toMatchObject({ revocations: 1 })
    expect(log).toMatchObject([{ detail: { revoked: 'unknown' } }])
  })

  it('revokes nothing while another organization has the same account, and does once none has', async () => {
    const platform = await startHubSpotSimulator()
    onTestFinished(platform.stop)
    const { outside, signIn } = appOf('hubspot', platform)
    const first = await signIn()
    const second = await signIn()

    const shared = await disconnect(outside, first.integration!.id)
    const revokedByFirst = platform.oauth.control.counters().revocations
    const last = await disconnect(outside, second.integration!.id)

    expect(shared).toMatchObject([{ detail: { revoked: false } }])
    expect(revokedByFirst).toBe(0)
    expect(last).toMatchObject([{ detail: { revoked: true } }])
    expect(platform.oauth.control.counters()).toMatchObject({ revocations: 1 })
  })

  it('of a platform without revocation writes down that the grant stands there', async () => {
    const platform = await startAirtableSimulator()
    onTestFinished(platform.stop)
    const { outside, signIn } = appOf('airtable', platform)
    const { integration } = await signIn()

    const log = await disconnect(outside, integration!.id)

    expect(log).toMatchObject([{ detail: { revoked: false } }])
    expect(platform.oauth.control.consents()).toHaveLength(1)
  })

  it('that was connected with a key says nothing of a grant', async () => {
    const platform = await startHubSpotSimulator()
    onTestFinished(platform.stop)
    const { outside } = appOf('hubspot', platform)
    const id = await connectAccount(faulty, {
      connector: 'hubspot',
      settings: { auth: 'private_app' },
      credentials: platform.credentials,
    })

    const [entry] = await disconnect(outside, id)

    expect(entry?.['detail']).toBeDefined()
    expect(entry?.['detail']).not.toHaveProperty('revoked')
    expect(platform.oauth.control.counters()).toMatchObject({ revocations: 0 })
  })
})
