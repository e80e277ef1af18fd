// Treez, a point of sale for dispensaries: its product catalog, over API v2 or v3.
import { Buffer } from 'node:buffer'
import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto'
import { z } from 'zod'
import type { ProductColumns } from '../contracts/products.ts'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure } from './define-connector.ts'
import { webhooks } from './treez/webhooks.ts'
import { secret, signedRequest, tokenExchange } from './vocabulary/auth.ts'
import { decimal } from './vocabulary/decimal.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  dispensary: z.string().trim().regex(
    /^[A-Za-z0-9][A-Za-z0-9-]*$/,
    'is the first part of your …treez.io address',
  )
    .meta({
      title: 'Dispensary',
      description: 'The first part of the store\'s address: "acme" in acme.treez.io.',
    }),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be a currency code like USD')
    .default('USD')
    .meta({
      title: 'Currency',
      description: 'ISO 4217. Treez sends amounts without one.',
    }),
  api_version: z.enum(['v2', 'v3']).default('v2')
    .meta({
      title: 'API version',
      description: 'v2: client id and API key. v3: a certificate.',
    }),
  // Clients of Treez differ in the next three, and its documentation leaves them open.
  token_prefix: z.enum(['', 'Bearer ']).default('')
    .meta({
      title: 'Token prefix',
      description: 'Stands before the token in the authorization header.',
    }),
  signature_encoding: z.enum(['base64url', 'base64']).default('base64url')
    .meta({ title: 'Signature encoding', description: 'v3 only.' }),
  audience_includes_query: z.boolean().default(true)
    .meta({
      title: 'Audience includes the query',
      description: 'v3 only: whether aud is the URL with its query.',
    }),
})

const Product = z.object({
  product_id: z.string().min(1),
  product_status: z.string(),
  last_updated_at: timestamp.nullish(),
  sellable_quantity: decimal.nullish(),
  category_type: z.string().nullish(),
  product_configurable_fields: z.object({
    name: z.string().trim().min(1),
    brand: z.string().nullish(),
  }),
  pricing: z.object({
    price_type: z.string().nullish(),
    price_sell: decimal.nullish(),
    tier_pricing_detail: z.array(z.object({ start_value: decimal, price_per_value: decimal }))
      .nullish(),
  }).nullish(),
  product_barcodes: z.array(z.object({ sku: z.string().nullish() })).nullish(),
  e_commerce: z.object({
    all_images: z.array(z.string().nullable()).nullish(),
    primary_image: z.string().nullish(),
    product_description: z.string().nullish(),
  }).nullish(),
  merged_from_product_ids: z.array(z.string()).nullish(),
})

export const treez = defineConnector({
  slug: 'treez',
  name: 'Treez',
  description: 'Products of a Treez store: prices, tiers, stock and pictures.',
  category: 'commerce',
  docs: 'https://developer.treez.io', // read 2026-11-20
  guide: [
    'Treez gives keys to partners only: ask the store to request API access for you.',
    '- **v2** (`api_version: v2`): the client id of the partner and the API key of the store.',
    '- **v3** (`api_version: v3`): the certificate id, the organization id and the private key (PEM) whose',
    '  certificate Treez has.',
    '',
    'A product that is deactivated at the store stays, with `status: inactive`. A product merged into another',
    'ends when the survivor is synced. Prices by weight or quantity are in `price_tiers`, and `price_amount` is',
    'null then. Stock that is sold does not move the time of last change at Treez, so stock is brought up to',
    'date by full syncs.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'api_version',
    modes: {
      v2: tokenExchange({
        settings,
        baseUrl: 'https://api.treez.io/v2.0/dispensary/{dispensary}',
        credentials: z.strictObject({
          client_id: identifier('Client id'),
          api_key: secret('API key'),
        }),
        request: {
          path: '/config/api/gettokens',
          form: ({ credentials }) => ({
            client_id: credentials.client_id,
            apikey: credentials.api_key,
          }),
        },
        read: readToken,
        headers: (access_token, { settings, credentials }) => ({
          authorization: `${settings.token_prefix}${access_token}`,
          client_id: credentials.client_id,
        }),
      }),
      v3: signedRequest({
        settings,
        baseUrl: 'https://api-prod.treez.io/dispensary/v3/{dispensary}',
        credentials: z.strictObject({
          certificate_id: identifier('Certificate id'),
          organization_id: identifier('Organization id'),
          private_key: secret('Private key (PEM)')
            .refine(isPrivateKey, 'is not an RSA private key in PEM'),
        }),
        check: {
          method: 'POST',
          path: 'https://api-prod.treez.io/service/jwt-validation',
          query: { dispensaryName: '{dispensary}', includeRateLimit: 'true' },
        },
        headers: ({ settings, credentials }, { url, now }) => {
          const iat = now.getTime()
          const claims = {
            aud: settings.audience_includes_query ? url : url.split('?')[0],
            iss: credentials.certificate_id,
            oid: credentials.organization_id,
            iat, // milliseconds, unlike RFC 7519
            exp: iat + 30_000,
            jti: randomUUID(),
          }
          // The claims are the first segment: Treez's token has no header of its own.
          const segment = Buffer.from(JSON.stringify(claims)).toString('base64url')
          const signature = sign('RSA-SHA256', Buffer.from(segment), credentials.private_key)
            .toString(settings.signature_encoding)
          return { authorization: `${settings.token_prefix}${segment}.${signature}` }
        },
      }),
    },
  },

  // One client id serves every store of a partner, and the limit counts by client id.
  rateLimit: perWindow({ requests: 10, seconds: 1 }),
  budgetKey: ({ credentials }) =>
    `treez:${fingerprint(String(credentials.client_id ?? credentials.certificate_id))}`,
  accountId: ({ settings }) => settings.dispensary.toLowerCase(),
  failure: ({ status, body }) => status < 300 ? readFailure(body) : null,
  webhooks,

  streams: {
    products: {
      path: '/product/product_list',
      query: { active: 'ALL' }, // without it, a deactivated product would look deleted
      records: 'data.product_list',
      total: 'data.total_count',
      pagination: { type: 'page', param: 'page', sizeParam: 'pagesize', size: 50 },
      incremental: {
        path: '/product/product_list/lastUpdated/after/{since}',
        format: pacificTime,
        overlapSeconds: 60,
      },
      lookup: { param: 'ID', max: 50 },
      id: 'product_id',
      record: Product,
      toRecord: (product, { settings }) => {
        const { pricing, e_commerce, product_configurable_fields: fields } = product
        const tiers = pricing?.price_type === 'TIER' ? pricing.tier_pricing_detail ?? [] : []
        const images = [e_commerce?.primary_image, ...(e_commerce?.all_images ?? [])]
        const columns: ProductColumns = {
          name: fields.name,
          description: e_commerce?.product_description || null,
          brand: fields.brand || null,
          category: product.category_type || null,
          sku: product.product_barcodes?.find(({ sku }) => sku)?.sku ?? null,
          status: product.product_status.toUpperCase() === 'ACTIVE' ? 'active' : 'inactive',
          // In tiers the price is for a gram or a piece of many: none of them is the product's price.
          price_amount: pricing?.price_type === 'TIER' ? null : pricing?.price_sell ?? null,
          price_currency: settings.currency,
          price_tiers: tiers.map((tier) => ({
            start: tier.start_value,
            amount: tier.price_per_value,
          })),
          variants: [],
          image_urls: [...new Set(images.flatMap((url) => url ? [url] : []))],
          stock_quantity: product.sellable_quantity ?? null,
        }
        const merged = product.merged_from_product_ids ?? []
        return {
          source_id: product.product_id,
          source_updated_at: product.last_updated_at ?? null,
          columns,
          supersedes: merged.filter((id) => id !== product.product_id),
        }
      },
    },
  },
})

