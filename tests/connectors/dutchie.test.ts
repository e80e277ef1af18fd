import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type DutchieSimulatorOptions,
  startDutchieSimulator,
} from '../../scripts/simulators/dutchie.ts'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { dutchie } from '../../supabase/functions/_shared/connectors/dutchie.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'

const NOW = '2026-11-20T09:00:00Z'

const flower = {
  productId: 101,
  sku: 'ACM-35-LD',
  productName: 'Lemon Drift 3.5g',
  description: 'Bright.',
  category: 'Pre-packed flower',
  masterCategory: 'Flower',
  brandName: 'Acme',
  strainType: 'Sativa',
  price: 40.0,
  recPrice: 41,
  medPrice: 35.5,
  thcContent: 24.1,
  thcContentUnit: '%',
  isActive: true,
  isCannabis: true,
  imageUrl: 'https://img.example.com/101.png',
  imageUrls: ['https://img.example.com/101.png', 'https://img.example.com/101-b.png'],
  tags: [],
  lastModifiedDateUTC: '2026-11-01T17:20:00Z',
}
const retired = {
  productId: 102,
  productName: 'Old Gummies',
  onlineDescription: 'Sold out.',
  masterCategory: 'Edibles',
  isActive: false,
  price: null,
  recPrice: null,
  medPrice: 12.25,
  lastModifiedDateUTC: '2026-10-01T00:00:00.1234567',
}

const columns = {
  name: 'Lemon Drift 3.5g',
  description: 'Bright.',
  brand: 'Acme',
  category: 'Pre-packed flower',
  sku: 'ACM-35-LD',
  status: 'active' as const,
  price_amount: '40',
  price_currency: 'USD',
  price_tiers: [],
  variants: [],
  image_urls: ['https://img.example.com/101.png', 'https://img.example.com/101-b.png'],
  stock_quantity: null,
}

const products: StreamFixture = {
  pages: [[flower, retired]],
  body: (records) => records,
  synced: [
    { source_id: '101', source_updated_at: '2026-11-01T17:20:00.000Z', columns },
    {
      source_id: '102',
      source_updated_at: '2026-10-01T00:00:00.123Z',
      columns: {
        ...columns,
        name: 'Old Gummies',
        description: 'Sold out.',
        brand: null,
        category: 'Edibles',
        sku: null,
        status: 'inactive',
        price_amount: '12.25',
        image_urls: [],
      },
    },
  ],
  required: 'productName',
  wrongType: { path: 'price', value: 'call us' },
}

conformance(dutchie, {
  settings: {},
  credentials: { location_key: 'location-key-of-acme' },
  account: { location_id: '4711' },
  other: { 'GET /whoami': { locationId: 4711, locationName: 'Harbor Street' } },
  streams: { products },
})

/** A simulated location and an account connected to it, on one clock. */
async function setUp(options: DutchieSimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const location = await startDutchieSimulator({ products: 60, now: clock.now, ...options })
  onTestFinished(location.stop)
  const open = (credentials: Record<string, string> = location.credentials) =>
    openAccount({
      connector: dutchie,
      settings: location.settings,
      credentials,
      clock,
      tokens: memoryTokenCache(),
      overrides: { dutchie: { baseUrl: location.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
      }),
    })
  return { location, clock, open, account: open() }
}

const parse = (raw: unknown) => {
  const parsed = parseRecord(dutchie, 'products', raw, {
    settings: { currency: 'CAD' },
    account: {},
  })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record
}
const idsOf = (records: unknown[]) => records.map((raw) => dutchie.streams.products!.id(raw))

