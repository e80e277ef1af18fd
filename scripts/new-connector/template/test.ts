import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccount } from '../../../supabase/functions/_shared/connectors/account.ts'
import { parseRecord } from '../../../supabase/functions/_shared/connectors/parse-record.ts'
import { memoryTokenCache } from '../../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { conformance, readAll } from '../../../tests/connectors/conformance.ts'
import { fakeClock } from '../../../tests/support/fake-clock.ts'
import { acmeStore } from './connector.ts'
import { type AcmeStoreSimulatorOptions, startAcmeStoreSimulator } from './simulator.ts'

// TODO: records as the platform documents them
const stool = { id: 'p1', title: 'Oak stool', price: 49.5, updated_at: '2026-11-20T09:00:00Z' }
const lamp = { id: 'p2', title: 'Lamp', price: null, updated_at: '2026-11-20T09:00:00Z' }
const source_updated_at = '2026-11-20T09:00:00.000Z'
const columns = {
  name: 'Oak stool',
  description: null,
  brand: null,
  category: null,
  sku: null,
  status: 'active' as const,
  price_amount: '49.5',
  price_currency: 'USD',
  price_tiers: [],
  variants: [],
  image_urls: [],
  stock_quantity: null,
}

conformance(acmeStore, {
  settings: { shop: 'north' },
  credentials: { api_key: 'secret-of-north' },
  streams: {
    products: {
      pages: [[stool], [lamp]],
      body: (records, { page, last }) => ({
        data: records,
        paging: { next: last ? null : `place-${page + 1}` },
      }),
      synced: [
        { source_id: 'p1', source_updated_at, columns },
        {
          source_id: 'p2',
          source_updated_at,
          columns: { ...columns, name: 'Lamp', price_amount: null },
        },
      ],
      required: 'title',
      wrongType: { path: 'price', value: 'a lot' },
    },
  },
})

/** A simulated platform and an account connected to it, on one clock. */
async function setUp(options: AcmeStoreSimulatorOptions = {}) {
  const clock = fakeClock('2026-11-20T09:00:00Z')
  const platform = await startAcmeStoreSimulator({
    requestsPerSecond: 0,
    now: clock.now,
    ...options,
  })
  onTestFinished(platform.stop)
  const open = (credentials: object = platform.credentials) =>
    openAccount({
      connector: acmeStore,
      settings: platform.settings,
      credentials,
      clock,
      tokens: memoryTokenCache(),
      overrides: { 'acme-store': { baseUrl: platform.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
      }),
    })
  return { platform, clock, open, account: open() }
}

// TODO: the quirks of the platform, each as a promise
describe('Acme Store', () => {
  it('is read whole, page by page', async () => {
    const { platform, account } = await setUp()

    const records = await readAll(account, 'products')

    const parsed = records.map((raw) =>
      parseRecord(acmeStore, 'products', raw, { settings: platform.settings, account: {} })
    )
    expect(records).toEqual(platform.products)
    expect(parsed.every(({ ok }) => ok)).toBe(true)
    expect(platform.requests).toHaveLength(3)
  })

  it('shows in a delta what changed, and nothing else', async () => {
    const { platform, account } = await setUp()
    const changed = platform.control.change(3)

    const records = await readAll(account, 'products', '2026-11-20T09:00:30Z')

    expect(records.map((raw) => acmeStore.streams.products!.id(raw))).toEqual(changed)
  })

  it('refuses a wrong key, and the right one passes the check', async () => {
    const { account, open } = await setUp()

    await expect(open({ api_key: 'wrong' }).check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
    })
    await expect(account.check()).resolves.toEqual({ account: {} })
  })

  it('is waited for when it asks for a pause', async () => {
    const { platform, account, clock } = await setUp()
    platform.control.setFault({ kind: 'retry_after', retry_after: 3 })

    await account.check()

    expect(clock.slept).toEqual([3_000])
  })
})

it('the simulator counts its limit', async () => {
  const { platform } = await setUp({ requestsPerSecond: 2 })
  const headers = { authorization: `Bearer ${platform.credentials.api_key}` }

  const statuses: number[] = []
  for (let count = 0; count < 3; count++) {
    statuses.push((await fetch(`${platform.url}/v1/products`, { headers })).status)
  }

  expect(statuses).toEqual([200, 200, 429])
})
