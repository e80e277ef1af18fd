import { generateKeyPairSync, verify } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startTreezSimulator, type TreezSimulatorOptions } from '../../scripts/simulators/treez.ts'
import { type Account, openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { treez } from '../../supabase/functions/_shared/connectors/treez.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import type { AppError } from '../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'
import { treezWebhooks } from './webhooks/treez.ts'

const NOW = '2026-11-20T09:00:00Z'

const flower = {
  product_id: '6c0f0c1e-1111-4222-8333-944445555666',
  product_status: 'ACTIVE',
  last_updated_at: '2026-10-20T09:15:00.000-07:00',
  sellable_quantity: 12.0,
  category_type: 'FLOWER',
  product_configurable_fields: {
    name: 'LEMON DRIFT - 3.5 GRAMS',
    uom: 'GRAMS',
    brand: 'ACME',
    size: '3.5 G',
  },
  pricing: { price_type: 'FLAT', price_sell: 45.1, discounted_price: null, tier_name: null },
  product_barcodes: [{ sku: '0123', type: 'UPC', created_date: '2026-01-01T00:00:00.000-08:00' }],
  e_commerce: {
    all_images: ['https://images.example/1.jpg', 'https://images.example/2.jpg'],
    primary_image: 'https://images.example/1.jpg',
    product_description: 'Bright.',
  },
  lab_results: [{ result_type: 'THC', amount: { minimum_value: '10', maximum_value: 12 } }],
  merged_from_product_ids: [],
}
const tiered = {
  ...flower,
  product_id: 'tiered',
  product_status: 'DEACTIVATED',
  pricing: {
    price_type: 'TIER',
    price_sell: null,
    tier_name: 'TOP SHELF',
    tier_pricing_detail: [
      { start_value: 1, price_per_value: 12 },
      { start_value: 3.5, price_per_value: 10.29 },
    ],
  },
  merged_from_product_ids: ['old-1', 'old-2'],
}
const bare = {
  product_id: 'bare',
  product_status: 'ACTIVE',
  product_configurable_fields: { name: 'Gift card' },
}

const columns: SyncedRecord['columns'] = {
  name: 'LEMON DRIFT - 3.5 GRAMS',
  description: 'Bright.',
  brand: 'ACME',
  category: 'FLOWER',
  sku: '0123',
  status: 'active',
  price_amount: '45.1',
  price_currency: 'USD',
  price_tiers: [],
  variants: [],
  image_urls: ['https://images.example/1.jpg', 'https://images.example/2.jpg'],
  stock_quantity: '12',
}

const products: StreamFixture = {
  pages: [[flower, tiered], [bare]],
  body: (records, { total }) => ({
    resultCode: 'SUCCESS',
    resultReason: null,
    resultDetail: null,
    data: { page_count: records.length, total_count: total, product_list: records },
  }),
  synced: [
    {
      source_id: flower.product_id,
      source_updated_at: '2026-10-20T16:15:00.000Z',
      columns,
      supersedes: [],
    },
    {
      source_id: 'tiered',
      source_updated_at: '2026-10-20T16:15:00.000Z',
      columns: {
        ...columns,
        status: 'inactive',
        price_amount: null,
        price_tiers: [{ start: '1', amount: '12' }, { start: '3.5', amount: '10.29' }],
      },
      supersedes: ['old-1', 'old-2'],
    },
    {
      source_id: 'bare',
      source_updated_at: null,
      columns: {
        name: 'Gift card',
        description: null,
        brand: null,
        category: null,
        sku: null,
        status: 'active',
        price_amount: null,
        price_currency: 'USD',
        price_tiers: [],
        variants: [],
        image_urls: [],
        stock_quantity: null,
      },
      supersedes: [],
    },
  ],
  required: 'product_configurable_fields.name',
  wrongType: { path: 'pricing.price_sell', value: 'call us' },
}

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const certificate = {
  certificate_id: 'certificate-1',
  organization_id: 'organization-1',
  private_key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
}

conformance(treez, {
  webhooks: treezWebhooks,
  settings: { dispensary: 'acme' },
  credentials: { client_id: 'client-1', api_key: 'api-key-of-acme' },
  other: {
    'POST /v2.0/dispensary/acme/config/api/gettokens': {
      resultCode: 'SUCCESS',
      access_token: 'token-1',
      expires_at: '2026-11-20T03:00:00.000-0800',
      expires_in: '7200',
      refresh_token: 'unused',
    },
  },
  streams: { products },
}, 'v2')

conformance(treez, {
  webhooks: treezWebhooks,
  settings: { dispensary: 'acme', api_version: 'v3' },
  credentials: certificate,
  other: { 'POST /service/jwt-validation': { valid: true, timeRemaining: 29_000 } },
  streams: { products },
}, 'v3')

type Version = 'v2' | 'v3'

/** A simulated store and an account connected to it, on one clock. */
async function setUp(version: Version = 'v2', options: TreezSimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const store = await startTreezSimulator({
    products: 120,
    requestsPerSecond: 0,
    now: clock.now,
    ...options,
  })
  onTestFinished(store.stop)
  const tokens = memoryTokenCache()
  const open = (more: { settings?: object; credentials?: object } = {}): Account =>
    openAccount({
      connector: treez,
      settings: { ...store.settings, api_version: version, ...more.settings },
      credentials: { ...store.credentials[version], ...more.credentials },
      clock,
      tokens,
      overrides: { treez: { baseUrl: store.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
      }),
    })
  const exchanges = () => store.requests.filter(({ path }) => path.endsWith('/gettokens')).length
  return { store, clock, tokens, open, account: open(), exchanges }
}

const parse = (raw: unknown) =>
  parseRecord(treez, 'products', raw, {
    settings: { dispensary: 'demo', currency: 'USD' },
    account: {},
  })
const idsOf = (records: unknown[]) => records.map((raw) => treez.streams.products!.id(raw))

describe.each<Version>(['v2', 'v3'])('a Treez store over %s', (version) => {
  it('is read whole: what is sound is mapped, what is broken is refused by its id', async () => {
    const { store, account } = await setUp(version, { products: 700, brokenShare: 0.02 })

    const records = await readAll(account, 'products')

    const parsed = records.map(parse)
    const sound = parsed.flatMap((result) => result.ok ? [result.record.source_id] : [])
    expect(records).toEqual(store.catalog())
    expect(sound).toEqual(store.ids('sound'))
    expect(parsed.length - sound.length).toBe(store.ids('broken').length)
    expect(store.ids('broken').length).toBeGreaterThan(3)
  })

  it('shows in a delta what changed, also what was deactivated, and no sales', async () => {
    const { store, clock, account } = await setUp(version)
    clock.advance(600_000)
    const [first, second, third] = store.ids('sound')
    store.control.change([first!])
    store.control.change([second!], { product_status: 'DEACTIVATED' })
    store.control.sell([third!])

    const records = await readAll(account, 'products', '2026-11-20T09:05:00Z')

    expect(idsOf(records)).toEqual([first, second])
    expect(parse(records[1])).toMatchObject({
      ok: true,
      record: { columns: { status: 'inactive' } },
    })
  })

  it('keeps what changed shortly before the saved time in the delta', async () => {
    const { store, clock, account } = await setUp(version)
    clock.advance(600_000)
    const [changed] = store.control.change(1)

    const records = await readAll(account, 'products', '2026-11-20T09:10:30Z')

    expect(idsOf(records)).toEqual([changed])
  })

  it('tells by the survivor which products were merged into it', async () => {
    const { store, account } = await setUp(version)
    const [loser, survivor] = store.ids('sound')
    store.control.merge(loser!, survivor!)

    const records = await readAll(account, 'products')

    const merged = records.map(parse).find((result) =>
      result.ok && result.record.source_id === survivor
    )
    expect(merged).toMatchObject({ record: { supersedes: expect.arrayContaining([loser]) } })
    expect(idsOf(records)).not.toContain(loser)
  })

  it('confirms by id that a product is gone and that another is there', async () => {
    const { store, account } = await setUp(version)
    const [gone] = store.control.remove(1)
    const [there] = store.ids('sound')

    const found = await account.lookup('products', [there!, gone!])

    expect(idsOf(found)).toEqual([there])
  })

  it('passes the check with good credentials and fails it with revoked ones', async () => {
    const { store, account, open, tokens } = await setUp(version)

    await expect(account.check()).resolves.toEqual({ account: {} })
    store.control.revokeCredentials()
    await tokens.clear()

    await expect(open().check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
      detail: 'Treez refuses the credentials of "demo".',
    })
  })
})

