// A public JSON file with products, by its address: no account, no paging.
import { z } from 'zod'
import { defineConnector } from './define-connector.ts'
import { otherSchemes, webhooks } from './json-feed/webhooks.ts'
import { noAuth } from './vocabulary/auth.ts'
import { decimal } from './vocabulary/decimal.ts'
import { readPath } from './vocabulary/read-path.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const Product = z.object({
  id: z.union([z.string().min(1), z.int()]),
  name: z.string().trim().min(1),
  description: z.string().nullish(),
  brand: z.string().nullish(),
  category: z.string().nullish(),
  sku: z.string().nullish(),
  active: z.boolean().nullish(),
  price: decimal.nullish(),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency code like USD')
    .nullish(),
  stock: decimal.nullish(),
  image: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  updated_at: timestamp.nullish(),
})

export const jsonFeed = defineConnector({
  slug: 'json-feed',
  name: 'JSON product feed',
  description: 'Products from a public JSON file at an address of your choice.',
  category: 'commerce',
  docs: 'https://www.rfc-editor.org/rfc/rfc8259', // the feed is plain JSON; its shape is below
  guide: [
    'The address answers with `[…]` or `{ "products": […] }`, everything in one answer of at most 10 MiB:',
    '',
    '```json',
    '[{ "id": "SKU-1", "name": "Oak stool", "price": 49.5, "currency": "USD", "stock": 12,',
    '   "brand": "Fieldnotes", "category": "home", "sku": "SKU-1", "description": null, "active": true,',
    '   "images": ["https://images.example/1.jpg"], "updated_at": "2026-11-20T09:00:00Z" }]',
    '```',
    '',
    'Only `id` (text or whole number, unique) and `name` are required. `price` and `stock` are numbers or numeric',
    'text. `image` may stand for a list of one, `updated_at` needs an offset, and other fields are kept in',
    '`source_data`. A product that is no longer in the feed is deleted. The address must be public: there are',
    'no credentials, so put none into it.',
  ].join('\n'),
  settings: z.strictObject({
    url: z.url({ protocol: /^https?$/, error: 'must be a web address' }).meta({
      title: 'Address of the feed',
    }),
    currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency code like USD')
      .default('USD')
      .meta({
        title: 'Currency',
        description: 'ISO 4217, for products that name none.',
      }),
    webhook_signature: z.enum(['standard-webhooks', ...otherSchemes]).default('standard-webhooks')
      .meta({
        title: 'Signature of webhooks',
        description:
          'How whoever tells us of changes signs. github: as a webhook of a GitHub repository. x-webhook-signature: the ' +
          'hex HMAC-SHA256 over the body in that header.',
      }),
  }),
  auth: noAuth(),
  baseUrl: ({ settings }) => settings.url,
  rateLimit: { requestsPerSecond: 1, burst: 5 },
  accountId: ({ settings }) => new URL(settings.url).href.split('#')[0]!,
  webhooks,
  streams: {
    products: {
      path: '',
      records: (body) => Array.isArray(body) ? body : readPath(body, 'products'),
      pagination: { type: 'none' },
      id: 'id',
      record: Product,
      toRecord: (product, { settings }) => ({
        source_id: String(product.id),
        source_updated_at: product.updated_at ?? null,
        columns: {
          name: product.name,
          description: product.description ?? null,
          brand: product.brand ?? null,
          category: product.category ?? null,
          sku: product.sku ?? null,
          status: product.active === false ? 'inactive' : 'active',
          price_amount: product.price ?? null,
          price_currency: product.currency ?? settings.currency,
          price_tiers: [],
          variants: [],
          image_urls: [
            ...new Set([
              ...(product.image ? [product.image] : []),
              ...(product.images ?? []),
            ]),
          ],
          stock_quantity: product.stock ?? null,
        },
      }),
    },
  },
})
