// Dutchie, a point of sale for dispensaries: the product catalog of one location.
import { z } from 'zod'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure } from './define-connector.ts'
import { basicKey, secret } from './vocabulary/auth.ts'
import { decimal } from './vocabulary/decimal.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency code like USD')
    .default('USD')
    .meta({ title: 'Currency', description: 'ISO 4217. Dutchie sends amounts without one.' }),
})

const text = z.string().nullish()

const Product = z.object({
  productId: z.union([z.int(), z.string().min(1)]),
  productName: z.string().trim().min(1),
  sku: text,
  description: text,
  onlineDescription: text,
  brandName: text,
  category: text,
  masterCategory: text,
  isActive: z.boolean().nullish(),
  price: decimal.nullish(),
  recPrice: decimal.nullish(),
  medPrice: decimal.nullish(),
  imageUrl: text,
  imageUrls: z.array(z.string().nullable()).nullish(),
  lastModifiedDateUTC: z.unknown().transform(withOffset).pipe(timestamp.nullish()),
})

export const dutchie = defineConnector({
  slug: 'dutchie',
  name: 'Dutchie POS',
  description: 'Products of a Dutchie POS location: prices, categories, brands and pictures.',
  category: 'commerce',
  docs: 'https://api.pos.dutchie.com/swagger/v001/swagger.json', // read 2026-11-20
  guide: [
    'Ask Dutchie for an API key of the location with the role **Reporting**. Where Dutchie has given you an',
    'integrator key as well, fill it in; where not, leave it out.',
    '',
    'A key opens one location, so each location is an account of its own; its name comes from Dutchie.',
    '',
    'The catalog comes in one answer of at most 10 MiB, some 8,000 products, hidden and inactive ones among',
    'them. A product that is switched off at the location stays, with `status: inactive`; one that is missing',
    "from a complete read is deleted. `price_amount` is the product's `price`, or else its recreational, or else",
    'its medical price. The catalog has no stock, and prices by weight stay in `source_data`.',
  ].join('\n'),
  settings,

  auth: basicKey({
    credentials: z.strictObject({
      location_key: secret('Location key'),
      integrator_key: secret('Integrator key').optional(),
    }),
    username: ({ credentials }) => credentials.location_key,
    password: ({ credentials }) => credentials.integrator_key ?? '',
  }),
  baseUrl: 'https://api.pos.dutchie.com',
  rateLimit: perWindow({ requests: 100, seconds: 60, burst: 5 }), // the tightest of its endpoints'
  accountId: ({ account }) => account.location_id ?? '',
  check: {
    path: '/whoami',
    accountName: (body) => textOf(anyCase(body, 'locationName')),
    account(body) {
      const id = textOf(anyCase(body, 'locationId'))
      const name = textOf(anyCase(body, 'locationName'))
      if (id === undefined) {
        throw new AppError('provider_bad_answer', {
          detail: 'Dutchie does not say which location this key opens.',
        })
      }
      return { location_id: id, ...(name === undefined ? {} : { location_name: name }) }
    },
  },
  failure: ({ status, headers }) =>
    status === 403 && !headers.has('retry-after') ? withoutRole : null,

  streams: {
    products: {
      path: '/reporting/products', // `/products` leaves out what is inactive or not for sale online
      records: '',
      pagination: { type: 'none' },
      incremental: { param: 'fromLastModifiedDateUTC', overlapSeconds: 60 },
      id: (raw) => anyCase(raw, 'productId'),
      record: inAnyCase(Product),
      toRecord: (product, { settings }) => ({
        source_id: String(product.productId),
        source_updated_at: product.lastModifiedDateUTC ?? null,
        columns: {
          name: product.productName,
          description: product.description || product.onlineDescription || null,
          brand: product.brandName || null,
          category: product.category || product.masterCategory || null,
          sku: product.sku || null,
          status: product.isActive === false ? 'inactive' : 'active',
          price_amount: product.price ?? product.recPrice ?? product.medPrice ?? null,
          price_currency: settings.currency,
          price_tiers: [],
          variants: [],
          image_urls: [
            ...new Set([product.imageUrl, ...(product.imageUrls ?? [])].filter((url) => !!url)),
          ] as string[],
          stock_quantity: null,
        },
      }),
    },
  },
})

const withoutRole: Failure = {
  code: 'provider_forbidden',
  detail: 'Dutchie does not let this key do that: reading products takes the role Reporting.',
}

/** Some deployments write `ProductId` where the documentation has `productId`. */
function anyCase(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name]
  const wanted = name.toLowerCase()
  return Object.entries(value).find(([key]) => key.toLowerCase() === wanted)?.[1]
}

/** Reads an object whose keys differ from the schema's in case only. */
function inAnyCase<Shape extends z.core.$ZodLooseShape>(schema: z.ZodObject<Shape>) {
  return z.preprocess(
    (raw) =>
      typeof raw === 'object' && raw !== null && !Array.isArray(raw)
        ? Object.fromEntries(
          Object.keys(schema.shape).map((name) => [name, anyCase(raw, name)]),
        )
        : raw,
    schema,
  )
}

/** The field's name says that the time is in UTC; not every answer repeats it. */
function withOffset(value: unknown): unknown {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+$/.test(value) ? `${value}Z` : value
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' || typeof value === 'number'
    ? String(value)
    : undefined
}
