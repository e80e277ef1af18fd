// Shopify, web shops: their products with variants, prices, stock and pictures, over the GraphQL Admin API.
import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { subscriptions } from './shopify/subscriptions.ts'
import { webhooks } from './shopify/webhooks.ts'
import { headerKey, oauth2, secret, type Values } from './vocabulary/auth.ts'
import { decimal } from './vocabulary/decimal.ts'
import type { PlatformCall } from './vocabulary/platform-call.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { ReadContext } from './vocabulary/stream-definition.ts'
import { timestamp } from './vocabulary/timestamp.ts'

/** Nothing else ever becomes a host we call, or send a browser to. */
const SHOP = /^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$/

const settings = z.strictObject({
  shop: z.string().trim().toLowerCase().max(100)
    .regex(SHOP, "is the shop's own address, like acme.myshopify.com")
    .meta({ title: 'Shop', description: 'Its address at Shopify, like acme.myshopify.com.' }),
  auth: z.enum(['oauth', 'admin_token']).default('oauth').meta({
    title: 'Authentication',
    description: 'oauth: sign in at the shop. admin_token: the token of a custom app of the shop.',
  }),
  api_version: z.string().regex(/^\d{4}-\d\d$/, 'is a version like 2026-10').default('2026-10')
    .meta({ title: 'API version', description: 'Shopify supports each for a year.' }),
  products_per_page: z.int().min(1).max(100).default(20).meta({
    title: 'Products a page',
    description: 'Fewer, where Shopify finds the query too expensive.',
  }),
})
type Settings = z.output<typeof settings>

const PRODUCT = `
  id title description vendor productType status updatedAt tracksInventory
  media(first: 10) { nodes { ... on MediaImage { image { url } } } }
  variants(first: 20) { nodes { ...variant } pageInfo { hasNextPage endCursor } }`
const VARIANT = 'fragment variant on ProductVariant { id title sku price inventoryQuantity }'

const PRODUCTS = `query products($first: Int!, $after: String, $changed: String) {
  products(first: $first, after: $after, query: $changed, sortKey: ID) {
    nodes { ${PRODUCT} }
    pageInfo { hasNextPage endCursor }
  }
}
${VARIANT}`

const MORE_VARIANTS = `query moreVariants($id: ID!, $after: String!) {
  product(id: $id) {
    variants(first: 250, after: $after) { nodes { ...variant } pageInfo { hasNextPage endCursor } }
  }
}
${VARIANT}`

const text = z.string().nullish()

const Variant = z.object({
  id: z.string().min(1),
  title: text,
  sku: text,
  price: decimal.nullish(),
  inventoryQuantity: z.int().nullish(),
})

const Product = z.object({
  id: z.string().min(1), // gid://shopify/Product/1
  title: z.string().trim().min(1),
  description: text,
  vendor: text,
  productType: text,
  status: z.string(),
  updatedAt: timestamp,
  tracksInventory: z.boolean().nullish(),
  // what is not a picture comes as an empty object
  media: z.object({ nodes: z.array(z.object({ image: z.object({ url: z.string() }).nullish() })) })
    .nullish(),
  variants: z.object({ nodes: z.array(Variant) }),
})

