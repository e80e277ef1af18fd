import { describe, expect, it, onTestFinished } from 'vitest'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import {
  type ShopifySimulatorOptions,
  startShopifySimulator,
} from '../../scripts/simulators/shopify.ts'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { shopify } from '../../supabase/functions/_shared/connectors/shopify.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'
import { shopifyWebhooks } from './webhooks/shopify.ts'

const NOW = '2026-11-20T09:00:00Z'

const lastPage = { hasNextPage: false, endCursor: 'eyJsYXN0In0=' }
const tee = {
  id: 'gid://shopify/Product/1',
  title: 'Tee',
  description: 'Soft.',
  vendor: 'Acme',
  productType: 'Shirts',
  status: 'ACTIVE',
  updatedAt: '2026-07-01T12:00:00Z',
  tracksInventory: true,
  media: {
    nodes: [{ image: { url: 'https://cdn.shopify.com/tee.jpg' } }, {}, {
      image: { url: 'https://cdn.shopify.com/tee-back.jpg' },
    }],
  },
  variants: {
    nodes: [
      {
        id: 'gid://shopify/ProductVariant/11',
        title: 'Small',
        sku: 'TEE-S',
        price: '100.00',
        inventoryQuantity: 7,
      },
      {
        id: 'gid://shopify/ProductVariant/12',
        title: 'Large',
        sku: null,
        price: '19.50',
        inventoryQuantity: -2,
      },
    ],
    pageInfo: lastPage,
  },
}
const card = {
  id: 'gid://shopify/Product/2',
  title: 'Gift card',
  description: '',
  vendor: '',
  productType: '',
  status: 'DRAFT',
  updatedAt: '2026-07-02T12:00:00Z',
  tracksInventory: false,
  media: { nodes: [] },
  variants: {
    nodes: [{
      id: 'gid://shopify/ProductVariant/21',
      title: 'Default Title',
      sku: '',
      price: '25.00',
      inventoryQuantity: 0,
    }],
    pageInfo: lastPage,
  },
}

const products: StreamFixture = {
  pages: [[tee], [card]],
  body: (records, { last, page }) => ({
    data: {
      products: {
        nodes: records,
        pageInfo: { hasNextPage: !last, endCursor: `eyJsYXN0${page}` },
      },
    },
    extensions: {
      cost: {
        requestedQueryCost: 902,
        actualQueryCost: 8,
        throttleStatus: { maximumAvailable: 4000, currentlyAvailable: 3992, restoreRate: 200 },
      },
    },
  }),
  synced: [
    {
      source_id: tee.id,
      source_updated_at: '2026-07-01T12:00:00.000Z',
      columns: {
        name: 'Tee',
        description: 'Soft.',
        brand: 'Acme',
        category: 'Shirts',
        sku: 'TEE-S',
        status: 'active',
        price_amount: '19.5',
        price_currency: 'EUR',
        price_tiers: [],
        variants: [
          {
            source_id: 'gid://shopify/ProductVariant/11',
            name: 'Small',
            sku: 'TEE-S',
            price_amount: '100',
            stock_quantity: '7',
          },
          {
            source_id: 'gid://shopify/ProductVariant/12',
            name: 'Large',
            sku: null,
            price_amount: '19.5',
            stock_quantity: '-2',
          },
        ],
        image_urls: ['https://cdn.shopify.com/tee.jpg', 'https://cdn.shopify.com/tee-back.jpg'],
        stock_quantity: '5',
      },
    },
    {
      source_id: card.id,
      source_updated_at: '2026-07-02T12:00:00.000Z',
      columns: {
        name: 'Gift card',
        description: null,
        brand: null,
        category: null,
        sku: null,
        status: 'inactive',
        price_amount: '25',
        price_currency: 'EUR',
        price_tiers: [],
        variants: [],
        image_urls: [],
        stock_quantity: null,
      },
    },
  ],
  required: 'title',
  wrongType: { path: 'status', value: 7 },
}

const answerCheck = (_: URL, body: string) =>
  body.includes('shop {') ? { data: { shop: { name: 'Acme', currencyCode: 'EUR' } } } : undefined
const shared = {
  account: { currency: 'EUR' },
  webhooks: shopifyWebhooks,
  other: { 'POST /admin/api/2026-10/graphql.json': answerCheck },
  streams: { products },
}

conformance(shopify, {
  ...shared,
  settings: { shop: 'acme.myshopify.com' },
  credentials: {},
  token: { access_token: 'shpat_of-acme' },
}, 'oauth')

