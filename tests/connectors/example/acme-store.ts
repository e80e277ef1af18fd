// Acme Store, a web shop: its products.
import { z } from 'zod'
import { defineConnector } from '../../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  headerKey,
  secret,
} from '../../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { decimal } from '../../../supabase/functions/_shared/connectors/vocabulary/decimal.ts'
import { timestamp } from '../../../supabase/functions/_shared/connectors/vocabulary/timestamp.ts'

export const acmeStore = defineConnector({
  slug: 'acme-store',
  name: 'Acme Store',
  description: 'Products of an Acme web shop.',
  category: 'commerce',
  docs: 'https://developer.acme.example/v2', // read 2026-11-20
  settings: z.strictObject({
    shop: z.string().regex(/^[a-z0-9-]+$/).meta({ title: 'Shop' }),
  }),
  auth: headerKey({
    credentials: z.strictObject({ api_key: secret('API key') }),
    value: ({ credentials }) => `Bearer ${credentials.api_key}`,
  }),
  baseUrl: 'https://{shop}.acme.example/v2',
  rateLimit: { requestsPerSecond: 4, burst: 4 },
  accountId: ({ settings }) => settings.shop,
  streams: {
    products: {
      path: '/products',
      records: 'data',
      pagination: { type: 'cursor', param: 'after', next: 'paging.next' },
      incremental: { param: 'updated_since', overlapSeconds: 5 },
      id: 'id',
      record: z.object({
        id: z.string().min(1),
        title: z.string().min(1),
        price: decimal.nullish(),
        updated_at: timestamp,
      }),
      toRecord: (product) => ({
        source_id: product.id,
        source_updated_at: product.updated_at,
        columns: {
          name: product.title,
          description: null,
          brand: null,
          category: null,
          sku: null,
          status: 'active',
          price_amount: product.price ?? null,
          price_currency: 'EUR',
          price_tiers: [],
          variants: [],
          image_urls: [],
          stock_quantity: null,
        },
      }),
    },
  },
})
