import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ConnectorInfo } from '../../../supabase/functions/_shared/contracts/connectors.ts'
import type { Contract } from '../../../supabase/functions/_shared/contracts/contract.ts'
import * as images from '../../../supabase/functions/_shared/contracts/images.ts'
import * as integrations from '../../../supabase/functions/_shared/contracts/integrations.ts'
import { ProductColumns } from '../../../supabase/functions/_shared/contracts/products.ts'
import * as sync from '../../../supabase/functions/_shared/contracts/sync.ts'
import * as webhooks from '../../../supabase/functions/_shared/contracts/webhooks.ts'

const uuid = '22222222-2222-4222-8222-222222222222'

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'auth' in value && 'request' in value
}
const contracts = Object.entries({ ...sync, ...integrations, ...images, ...webhooks })
  .flatMap(([name, value]): [string, Contract][] => isContract(value) ? [[name, value]] : [])

describe('contracts', () => {
  it('are found by this test', () => {
    expect(contracts.length).toBeGreaterThanOrEqual(10)
  })

  it.each(contracts)('%s refuses an unknown field', (_name, { request }) => {
    const result = request.safeParse({ surprise: 1 })

    const issues = result.error?.issues ?? []
    expect(issues.some((issue) => issue.code === 'unrecognized_keys')).toBe(true)
  })

  it('have an address of their own each', () => {
    const addresses = contracts.map(([, { method, path }]) => `${method} ${path}`)

    expect(new Set(addresses).size).toBe(addresses.length)
  })

  it('import nothing but zod and each other, since browsers load them', () => {
    const folder = new URL('../../../supabase/functions/_shared/contracts/', import.meta.url)
    for (const file of readdirSync(folder)) {
      const code = readFileSync(new URL(file, folder), 'utf8')
      const imports = [...code.matchAll(/^import (?!type )[^']*'([^']+)'/gm)].map(([, from]) =>
        from
      )
      expect(imports.filter((from) => from !== 'zod' && !from?.startsWith('./')), file).toEqual([])
    }
  })
})

describe('updating an integration', () => {
  it.each([
    [{ name: 'Shop' }, true],
    [{ paused: false }, true],
    [{}, false],
    [{ name: undefined }, false],
  ])('%o is enough: %s', (changes, expected) => {
    const result = integrations.updateIntegration.request
      .safeParse({ integration_id: uuid, ...changes })

    expect(result.success).toBe(expected)
  })

  it.each([[1, true], [10_080, true], [0, false], [10_081, false], [1.5, false]])(
    'an interval of %s minutes is accepted: %s',
    (sync_interval_minutes, expected) => {
      const result = integrations.updateIntegration.request
        .safeParse({ integration_id: uuid, sync_interval_minutes })

      expect(result.success).toBe(expected)
    },
  )
})

describe('replaying sync errors', () => {
  it.each([[undefined, true], [1, true], [1_000, true], [0, false], [1_001, false]])(
    'accepts %s ids: %s',
    (count, expected) => {
      const sync_error_ids = count === undefined ? undefined : Array(count).fill(uuid)
      const result = sync.replaySyncErrors.request
        .safeParse({ integration_id: uuid, stream: 'products', sync_error_ids })

      expect(result.success).toBe(expected)
    },
  )
})

describe('a product', () => {
  const product: z.input<typeof ProductColumns> = {
    name: 'Blue Dream 3.5 g',
    description: null,
    brand: 'Acme',
    category: 'flower',
    sku: null,
    status: 'active',
    price_amount: '35.00',
    price_currency: 'USD',
    price_tiers: [{ start: '3.5', amount: '30' }],
    variants: [{
      source_id: '1',
      name: '3.5 g',
      sku: null,
      price_amount: null,
      stock_quantity: '-2',
    }],
    image_urls: ['https://images.example.com/1.jpg'],
    stock_quantity: null,
  }

  it('as a connector yields it is accepted', () => {
    expect(ProductColumns.safeParse(product).success).toBe(true)
  })

  it.each<[Record<string, unknown>, string]>([
    [{ price_amount: 35 }, 'a number, which would have been rounded'],
    [{ price_amount: '35,00' }, 'a decimal comma'],
    [{ price_amount: '1e3' }, 'an exponent'],
    [{ price_amount: '' }, 'no amount'],
    [{ price_currency: 'usd' }, 'a currency in lower case'],
    [{ name: '' }, 'no name'],
    [{ status: 'archived' }, 'an unknown status'],
  ])('with %o is refused: %s', (change) => {
    expect(ProductColumns.safeParse({ ...product, ...change }).success).toBe(false)
  })
})

describe('times', () => {
  it.each([
    ['2026-11-20T09:00:00.123456+00:00', true], // as the Data API writes them
    ['2026-11-20T09:00:00Z', true],
    ['2026-11-20T14:30:00+05:30', true],
    ['2026-11-20T09:00:00', false],
    ['2026-11-20 09:00:00+00', false],
  ])('%s is RFC 3339 with offset: %s', (text, expected) => {
    expect(sync.SyncLog.shape.created_at.safeParse(text).success).toBe(expected)
  })
})

describe('a connector', () => {
  it.each([['json-feed', true], ['treez', true], ['Treez', false], ['a_b', false], ['a-', false]])(
    'may be called %s: %s',
    (slug, expected) => {
      expect(ConnectorInfo.shape.slug.safeParse(slug).success).toBe(expected)
    },
  )
})