conformance(shopify, {
  ...shared,
  settings: { shop: 'acme.myshopify.com', auth: 'admin_token' },
  credentials: { access_token: 'shpat_admin-token-of-acme' },
}, 'admin_token')

/** A budget that keeps the pauses, as the one in Postgres does. */
function pausingBudget(clock: { now(): Date }): RequestBudget {
  let until = 0
  return {
    acquire: () =>
      Promise.resolve({ circuit: 'closed', wait_ms: Math.max(0, until - clock.now().getTime()) }),
    report(outcome, retryAfterMs = 0) {
      if (outcome === 'throttled') until = clock.now().getTime() + retryAfterMs
      return Promise.resolve()
    },
  }
}

/** A simulated shop and an account connected to it, on one clock. */
async function setUp(options: ShopifySimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const shop = await startShopifySimulator({ products: 50, now: clock.now, ...options })
  onTestFinished(shop.stop)
  const open = (
    { settings, token, budget }: { settings?: object; token?: string; budget?: RequestBudget } = {},
  ) =>
    openAccount({
      connector: shopify,
      settings: { ...shop.settings, auth: token ? 'oauth' : 'admin_token', ...settings },
      credentials: token ? {} : shop.credentials,
      account: { currency: 'EUR' },
      clock,
      tokens: memoryTokenCache(),
      ...(token === undefined ? {} : { grant: fixedGrant(token) }),
      overrides: { shopify: { baseUrl: shop.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
        ...(budget === undefined ? {} : { budget }),
      }),
    })
  return { shop, clock, open, account: open() }
}

const parse = (raw: unknown) => {
  const parsed = parseRecord(shopify, 'products', raw, {
    settings: {},
    account: { currency: 'EUR' },
  })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record as unknown as {
    source_id: string
    columns: {
      status: string
      variants: { stock_quantity: string | null }[]
      stock_quantity: string | null
      image_urls: string[]
    }
  }
}
const first = { since: null, cursor: null }

describe('a Shopify shop', () => {
  it('is read whole: every product with every variant, also those that need pages of their own', async () => {
    const { shop, account } = await setUp()

    const records = (await readAll(account, 'products')).map(parse)

    const catalog = shop.catalog()
    expect(records.map(({ source_id }) => source_id)).toEqual(shop.ids())
    expect(catalog[0]!.variants).toHaveLength(300)
    expect(records[0]!.columns.variants).toHaveLength(300)
    expect(records.map(({ columns }) => columns.variants.length)).toEqual(
      catalog.map(({ variants }) => variants.length === 1 ? 0 : variants.length),
    )
    expect(records.map(({ columns }) => columns.stock_quantity)).toEqual(
      catalog.map(({ tracksInventory, variants }) =>
        tracksInventory
          ? String(variants.reduce((sum, { inventoryQuantity }) => sum + inventoryQuantity, 0))
          : null
      ),
    )
    expect(records.map(({ columns }) => columns.image_urls)).toEqual(
      catalog.map(({ images }) => images),
    )
  })

  it('keeps what is archived or a draft, as inactive; what is unlisted is active', async () => {
    const { shop, account } = await setUp()

    const records = (await readAll(account, 'products')).map(parse)

    const statuses = new Map(shop.catalog().map(({ id, status }) => [id, status]))
    expect(new Set(statuses.values()).size).toBe(4)
    for (const { source_id, columns } of records) {
      const isForSale = ['ACTIVE', 'UNLISTED'].includes(statuses.get(source_id)!)
      expect(columns.status).toBe(isForSale ? 'active' : 'inactive')
    }
  })

  it('shows in a delta what changed, from a minute before', async () => {
    const { shop, clock, account } = await setUp()
    clock.advance(600_000)
    const changed = shop.control.change(2)
    clock.advance(30_000)

    const records = await readAll(account, 'products', clock.now().toISOString())
    const later = await readAll(account, 'products', '2026-11-20T09:11:30Z')

    expect(records.map((raw) => parse(raw).source_id).sort()).toEqual(changed.sort())
    expect(later).toEqual([])
  })

  it('no longer shows what was deleted', async () => {
    const { shop, account } = await setUp()
    const [gone] = shop.control.remove(1)

    const records = await readAll(account, 'products')

    expect(records).toHaveLength(49)
    expect(records.map((raw) => parse(raw).source_id)).not.toContain(gone)
  })

  it('tells its name and its currency', async () => {
    const { account } = await setUp()

    await expect(account.check()).resolves.toEqual({
      account_name: 'Demo Shop',
      account: { currency: 'EUR' },
    })
  })

  it('is asked in the version of the settings; one that has ended is named as a reason', async () => {
    const { shop, account, open } = await setUp()

    await account.check()
    await open({ settings: { api_version: '2026-07' } }).check()
    const ended = open({ settings: { api_version: '2025-01' } }).check()

    await expect(ended).rejects.toMatchObject({
      code: 'provider_not_found',
      detail: expect.stringContaining('API version'),
    })
    expect(shop.requests.map(({ path }) => path.split('/')[3])).toEqual([
      '2026-10',
      '2026-07',
      '2025-01',
    ])
  })
})