describe('a Dutchie location', () => {
  it('is read whole in one answer, inactive products among them', async () => {
    const { location, account } = await setUp()

    const records = await readAll(account, 'products')

    expect(idsOf(records)).toEqual(location.ids())
    const inactive = location.catalog().filter(({ isActive }) => !isActive)
    expect(inactive.length).toBeGreaterThan(2)
    expect(
      records.map(parse).filter(({ columns }) =>
        columns && 'status' in columns &&
        columns.status === 'inactive'
      ),
    ).toHaveLength(inactive.length)
    expect(location.requests.map(({ path }) => path)).toEqual(['/reporting/products'])
  })

  it('that writes PascalCase gives the same products', async () => {
    const camel = await setUp()
    const pascal = await setUp({ pascalCase: true })

    const [one, two] = await Promise.all(
      [camel, pascal].map(async ({ account }) => await readAll(account, 'products')),
    )

    expect(one![0]).toHaveProperty('productId')
    expect(two![0]).toHaveProperty('ProductId')
    expect(two!.map(parse)).toEqual(one!.map(parse))
    expect(idsOf(two!)).toEqual(idsOf(one!))
    expect(await pascal.account.check()).toEqual(await camel.account.check())
  })

  it('is asked for what changed, from a minute before', async () => {
    const { location, clock, account } = await setUp()
    clock.advance(600_000)
    const [early] = location.control.change(1, { isActive: false })
    clock.advance(30_000)
    const [late] = location.control.change([location.ids()[7]!])

    const since = clock.now().toISOString()
    const records = await readAll(account, 'products', since)

    expect(idsOf(records).sort()).toEqual([early, late].sort())
    expect(location.requests.at(-1)?.path).toBe(
      '/reporting/products?fromLastModifiedDateUTC=2026-11-20T09%3A09%3A30.000Z',
    )
  })

  it('tells which location a key opens', async () => {
    const { account } = await setUp({ location: { id: 9, name: 'Pine Street' } })

    const proved = await account.check()

    expect(proved).toEqual({
      account_name: 'Pine Street',
      account: { location_id: '9', location_name: 'Pine Street' },
    })
    expect(dutchie.accountId({ settings: {}, credentials: {}, account: proved.account })).toBe('9')
  })

  it('that does not say whom a key belongs to is not connected', async () => {
    const { location, account } = await setUp()
    location.control.setFault({ kind: 'status', status: 200, path: 'whoami', body: '{"region":1}' })

    await expect(account.check()).rejects.toMatchObject({ code: 'provider_bad_answer' })
    await expect(account.check()).resolves.toMatchObject({ account: { location_id: '4711' } })
  })
})

describe('a Dutchie key', () => {
  it('stands alone, or beside the integrator’s where the location wants it', async () => {
    const alone = await setUp()
    const both = await setUp({ integratorKey: 'our: integrator key' })
    const { location_key } = both.location.credentials

    await expect(alone.account.check()).resolves.toBeDefined()
    await expect(both.account.check()).resolves.toBeDefined()
    await expect(both.open({ location_key }).check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
    })
  })

  it('without the role Reporting is told so by name', async () => {
    const { location, account } = await setUp()
    location.control.allowReporting(false)

    await expect(readAll(account, 'products')).rejects.toMatchObject({
      code: 'provider_forbidden',
      detail: expect.stringContaining('Reporting'),
    })
    location.control.allowReporting(true)

    await expect(readAll(account, 'products')).resolves.toHaveLength(60)
  })
})

describe('Dutchie’s limit', () => {
  it.each([[true, [59_000]], [false, [125, 250, 500]]])(
    'is waited for (429, Retry-After: %s)',
    async (retryAfter, slept) => {
      const { location, clock, account } = await setUp({ requestsPerMinute: 1, retryAfter })
      await account.fetchPage('products', { since: null, cursor: null })
      clock.advance(retryAfter ? 1_000 : 59_200)

      const page = await account.fetchPage('products', { since: null, cursor: null })

      expect(page.records).toHaveLength(60)
      expect(clock.slept).toEqual(slept)
      expect(location.load().refused).toBe(slept.length)
    },
  )

  it('leaves room for the budget that is declared', async () => {
    const { requestsPerSecond, burst } = dutchie.rateLimit
    const { location, clock, account } = await setUp()
    const pauseMs = 1000 / requestsPerSecond

    // as the budget lets them through: the burst at once, the others one by one
    for (let request = 0; request < 150; request++) {
      if (request >= burst) clock.advance(pauseMs)
      await account.fetchPage('products', { since: NOW, cursor: null })
    }

    expect(location.load().refused).toBe(0)
    expect(location.load().most).toBeGreaterThan(80)
  })
})
