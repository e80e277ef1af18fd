// Acme Store: its products.
import { z } from 'zod'
import { defineConnector } from '../../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  headerKey,
  secret,
} from '../../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { decimal } from '../../../supabase/functions/_shared/connectors/vocabulary/decimal.ts'
import { timestamp } from '../../../supabase/functions/_shared/connectors/vocabulary/timestamp.ts'

/** The fields we use; others are kept and never refused. */
const Product = z.object({
  id: z.string().min(1),
  title: z.string().trim().min(1),
  price: decimal.nullish(),
  updated_at: timestamp,
})

export const acmeStore = defineConnector({
  slug: 'acme-store',
  name: 'Acme Store',
  description: 'Products of Acme Store.', // TODO: one sentence for the list of connectors
  category: 'commerce',
  docs: 'https://developer.acme-store.example/v1', // TODO: where the platform documents its API
  guide: 'An owner finds the API key in the settings of Acme Store.', // TODO: what an owner has to do or know
  settings: z.strictObject({
    shop: z.string().trim().regex(/^[a-z0-9-]+$/, 'is the first part of the address').meta({
      title: 'Shop',
      description: 'The first part of its address.',
    }),
  }),
  auth: headerKey({
    credentials: z.strictObject({ api_key: secret('API key') }),
    value: ({ credentials }) => `Bearer ${credentials.api_key}`,
  }),
  baseUrl: 'https://{shop}.acme-store.example/v1', // TODO
  rateLimit: { requestsPerSecond: 4, burst: 1 }, // TODO: with the burst below what the platform takes in any second
  accountId: ({ settings }) => settings.shop,
  streams: {
    products: {
      path: '/products',
      records: 'data',
      pagination: {
        type: 'cursor',
        param: 'after',
        next: 'paging.next',
        sizeParam: 'limit',
        size: 100,
      },
      incremental: { param: 'updated_since', overlapSeconds: 60 },
      // where local changes go out too, `push` comes here: see "What goes out" in README.md
      id: 'id',
      record: Product,
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
          price_currency: 'USD',
          price_tiers: [],
          variants: [],
          image_urls: [],
          stock_quantity: null,
        },
      }),
    },
  },
})
