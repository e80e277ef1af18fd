// What do connectors with ways of their own leave in our tables: bookmarks, points, signed sign-ins?
import { describe, expect, it, onTestFinished } from 'vitest'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startStripeSimulator } from '../../scripts/simulators/stripe.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import { disconnectIntegration } from '../../supabase/functions/_shared/integrations/disconnect-integration.ts'
import { beginSignIn } from '../../supabase/functions/_shared/oauth/begin-sign-in.ts'
import { finishSignIn } from '../../supabase/functions/_shared/oauth/finish-sign-in.ts'
import { doSlice } from '../support/engine-run.ts'
import { testEnvironment } from '../support/environment.ts'
import { connectAccount, startFaultStack } from '../support/fault-stack.ts'

const faulty = await startFaultStack({ functions: false })

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
    const return_url = 'http://127.0.0.1:3999/shops'
    const outside = faulty.outside({
      environment: testEnvironment({
        CONNECTOR_OVERRIDES: { shopify: { baseUrl: shop.baseUrl } },
        OAUTH_CLIENTS: { shopify: shop.client },
        PLUGBOARD_RETURN_URLS: [return_url],
      }),
    })
    const [organization] = await faulty.admin`
      insert into public.organizations (name) values ('Shops') returning id`
    const comeBack = async (change: (answer: URLSearchParams) => void = () => {}) => {
      const begun = await beginSignIn(outside, {
        organization_id: organization!['id'],
        connector: 'shopify',
        settings: shop.settings,
        return_url,
        finish_in: 'app',
      }, null)
      const landed = await browser().authorize(begun.authorization_url, { stopAt: return_url })
      const answer = new URL(landed.url).searchParams
      change(answer)
      return await finishSignIn(outside, answer, { user_id: null })
    }

    const forged = await comeBack((answer) => answer.set('shop', 'other.myshopify.com'))
    const { integration } = await comeBack()
    const id = integration!.id
    const whole = await run(id, 'products', {
      mode: 'full',
      slug: 'shopify',
      baseUrl: shop.baseUrl,
    })
    await disconnectIntegration(outside, { integration_id: id }, null)

    expect(forged.error).toMatchObject({ code: 'oauth_response_invalid' })
    expect(integration).toMatchObject({
      external_account_id: shop.settings.shop,
      name: 'Demo Shop',
      account: { currency: 'EUR' },
    })
    expect(whole).toMatchObject({ status: 'success', created_count: 30, error_count: 0 })
    expect(shop.oauth.control.counters()).toMatchObject({ codes_exchanged: 1 })
    expect(shop.oauth.control.consents()).toEqual([])
  })
})