export const shopify = defineConnector({
  slug: 'shopify',
  name: 'Shopify',
  description: 'Products of a Shopify shop: variants, prices, stock and pictures.',
  category: 'commerce',
  docs: 'https://shopify.dev/docs/api/admin-graphql', // read 2026-11-20
  guide: [
    "- **Sign in** (`auth: oauth`): type in the shop's address; its owner is sent to the shop and allows the scope",
    '  `read_products`. Disconnecting takes our app off the shop.',
    "- **Admin token** (`auth: admin_token`): in the shop's admin, make a custom app with the scope",
    '  `read_products`, install it and copy its Admin API access token.',
    '',
    'Products that are archived or drafts stay, with `status: inactive`; unlisted ones are active. A product that is',
    'missing from a complete read is deleted. `price_amount` is the lowest price of its variants, `sku` that of the',
    "first one, `stock_quantity` their sum, or null where the product's stock is not tracked. All amounts are in the",
    "shop's currency. Each price and stock of a variant is in `variants`, unless the product has no options. The first",
    'ten pictures and films of a product are looked at.',
    '',
    'Shopify counts what a query costs: one that asks for too much at once is refused, and `products_per_page` makes',
    'it cheaper. Keep `api_version` within a year of today.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://{shop}/admin/oauth/authorize',
        token_endpoint: 'https://{shop}/admin/oauth/access_token',
        token_endpoint_auth_method: 'client_secret_post',
        pkce: false,
        scope: 'read_products',
        scopeSeparator: ',',
        requiredScope: 'read_products',
        tokenParameters: { expiring: '1' }, // tokens that never end are refused from 2027 on
        readTokenAnswer,
        verifyResponse,
        headers: (access_token) => ({ 'x-shopify-access-token': access_token }),
        revoke: { method: 'DELETE', path: 'https://{shop}/admin/api_permissions/current.json' },
      }),
      admin_token: headerKey({
        credentials: z.strictObject({ access_token: secret('Admin API access token') }),
        name: 'x-shopify-access-token',
        value: ({ credentials }) => credentials.access_token,
      }),
    },
  },
  baseUrl: 'https://{shop}/admin/api/{api_version}',
  // Points are what counts, and `pause` keeps an eye on them; this only keeps us from rushing.
  rateLimit: { requestsPerSecond: 4, burst: 4 },
  accountId: ({ settings }) => settings.shop,
  check: {
    ...graphql('{ shop { name currencyCode } }'),
    accountName: (body) => {
      const name = readPath(body, 'data.shop.name')
      return typeof name === 'string' ? name : undefined
    },
    account(body) {
      const currency = readPath(body, 'data.shop.currencyCode')
      if (typeof currency === 'string' && /^[A-Z]{3}$/.test(currency)) return { currency }
      throw new AppError('provider_bad_answer', {
        detail: 'Shopify does not say which currency the shop has.',
      })
    },
  },
  failure: (answer) => answer.status === 200 ? readErrors(answer.body) : readStatus(answer),
  pause: ({ body }) => untilAffordable(body),
  webhooks: webhooks((domain) => SHOP.test(domain), subscriptions(graphql)),

  streams: {
    products: {
      async read({ place, since, settings, call }: ReadContext<Settings>) {
        const { body } = await call(graphql(PRODUCTS, {
          first: settings.products_per_page,
          after: place?.after ?? null,
          changed: since && `updated_at:>='${since}'`,
        }))
        const nodes = readPath(body, 'data.products.nodes')
        if (!Array.isArray(nodes)) return { records: nodes as never, next: null }
        const records: unknown[] = []
        // one by one: each costs more than a page of products
        for (const node of nodes) records.push(await withAllVariants(node, call))
        const after = nextCursor(readPath(body, 'data.products'))
        return { records, next: after === null ? null : { after } }
      },
      incremental: { overlapSeconds: 60 }, // the search behind the filter lags
      id: 'id',
      record: Product,
      toRecord: (product, { account }) => {
        const variants = product.variants.nodes
        const tracked = product.tracksInventory !== false
        const quantities = variants.flatMap(({ inventoryQuantity }) => inventoryQuantity ?? [])
        const prices = variants.flatMap(({ price }) => price ?? [])
        const hasOptions = variants.length > 1 || variants[0]?.title !== 'Default Title'
        const stock = (quantity: number | null | undefined) =>
          tracked && typeof quantity === 'number' ? String(quantity) : null
        return {
          source_id: product.id,
          source_updated_at: product.updatedAt,
          columns: {
            name: product.title,
            description: product.description || null,
            brand: product.vendor || null,
            category: product.productType || null,
            sku: variants[0]?.sku || null,
            status: ['ARCHIVED', 'DRAFT'].includes(product.status) ? 'inactive' : 'active',
            price_amount: prices.reduce<string | null>(
              (lowest, price) => lowest === null || Number(price) < Number(lowest) ? price : lowest,
              null,
            ),
            price_currency: account.currency ?? null,
            price_tiers: [],
            variants: hasOptions
              ? variants.map((variant) => ({
                source_id: variant.id,
                name: variant.title ?? '',
                sku: variant.sku || null,
                price_amount: variant.price ?? null,
                stock_quantity: stock(variant.inventoryQuantity),
              }))
              : [],
            image_urls: [
              ...new Set(product.media?.nodes.flatMap(({ image }) => image ? [image.url] : [])),
            ],
            stock_quantity: quantities.length === 0
              ? null
              : stock(quantities.reduce((sum, quantity) => sum + quantity, 0)),
          },
        }
      },
    },
  },
})

function graphql(query: string, variables: Record<string, unknown> = {}) {
  return {
    method: 'POST',
    path: '/graphql.json',
    json: { query, variables },
  } as const satisfies PlatformCall
}

/** The place of the next page of a connection; null after the last. */
function nextCursor(connection: unknown): string | null {
  const cursor = readPath(connection, 'pageInfo.endCursor')
  return readPath(connection, 'pageInfo.hasNextPage') === true && typeof cursor === 'string'
    ? cursor
    : null
}

/** A page shows the first variants of a product, and few products have more. */
async function withAllVariants(product: unknown, call: ReadContext['call']): Promise<unknown> {
  const shown = readPath(product, 'variants')
  const after = nextCursor(shown)
  if (after === null) return product
  const { body } = await call(graphql(MORE_VARIANTS, { id: readPath(product, 'id'), after }))
  const more = readPath(body, 'data.product.variants')
  const nodes = readPath(more, 'nodes')
  if (!Array.isArray(nodes) || nextCursor(more) === after) {
    throw new AppError('provider_bad_answer', {
      detail: 'Shopify did not show all variants of a product.',
    })
  }
  return await withAllVariants({
    ...product as object,
    variants: { ...more as object, nodes: [...readPath(shown, 'nodes') as unknown[], ...nodes] },
  }, call)
}