describe('a shop’s points', () => {
  it('that are used up (THROTTLED in a 200) are waited for, exactly as long as they take', async () => {
    const { shop, clock, account } = await setUp({ plan: { maximum: 1000, restoreRate: 50 } })
    const page = await account.fetchPage('products', first)
    const held = shop.load()
    clock.slept.length = 0

    const next = await account.fetchPage('products', { since: null, cursor: page.next })

    expect(shop.load().throttled).toBeGreaterThan(held.throttled)
    expect(next.records).toHaveLength(20)
    // 902 are needed for a page; the points that are missing come at 50 a second
    const waited = clock.slept.reduce((sum, ms) => sum + ms, 0)
    expect(waited).toBeGreaterThan(2_000)
    expect(waited).toBeLessThan(25_000)
    const refused = shop.load().throttled - held.throttled
    expect(clock.slept).toHaveLength(refused)
    expect(refused).toBeLessThanOrEqual(shop.load().queries - held.queries) // never twice in a row
  })

  it('are never overdrawn by whoever keeps the pauses, and most of them are used', async () => {
    const { shop, clock, open } = await setUp({
      products: 400,
      plan: { maximum: 1000, restoreRate: 100 },
    })
    const account = open({ budget: pausingBudget(clock) })
    await account.check() // tells how much is there
    const started = clock.now().getTime()

    const records = await readAll(account, 'products')

    const seconds = (clock.now().getTime() - started) / 1000
    const { points, throttled } = shop.load()
    expect(records).toHaveLength(400)
    expect(throttled).toBe(0)
    // all but what is left in the bucket at the end
    expect(points).toBeGreaterThan(0.8 * seconds * 100)
  })

  it('are no reason to pause while there are enough', async () => {
    const { clock, open } = await setUp({ plan: { maximum: 40_000, restoreRate: 2000 } })

    await readAll(open({ budget: pausingBudget(clock) }), 'products')

    expect(clock.slept).toEqual([])
  })

  it('do not suffice for too large a page: the setting that helps is named', async () => {
    const { open } = await setUp()

    const reading = open({ settings: { products_per_page: 100 } }).fetchPage('products', first)

    await expect(reading).rejects.toMatchObject({
      code: 'provider_rejected',
      detail: expect.stringContaining('fewer products a page'),
    })
    const fewer = open({ settings: { products_per_page: 5 } }).fetchPage('products', first)
    await expect(fewer).resolves.toMatchObject({ records: { length: 5 } })
  })
})

describe('Shopify says with status 200 that it failed', () => {
  it.each([
    ['INTERNAL_SERVER_ERROR', 'provider_unavailable'],
    ['TIMEOUT', 'provider_unavailable'],
    ['ACCESS_DENIED', 'provider_forbidden'],
    ['undefinedField', 'provider_rejected'],
    ['toString', 'provider_rejected'],
  ])('%s: %s', async (reason, code) => {
    const { shop, account } = await setUp()
    shop.control.setFault({ kind: 'fail_result', reason })

    await expect(account.fetchPage('products', first)).rejects.toMatchObject({ code })
    await expect(account.fetchPage('products', first)).resolves.toBeDefined()
  })

  it('beside data: half an answer is not taken for a whole one', async () => {
    const { shop, account } = await setUp()
    const body = JSON.stringify({
      data: { products: { nodes: [], pageInfo: lastPage } },
      errors: [{ message: 'Timeout', extensions: { code: 'TIMEOUT' } }],
    })
    shop.control.setFault({ kind: 'status', status: 200, body })

    await expect(account.fetchPage('products', first)).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
    await expect(account.fetchPage('products', first)).resolves.toMatchObject({
      records: { length: 20 },
    })
  })

  it('because it forgot our place: the scan begins again', async () => {
    const { account } = await setUp()

    const lost = account.fetchPage('products', {
      since: null,
      cursor: { place: { after: 'forgotten' } },
    })

    await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    await expect(account.fetchPage('products', first)).resolves.toBeDefined()
  })
})

