// Which of the platform's addresses answer, and with what? v2 and v3 of the dispensary API.
import type { SimulatorAnswer, SimulatorRequest } from '../parts/http-server.ts'
import type { RateLimit } from '../parts/rate-limit.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Catalog, ProductFilter } from './catalog.ts'
import { failure, productList } from './envelope.ts'
import { CATEGORY_TYPES } from './product.ts'
import type { SignedTokens } from './signed-tokens.ts'

const MAX_PAGE_SIZE = 50
const MAX_IDS = 50
const DELTA = '/product/product_list/lastUpdated/after/'
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/

export type TreezRoutes = {
  /** Stores that share the catalog. */
  dispensaries: readonly string[]
  clientId: string
  certificateId: string
  catalog: Catalog
  tokens: AccessTokens
  signed: SignedTokens
  limit: RateLimit
}

export function answerTreez(request: SimulatorRequest, parts: TreezRoutes): SimulatorAnswer {
  const path = request.url.pathname
  const base = (prefix: string) =>
    parts.dispensaries.map((name) => prefix + name).find((base) => path.startsWith(`${base}/`))
  const v2 = base('/v2.0/dispensary/')
  const v3 = base('/dispensary/v3/')

  if (path === '/service/jwt-validation') {
    return validateSignedToken(request, parts)
  }
  const version = v2 ?? v3
  if (version === undefined) return failure('NOT_FOUND', 'No such dispensary', 404)
  if (!parts.limit.take(version === v2 ? parts.clientId : parts.certificateId)) {
    // No Retry-After: Treez documents none.
    return failure('TOO_MANY_REQUESTS', 'Request limit exceeded', 429)
  }

  const rest = path.slice(version.length)
  if (version === v2 && rest === '/config/api/gettokens') {
    if (request.method !== 'POST') {
      return failure('METHOD_NOT_ALLOWED', request.method, 405)
    }
    return parts.tokens.exchange(request.body)
  }
  const refused = version === v2
    ? parts.tokens.refuse(request.headers)
    : parts.signed.refuse(request.headers, request.url)
  if (refused) return refused
  if (request.method !== 'GET') {
    return failure('METHOD_NOT_ALLOWED', request.method, 405)
  }

  if (rest === '/product/product_list') {
    return listProducts(request, parts.catalog, undefined)
  }
  if (rest.startsWith(DELTA)) {
    const text = decodeURIComponent(rest.slice(DELTA.length))
    const after = TIMESTAMP.test(text) ? Date.parse(text) : NaN
    if (Number.isNaN(after)) {
      return failure('INVALID_DATE_FORMAT', `Cannot read ${text}`, 400)
    }
    return listProducts(request, parts.catalog, after)
  }
  if (rest.startsWith('/product/')) {
    const product = parts.catalog.find(decodeURIComponent(rest.slice('/product/'.length)))
    return product === undefined
      ? failure('PRODUCT_NOT_FOUND', 'No such product', 404)
      : productList([product], 1)
  }
  return failure('NOT_FOUND', 'No such resource', 404)
}

function listProducts(
  request: SimulatorRequest,
  catalog: Catalog,
  updatedAfter: number | undefined,
): SimulatorAnswer {
  const query = request.url.searchParams
  const page = Number(query.get('page'))
  const size = Number(query.get('pagesize') ?? MAX_PAGE_SIZE)
  const active = (query.get('active') ?? 'TRUE').toUpperCase()
  const category = query.get('category_type')?.toUpperCase()
  const ids = (query.get('ID') ?? query.get('id'))?.split(',').filter((id) => id !== '')

  if (!Number.isInteger(page) || page < 1) {
    return failure('INCORRECT_VALUE', 'page', 400)
  }
  if (!Number.isInteger(size) || size < 1) {
    return failure('INCORRECT_VALUE', 'pagesize', 400)
  }
  if (size > MAX_PAGE_SIZE || (ids?.length ?? 0) > MAX_IDS) {
    return failure(
      'RESPONSE_LIMIT_EXCEEDS',
      `At most ${MAX_PAGE_SIZE} products`,
      200,
    )
  }
  if (!['TRUE', 'FALSE', 'ALL'].includes(active)) {
    return failure('INVALID_ACTIVE_PARAMETER', active, 400)
  }
  if (category && !CATEGORY_TYPES.some((known) => known === category)) {
    return failure('INCORRECT_VALUE', 'category_type', 400)
  }

  switch (request.fault?.kind) {
    case 'empty':
      return productList([], 0)
    case 'fail_result':
      return failure(request.fault.reason ?? 'INTERNAL_ERROR', 'Something went wrong', 200)
    case 'no_data':
      return {
        body: { resultCode: 'SUCCESS', resultReason: null, resultDetail: null },
      }
  }
  const filter: ProductFilter = {
    active: active as ProductFilter['active'],
    category,
    updatedAfter,
    ids,
  }
  const shown = catalog.page(filter, request.fault?.kind === 'repeated_page' ? 1 : page, size)
  return productList(shown.products, shown.total)
}

function validateSignedToken(request: SimulatorRequest, parts: TreezRoutes): SimulatorAnswer {
  if (request.method !== 'POST') {
    return failure('METHOD_NOT_ALLOWED', request.method, 405)
  }
  const refused = parts.signed.refuse(request.headers, request.url)
  if (refused) return refused
  return {
    body: {
      valid: true,
      timeRemaining: 29_000,
      integratorDetails: { certificateId: parts.certificateId },
      permissions: {
        organization: [{
          permissions: ['READ_PRODUCT'],
          dispensaries: parts.dispensaries,
        }],
      },
      rateLimit: { limit: 30, remaining: 29, reset: 1, allowed: true },
    },
  }
}