describe('a Treez token', () => {
  it('is fetched once for a whole scan and kept for the next account object', async () => {
    const { account, open, exchanges } = await setUp()

    await readAll(account, 'products')
    await readAll(open(), 'products')

    expect(exchanges()).toBe(1)
  })

  it('is replaced shortly before its two hours are over', async () => {
    const { account, clock, exchanges } = await setUp()
    await account.fetchPage('products', { since: null, cursor: null })
    clock.advance(7_200_000 - 61_000)
    await account.fetchPage('products', { since: null, cursor: null })
    expect(exchanges()).toBe(1)

    clock.advance(2_000)
    await account.fetchPage('products', { since: null, cursor: null })

    expect(exchanges()).toBe(2)
  })

  it('that ended early is replaced once, in the middle of a scan', async () => {
    const { store, account, exchanges } = await setUp()
    const { next } = await account.fetchPage('products', { since: null, cursor: null })
    store.control.expireTokens()

    const page = await account.fetchPage('products', { since: null, cursor: next })

    expect(page.records).toHaveLength(50)
    expect(exchanges()).toBe(2)
  })

  it('that ended shows as an answer without data: it is replaced and the page arrives', async () => {
    const { store, account, exchanges } = await setUp()
    store.control.setFault({ kind: 'no_data', path: 'product_list' })

    const page = await account.fetchPage('products', { since: null, cursor: null })

    expect(page.records).toHaveLength(50)
    expect(exchanges()).toBe(2)
  })

  it('is not asked for again and again when answers stay without data', async () => {
    const { store, account, exchanges } = await setUp()
    store.control.setFault({ kind: 'no_data', path: 'product_list', times: null })

    const reading = account.fetchPage('products', { since: null, cursor: null })

    await expect(reading).rejects.toMatchObject({ code: 'provider_bad_answer' })
    expect(exchanges()).toBe(2)
  })

  it('is not handed out for a wrong key, which the error does not repeat', async () => {
    const { open } = await setUp()
    const account = open({ credentials: { api_key: 'wrong-key-of-demo' } })

    const error = await account.check().then(() => null, (error: AppError) => error)

    expect(error).toMatchObject({ code: 'provider_unauthorized', next: 'owner' })
    expect(JSON.stringify([error?.detail, error?.errors])).not.toContain('wrong-key')
    await expect(open().check()).resolves.toEqual({ account: {} })
  })

  it('is not handed out during an outage, which is not the owner’s fault', async () => {
    const { store, account } = await setUp()
    store.control.setFault({ kind: 'status', status: 503, path: 'gettokens', times: null })

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_unavailable',
      next: 'retry',
    })
    store.control.clearFaults()

    await expect(account.check()).resolves.toEqual({ account: {} })
  })
})