describe('a shop in trouble', () => {
  it.each([
    [402, 'provider_forbidden', 'frozen'],
    [423, 'provider_forbidden', 'locked'],
    [404, 'provider_not_found', 'no such shop'],
  ])('%i: %s', async (status, code, reason) => {
    const { shop, account } = await setUp()
    shop.control.setFault({ kind: 'status', status })

    await expect(account.check()).rejects.toMatchObject({
      code,
      next: 'owner',
      detail: expect.stringContaining(reason),
    })
    await expect(account.check()).resolves.toBeDefined()
  })

  it('that took our app off refuses the token', async () => {
    const { shop, account } = await setUp()
    await account.check()
    shop.control.uninstall()

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
      detail: 'Shopify refuses the credentials of "demo-shop.myshopify.com".',
    })
  })
})

describe('a shop’s address', () => {
  it.each([
    'acme',
    'acme.example.com',
    'acme.myshopify.com.example.com',
    'example.com/.myshopify.com',
    'example.com#.myshopify.com',
    'user@acme.myshopify.com',
    'acme.myshopify.com:8443',
    'acme.myshopify.com/admin',
    '-acme.myshopify.com',
    'acme.sub.myshopify.com',
    'acme.myshopify.com\nexample.com',
    '127.0.0.1',
    '',
  ])('%j is refused before anything is sent', (shop) => {
    const read = (shop: string) => shopify.readAccount({ settings: { shop }, credentials: {} })

    expect(() => read(shop)).toThrow(expect.objectContaining({ code: 'invalid_settings' }))
    expect(() => read('acme.myshopify.com')).not.toThrow()
  })

  it('is one, however it is spelled', () => {
    const account = shopify.readAccount({
      settings: { shop: ' Acme.MyShopify.com ' },
      credentials: {},
    })

    expect(shopify.accountId(account)).toBe('acme.myshopify.com')
    expect(shopify.baseUrl(account)).toBe('https://acme.myshopify.com/admin/api/2026-10')
  })
})

describe('the way back from Shopify', () => {
  const auth = shopify.modes['oauth'] as OAuth2
  const verify = (
    changes: Record<string, string | null> = {},
    context: Partial<Parameters<NonNullable<OAuth2['verifyResponse']>>[1]> = {},
  ) => {
    const parameters = new URLSearchParams()
    const all = {
      timestamp: '1700000000',
      code: '0907a61c0c8d55e99db179b68161bc00',
      hmac: 'cb09c75a92bbb4d53fe63f877b76d8759dd293b6a46ef2f5f215461b1403c473',
      host: 'YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvYWNtZQ',
      shop: 'acme.myshopify.com',
      state: 'c2a1',
      ...changes,
    }
    for (const [name, value] of Object.entries(all)) if (value !== null) parameters.set(name, value)
    return auth.verifyResponse!(parameters, {
      settings: { shop: 'acme.myshopify.com' },
      client_secret: 'test_secret_0123456789',
      now: new Date(1_700_000_030_000),
      ...context,
    })
  }

  it('is taken with its signature, whatever the order of its parameters', () => {
    expect(verify()).toBe(true)
  })

  it.each([
    ['a changed code', { code: '0907a61c0c8d55e99db179b68161bc01' }],
    ['another state', { state: 'c2a2' }],
    ['a parameter more', { extra: '1' }],
    ['no signature', { hmac: null }],
    ['a cut signature', {
      hmac: 'cb09c75a92bbb4d53fe63f877b76d8759dd293b6a46ef2f5f215461b1403c473'.slice(0, 10),
    }],
    ['no time', { timestamp: null }],
    ['no shop', { shop: null }],
  ])('is refused with %s', (_, changes) => {
    expect(verify(changes)).toBe(false)
    expect(verify()).toBe(true)
  })

  it('is refused for another shop than was asked, although Shopify has signed it', () => {
    expect(verify({}, { settings: { shop: 'other.myshopify.com' } })).toBe(false)
  })

  it('is refused without our secret and with another', () => {
    expect(verify({}, { client_secret: undefined })).toBe(false)
    expect(verify({}, { client_secret: 'another' })).toBe(false)
  })

  it.each([[90, true], [91, false], [-90, true], [-91, false]])(
    'is taken %i seconds later: %s',
    (seconds, taken) => {
      const now = new Date((1_700_000_000 + seconds) * 1000)

      expect(verify({}, { now })).toBe(taken)
    },
  )

  it('is refused when a parameter comes twice', () => {
    const parameters = new URLSearchParams(
      'code=1&code=2&hmac=x&shop=acme.myshopify.com&timestamp=1700000000',
    )

    expect(auth.verifyResponse!(parameters, {
      settings: { shop: 'acme.myshopify.com' },
      client_secret: 'test_secret_0123456789',
      now: new Date(1_700_000_000_000),
    })).toBe(false)
  })

  it('is taken with values signed as they are, or encoded', () => {
    const special = { code: '0907a61c', host: 'YWRtaW4/', state: 'a b' }

    expect(
      verify({
        ...special,
        hmac: 'a09aea1962f8ba33a003c6c6a964305fbe7123d1e3742ca5f4728dad6bba9649',
      }),
    ).toBe(true)
    expect(
      verify({
        ...special,
        hmac: '4ac8b8da0bde15a755052288500cc1b6a2d849033933fd859be1ef7ca20c79be',
      }),
    ).toBe(true)
  })
})