/** Scopes come with commas, and the right to write stands for the right to read too. */
function readTokenAnswer(body: unknown): unknown {
  const scope = readPath(body, 'scope')
  if (typeof scope !== 'string') return body
  const scopes = scope.split(',').flatMap((name) =>
    name.startsWith('write_') ? [name, name.replace('write_', 'read_')] : [name]
  )
  return { ...body as object, scope: [...new Set(scopes)].join(' ') }
}

/** As Shopify's own clients have it. */
const TIMESTAMP_TOLERANCE_SECONDS = 90

/** Signed by Shopify, just now, and for the shop that was asked: another one's code is not taken. */
function verifyResponse(
  parameters: URLSearchParams,
  { settings, client_secret, now }: {
    settings: Values
    client_secret: string | undefined
    now: Date
  },
): boolean {
  const names = [...parameters.keys()]
  const shop = parameters.get('shop') ?? ''
  const age = Math.abs(now.getTime() / 1000 - Number(parameters.get('timestamp') ?? NaN))
  if (client_secret === undefined || new Set(names).size < names.length) return false
  if (!SHOP.test(shop) || shop.toLowerCase() !== settings.shop) return false
  if (!(age <= TIMESTAMP_TOLERANCE_SECONDS)) return false

  const signed = [...parameters].filter(([name]) => name !== 'hmac')
    .sort(([one], [other]) => one < other ? -1 : 1)
  const given = Buffer.from(parameters.get('hmac') ?? '')
  // its documentation joins the values as they are, its clients encode them
  return [
    signed.map(([name, value]) => `${name}=${value}`).join('&'),
    new URLSearchParams(signed).toString(),
  ].some((message) => {
    const expected = Buffer.from(
      createHmac('sha256', client_secret).update(message).digest('hex'),
    )
    return expected.length === given.length && timingSafeEqual(expected, given)
  })
}

/** By `extensions.code` of a GraphQL error; what is not here is a mistake in the query. */
const CODES: Record<string, ErrorCode> = {
  THROTTLED: 'provider_rate_limited',
  ACCESS_DENIED: 'provider_forbidden',
  SHOP_INACTIVE: 'provider_forbidden',
  INTERNAL_SERVER_ERROR: 'provider_unavailable',
  TIMEOUT: 'provider_unavailable',
}

/** GraphQL says what went wrong with status 200, throttling too. */
function readErrors(body: unknown): Failure | null {
  const errors = readPath(body, 'errors')
  if (errors === undefined || errors === null) return null
  const first = Array.isArray(errors) ? errors[0] : { message: errors }
  const code = String(readPath(first, 'extensions.code') ?? '')
  const message = platformWords(readPath(first, 'message')) || 'no reason given'
  if (code === 'THROTTLED') {
    const needed = readPath(body, 'extensions.cost.requestedQueryCost')
    return {
      code: 'provider_rate_limited',
      detail: "The shop's points are used up for now.",
      retryAfterMs: untilAffordable(body, needed) ?? undefined,
    }
  }
  if (code === 'MAX_COST_EXCEEDED') {
    return {
      code: 'provider_rejected',
      detail: 'Shopify finds the query too expensive: set fewer products a page.',
    }
  }
  if (/cursor/i.test(message)) return { code: 'provider_cursor_expired', detail: message }
  return {
    code: Object.hasOwn(CODES, code) ? CODES[code]! : 'provider_rejected',
    detail: `Shopify answered: ${message}`,
  }
}

/** What the shop's own troubles look like. */
function readStatus({ status }: JudgedAnswer): Failure | null {
  switch (status) {
    case 402:
      return { code: 'provider_forbidden', detail: 'The shop is frozen until its bill is paid.' }
    case 423:
      return { code: 'provider_forbidden', detail: 'Shopify has locked the shop.' }
    case 404:
      return {
        code: 'provider_not_found',
        detail: 'Shopify knows no such shop, or no longer this API version.',
      }
    default:
      return null
  }
}

/** No query may cost more, so that with as many points the next one passes, whichever it is. */
const MOST_POINTS_A_QUERY = 1000

/** Milliseconds until the shop has enough points; null when it has, or does not say. */
function untilAffordable(body: unknown, points: unknown = MOST_POINTS_A_QUERY): number | null {
  const status = readPath(body, 'extensions.cost.throttleStatus')
  const [maximum, available, restoreRate] = [
    'maximumAvailable',
    'currentlyAvailable',
    'restoreRate',
  ].map((name) => Number(readPath(status, name)))
  const needed = Math.min(Number(points), maximum!)
  const waitMs = Math.ceil(((needed - available!) / restoreRate!) * 1000)
  return Number.isFinite(waitMs) && waitMs > 0 ? waitMs : null
}