describe('Treez says FAIL with status 200', () => {
  it.each([
    ['INTERNAL_ERROR', 'provider_unavailable'],
    ['SOMETHING_NEW', 'provider_unavailable'],
    ['INVALID_DATE_FORMAT', 'provider_rejected'],
    ['UNAUTHORIZED', 'provider_unauthorized'],
  ])('for %s: %s', async (reason, code) => {
    const { store, account } = await setUp()
    store.control.setFault({ kind: 'fail_result', reason, path: 'product_list', times: null })

    const reading = account.fetchPage('products', { since: null, cursor: null })
    await expect(reading).rejects.toMatchObject({ code })
    store.control.clearFaults()

    await expect(account.fetchPage('products', { since: null, cursor: null })).resolves
      .toBeDefined()
  })
})

describe('a Treez request', () => {
  it('asks for 50 active and inactive products, never more', async () => {
    const { store, account } = await setUp()

    await account.fetchPage('products', { since: null, cursor: null, size: 500 })

    expect(store.requests.at(-1)?.path).toBe(
      '/v2.0/dispensary/demo/product/product_list?active=ALL&pagesize=50&page=1',
    )
  })

  it('carries the time of a delta as Treez wants it', async () => {
    const { store, account } = await setUp()

    await account.fetchPage('products', { since: '2026-11-20T08:01:00Z', cursor: null })

    expect(store.requests.at(-1)?.path).toContain(
      '/lastUpdated/after/2026-11-20T00%3A00%3A00.000-08%3A00?',
    )
  })

  it.each([
    ['the raw token', '', 'token'],
    ['a prefix', 'Bearer ', 'Bearer token'],
  ])('authenticates with %s and the client id (v2)', (_, token_prefix, authorization) => {
    const account = treez.readAccount({
      settings: { dispensary: 'demo', token_prefix },
      credentials: { client_id: 'client-1', api_key: 'key' },
    })
    const auth = treez.auth(account.settings)

    expect(auth.type === 'token_exchange' && auth.headers('token', account))
      .toEqual({ authorization, client_id: 'client-1' })
  })

  it('is signed for its URL, 30 seconds, in milliseconds, anew each time (v3)', () => {
    const url = 'https://api-prod.treez.io/dispensary/v3/demo/product/product_list?page=1'

    const one = signedToken({}, url)
    const two = signedToken({}, url)

    expect(one.claims).toEqual({
      aud: url,
      iss: 'certificate-1',
      oid: 'organization-1',
      iat: Date.parse(NOW),
      exp: Date.parse(NOW) + 30_000,
      jti: expect.any(String),
    })
    expect(one.claims.jti).not.toBe(two.claims.jti)
    expect(
      verify(
        'RSA-SHA256',
        Buffer.from(one.segment),
        keys.publicKey,
        Buffer.from(one.signature, 'base64url'),
      ),
    )
      .toBe(true)
  })

  it('is signed as other clients do it, where the settings say so (v3)', () => {
    const url = 'https://api-prod.treez.io/dispensary/v3/demo/product/product_list?page=1'

    const token = signedToken(
      { token_prefix: 'Bearer ', signature_encoding: 'base64', audience_includes_query: false },
      url,
    )

    expect(token.header).toMatch(/^Bearer /)
    expect(token.claims.aud).toBe(url.split('?')[0])
    expect(token.signature).toMatch(/^[A-Za-z0-9+/]+=*$/)
    expect(token.signature).toHaveLength(344)
  })

  it.each([{ signature_encoding: 'base64' }, { token_prefix: 'Bearer ' }, {
    audience_includes_query: false,
  }])(
    'is understood by the store with %j (v3)',
    async (settings) => {
      const { open } = await setUp('v3')

      const page = await open({ settings }).fetchPage('products', { since: null, cursor: null })

      expect(page.records).toHaveLength(50)
    },
  )
})