/** `expires_in` is text, and a refusal comes with status 200. */
function readToken(body: unknown): { access_token: string; expires_in: number } | null {
  const code = readPath(body, 'resultCode')
  const access_token = readPath(body, 'access_token')
  if (code === 'SUCCESS' && typeof access_token === 'string' && access_token !== '') {
    return { access_token, expires_in: Number(readPath(body, 'expires_in')) || 7200 }
  }
  const reason = String(readPath(body, 'resultReason') ?? '')
  if (code === 'FAIL' && !IS_TROUBLE.test(reason)) return null
  throw new AppError('provider_unavailable', {
    detail: `Treez hands out no token: ${reason || 'no reason given'}`,
  })
}

/** Reasons that say nothing about us. */
const IS_TROUBLE = /INTERNAL|TIMEOUT|UNAVAILABLE|TOO_MANY|LIMIT|BUSY/i

/** Reasons that the same request will always get. */
const OUR_MISTAKES = [
  'INVALID_DATE_FORMAT',
  'INCORRECT_VALUE',
  'RESPONSE_LIMIT_EXCEEDS',
  'INVALID_ACTIVE_PARAMETER',
  'MODEL_VALIDATION_FAIL',
]

/** Treez says FAIL with status 200, and shows an ended token as an answer without data. */
function readFailure(body: unknown): Failure | null {
  const code = readPath(body, 'resultCode')
  // The validation of v3's tokens answers without the envelope.
  const valid = readPath(body, 'valid')
  if (typeof valid === 'boolean') {
    return valid
      ? null
      : { code: 'provider_unauthorized', detail: 'Treez calls the token invalid.' }
  }
  if (code === 'SUCCESS' && typeof readPath(body, 'data') === 'object') {
    return readPath(body, 'data') === null ? noData : null
  }
  if (code !== 'FAIL') return noData
  const reason = String(readPath(body, 'resultReason') ?? 'no reason given').slice(0, 200)
  const detail = `Treez answered FAIL: ${platformWords(reason)}`
  if (OUR_MISTAKES.includes(reason)) return { code: 'provider_rejected', detail }
  if (IS_TROUBLE.test(reason)) return { code: 'provider_unavailable', detail }
  const refused = /AUTH|TOKEN|CREDENTIAL/i.test(reason)
  return {
    code: refused ? 'provider_unauthorized' : 'provider_unavailable',
    detail,
    renewToken: true,
  }
}

const noData: Failure = {
  code: 'provider_bad_answer',
  detail: 'Treez answered without data.',
  renewToken: true,
}

/** `yyyy-MM-ddTHH:mm:ss.SSS-08:00`: the one offset its documentation shows. */
function pacificTime(since: Date): string {
  return new Date(since.getTime() - 8 * 3_600_000).toISOString().replace('Z', '-08:00')
}

function identifier(title: string) {
  return z.string().trim().min(1, 'must not be empty').meta({ title })
}

/** The key of a budget is an ordinary column, and no part of a credential may stand in one. */
function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}
