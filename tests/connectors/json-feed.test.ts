import { describe, expect, it, onTestFinished } from 'vitest'
import { startJsonFeedSimulator } from '../../scripts/simulators/json-feed.ts'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { jsonFeed } from '../../supabase/functions/_shared/connectors/json-feed.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll } from './conformance.ts'
import { jsonFeedWebhooks } from './webhooks/json-feed.ts'

const settings = { url: 'https://shop.example/products.json' }

conformance(jsonFeed, {
  settings,
  credentials: {},
  webhooks: jsonFeedWebhooks,
  streams: {
    products: {
      pages: [[
        {
          id: 'SKU-1',
          name: 'Oak stool',
          description: 'Made of oak.',
          brand: 'Fieldnotes',
          category: 'home',
          sku: 'OAK-1',
          active: true,
          price: 49.5,
          currency: 'EUR',
          stock: 12,
          images: ['https://images.example/1.jpg'],
          updated_at: '2026-11-20T10:00:00+01:00',
        },
        {
          id: 2,
          name: 'Lamp',
          price: '12.00',
          image: 'https://images.example/2.jpg',
          active: false,
        },
      ]],
      body: (records) => records,
      synced: [
        {
          source_id: 'SKU-1',
          source_updated_at: '2026-11-20T09:00:00.000Z',
          columns: {
            name: 'Oak stool',
            description: 'Made of oak.',
            brand: 'Fieldnotes',
            category: 'home',
            sku: 'OAK-1',
            status: 'active',
            price_amount: '49.5',
            price_currency: 'EUR',
            price_tiers: [],
            variants: [],
            image_urls: ['https://images.example/1.jpg'],
            stock_quantity: '12',
          },
        },
        {
          source_id: '2',
          source_updated_at: null,
          columns: {
            name: 'Lamp',
            description: null,
            brand: null,
            category: null,
            sku: null,
            status: 'inactive',
            price_amount: '12',
            price_currency: 'USD',
            price_tiers: [],
            variants: [],
            image_urls: ['https://images.example/2.jpg'],
            stock_quantity: null,
          },
        },
      ],
      required: 'name',
      wrongType: { path: 'price', value: 'a lot' },
    },
  },
})

describe('json-feed', () => {
  it.each([false, true])('reads a feed over HTTP (wrapped: %s)', async (wrapped) => {
    const feed = await startJsonFeedSimulator({ products: 30, wrapped })
    onTestFinished(feed.stop)

    const records = await readAll(open({ url: feed.url }), 'products')

    const parsed = records.map((raw) =>
      parseRecord(jsonFeed, 'products', raw, { settings, account: {} })
    )
    expect(parsed.map((result) => result.ok && result.record.source_id)).toEqual(
      feed.products.map(({ id }) => id),
    )
  })

  it.each(['not an address', 'ftp://shop.example/a.json', 'javascript:alert(1)', ''])(
    'refuses the address %j and accepts a web address',
    (url) => {
      expect(() => open({ url })).toThrow(expect.objectContaining({ code: 'invalid_settings' }))
      expect(() => open(settings)).not.toThrow()
    },
  )

  it('takes a missing record for gone: everything comes in one answer', () => {
    expect(jsonFeed.streams.products!.confirmsAbsence).toBe(true)
  })

  it('shares its rate limit with nobody else on the same host, whose feed may be down', () => {
    const key = (url: string) =>
      jsonFeed.budgetKey({ settings: { url }, credentials: {}, account: {} })

    expect(key('https://shop.example/a.json')).toBe(key('https://shop.example/a.json'))
    expect(key('https://shop.example/a.json')).not.toBe(key('https://shop.example/b.json'))
  })
})

function open(settings: { url: string }) {
  const clock = fakeClock('2026-11-20T09:00:00Z')
  return openAccount({
    connector: jsonFeed,
    settings,
    credentials: {},
    clock,
    tokens: memoryTokenCache(),
    http: createHttpClient({ clock, allowPrivateNetworks: true }),
  })
}

it('is read again when files were pushed to its repository at GitHub, and not for other news', () => {
  const heard = (event: string) =>
    jsonFeed.webhooks!.notices({
      body: { ref: 'refs/heads/main' },
      headers: new Headers({ 'x-github-event': event, 'x-github-delivery': 'd-1' }),
      hash: 'a hash',
      received_at: '2026-11-20T09:00:00Z',
    })

  expect(heard('push')).toMatchObject([{ stream: 'products', whole_stream: true }])
  expect(heard('star')).toEqual([])
})