describe('a Treez connect form', () => {
  const settings = { dispensary: 'demo' }
  const credentials = { client_id: 'client-1', api_key: 'key' }

  it('fills in what may be left out', () => {
    expect(treez.readAccount({ settings, credentials }).settings).toEqual({
      dispensary: 'demo',
      currency: 'USD',
      api_version: 'v2',
      token_prefix: '',
      signature_encoding: 'base64url',
      audience_includes_query: true,
    })
  })

  it.each([
    ['invalid_settings', { dispensary: '../other' }, credentials, ['settings.dispensary']],
    ['invalid_settings', {}, credentials, ['settings.dispensary']],
    ['invalid_settings', { ...settings, colour: 'red' }, credentials, ['settings.colour']],
    ['invalid_settings', null, credentials, ['settings']],
    ['invalid_credentials', settings, { client_id: '', api_key: 'key' }, ['credentials.client_id']],
    ['invalid_credentials', settings, {}, ['credentials.client_id', 'credentials.api_key']],
    ['invalid_credentials', { ...settings, api_version: 'v3' }, {
      ...certificate,
      private_key: 'x',
    }, [
      'credentials.private_key',
    ]],
  ])('is refused with %s for %j', (code, badSettings, badCredentials, paths) => {
    const read = () => treez.readAccount({ settings: badSettings, credentials: badCredentials })

    expect(read).toThrow(expect.objectContaining({
      code,
      errors: paths.map((path) => expect.objectContaining({ path })),
    }))
  })

  it('wants the credentials of the chosen version', () => {
    const v3 = { ...settings, api_version: 'v3' }

    expect(() => treez.readAccount({ settings: v3, credentials })).toThrow(
      'These credentials cannot be used',
    )
    expect(() => treez.readAccount({ settings: v3, credentials: certificate })).not.toThrow()
  })

  it('takes two spellings of one store for one account', () => {
    expect(treez.accountId({ settings: { dispensary: 'Demo' }, credentials: {}, account: {} }))
      .toBe('demo')
  })

  it('shares the rate limit between the stores of one client id, without showing it', () => {
    const key = (dispensary: string, client_id: string) =>
      treez.budgetKey({ settings: { dispensary }, credentials: { client_id }, account: {} })

    expect(key('one', 'client-1')).toBe(key('two', 'client-1'))
    expect(key('one', 'client-1')).not.toBe(key('one', 'client-2'))
    expect(key('one', 'client-1')).not.toContain('client-1')
  })
})

function signedToken(settings: object, url: string) {
  const account = treez.readAccount({
    settings: { dispensary: 'demo', api_version: 'v3', ...settings },
    credentials: certificate,
  })
  const auth = treez.auth(account.settings)
  if (auth.type !== 'signed_request') throw new Error('v3 signs its requests')
  const header = auth.headers(account, { method: 'GET', url, now: new Date(NOW) }).authorization!
  const [segment, signature] = header.replace('Bearer ', '').split('.') as [string, string]
  const claims = JSON.parse(Buffer.from(segment, 'base64url').toString()) as Record<string, unknown>
  return { header, segment, signature, claims }
}