describe('a sign-in at a shop', () => {
  const auth = shopify.modes['oauth'] as OAuth2
  const REDIRECT_URI = 'https://app.example/oauth-callback'

  /** Through the consent page and to the token endpoint, as the connector declares them. */
  async function signIn() {
    const { shop, clock, open } = await setUp()
    const at = (endpoint: string) =>
      shop.url + new URL(endpoint.replace('{shop}', 'shop.example'))
        .pathname
    const url = new URL(at(auth.authorization_endpoint))
    url.search = new URLSearchParams({
      client_id: shop.client.client_id,
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      scope: auth.scope.split(' ').join(auth.scopeSeparator),
      state: 'state-1',
    }).toString()
    const landed = await browser().authorize(url.href, { stopAt: REDIRECT_URI })
    const callback = new URL(landed.url).searchParams
    const token = async (form: Record<string, string>) => {
      const answer = await fetch(at(auth.token_endpoint), {
        method: 'POST',
        body: new URLSearchParams({ ...shop.client, ...auth.tokenParameters, ...form }),
      })
      return { status: answer.status, body: await answer.json() as Record<string, string> }
    }
    return { shop, clock, open, callback, token }
  }

  it('comes back signed for that shop, and ends in a token that reads products', async () => {
    const { shop, clock, open, callback, token } = await signIn()

    const verified = auth.verifyResponse!(callback, {
      settings: shop.settings,
      client_secret: shop.client.client_secret,
      now: clock.now(),
    })
    const { body } = await token({
      grant_type: 'authorization_code',
      code: callback.get('code')!,
      redirect_uri: REDIRECT_URI,
    })

    expect(verified).toBe(true)
    expect(auth.readTokenAnswer!(body)).toMatchObject({ scope: 'read_products', expires_in: 3600 })
    const page = await open({ token: body['access_token']! }).fetchPage('products', first)
    expect(page.records).toHaveLength(20)
  })

  it('gives tokens that rotate, and ends when our app is taken off', async () => {
    const { shop, open, callback, token } = await signIn()
    const { body } = await token({
      grant_type: 'authorization_code',
      code: callback.get('code')!,
      redirect_uri: REDIRECT_URI,
    })
    const refreshed = await token({
      grant_type: 'refresh_token',
      refresh_token: body['refresh_token']!,
    })
    const account = open({ token: refreshed.body['access_token']! })
    await account.check()

    const path = auth.revoke!.path.replace('{shop}', shop.settings.shop)
    await account.call({ method: auth.revoke!.method!, path })

    expect(refreshed.body['refresh_token']).not.toBe(body['refresh_token'])
    await expect(account.check()).rejects.toMatchObject({ code: 'provider_unauthorized' })
  })

  it('asks for tokens that end, with our secret in the body and without PKCE', () => {
    expect(auth).toMatchObject({
      tokenParameters: { expiring: '1' },
      token_endpoint_auth_method: 'client_secret_post',
      pkce: false,
      scopeSeparator: ',',
    })
  })

  it.each([
    ['read_products,read_orders', 'read_products read_orders'],
    ['write_products', 'write_products read_products'],
    ['read_products,write_products', 'read_products write_products'],
  ])('that grants %j can do %j', (scope, words) => {
    expect(auth.readTokenAnswer!({ access_token: 't', scope })).toEqual({
      access_token: 't',
      scope: words,
    })
  })
})
