// Acme Store on loopback: a list in pages, a key, a rate limit that counts, and a way to bend it.
import { type Fault, faults } from '../../simulators/parts/faults.ts'
import {
  jsonOf,
  type SimulatorAnswer,
  type SimulatorRequest,
  startSimulatorServer,
} from '../../simulators/parts/http-server.ts'
import { type RateLimit, rateLimit } from '../../simulators/parts/rate-limit.ts'
import { type LoggedRequest, requestLog } from '../../simulators/parts/request-log.ts'
import { seededRandom } from '../../simulators/parts/seeded-random.ts'

export type AcmeStoreProduct = {
  id: string
  title: string
  price: number | null
  updated_at: string
}

export type AcmeStoreSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** The same seed gives the same products. */
  seed?: number
  products?: number
  /** 0 switches the limit off. Default 5. */
  requestsPerSecond?: number
  now?: () => Date
}

export type AcmeStoreSimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "acme-store": { "baseUrl": … } }`. */
  baseUrl: string
  settings: { shop: string }
  credentials: { api_key: string }
  products: AcmeStoreProduct[]
  control: {
    /** Changes the price of the first so many products; answers their ids. */
    change(count: number): string[]
    setFault(fault: Fault): void
    clearFaults(): void
  }
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const API_KEY = 'acme-store-demo-key'
const MOST_A_PAGE = 100

/** Starts the simulator on 127.0.0.1. */
export async function startAcmeStoreSimulator(
  options: AcmeStoreSimulatorOptions = {},
): Promise<AcmeStoreSimulator> {
  const now = options.now ?? (() => new Date())
  const products = makeProducts(options.seed ?? 1, options.products ?? 250)
  const limit = rateLimit(options.requestsPerSecond ?? 5, () => now().getTime())
  const injected = faults()
  const log = requestLog()
  const control: AcmeStoreSimulator['control'] = {
    change: (count) =>
      products.slice(0, count).map((product) => {
        product.price = (product.price ?? 0) + 1
        product.updated_at = now().toISOString()
        return product.id
      }),
    setFault: injected.set,
    clearFaults: injected.clear,
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer: (request) => answerProducts(request, products, limit),
    control(request) {
      const { count } = { count: 1, ...jsonOf(request) as { count?: number } | null }
      switch (request.url.pathname) {
        case '/_control/change':
          return { body: { ids: control.change(count) } }
        case '/_control/clear':
          control.clearFaults()
          return { body: { ok: true } }
      }
      return { status: 404, body: { error: 'no such control' } }
    },
  })
  return {
    url: server.url,
    baseUrl: server.url,
    settings: { shop: 'demo' },
    credentials: { api_key: API_KEY },
    products,
    control,
    requests: log.entries,
    stop: server.stop,
  }
}

function answerProducts(
  request: SimulatorRequest,
  products: AcmeStoreProduct[],
  limit: RateLimit,
): SimulatorAnswer {
  const query = request.url.searchParams
  if (request.headers['authorization'] !== `Bearer ${API_KEY}`) {
    return { status: 401, body: { error: 'wrong key' } }
  }
  if (!limit.take(API_KEY)) return { status: 429, body: { error: 'too many requests' } }
  if (request.method !== 'GET' || request.url.pathname !== '/v1/products') {
    return { status: 404, body: { error: 'not found' } }
  }
  const size = Number(query.get('limit') ?? MOST_A_PAGE)
  const start = Number(query.get('after') ?? 0)
  if (!(size >= 1 && size <= MOST_A_PAGE) || !Number.isInteger(start)) {
    return { status: 400, body: { error: 'limit is 1 to 100, after is what paging.next said' } }
  }
  const since = Date.parse(query.get('updated_since') ?? '1970-01-01T00:00:00Z')
  const matching = products.filter(({ updated_at }) => Date.parse(updated_at) >= since)
  const end = start + size
  return {
    body: {
      data: request.fault?.kind === 'empty' ? [] : matching.slice(start, end),
      paging: { next: end < matching.length ? String(end) : null },
    },
  }
}

function makeProducts(seed: number, count: number): AcmeStoreProduct[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, index) => ({
    id: `p-${1000 + index}`,
    title: `${random.pick(['Oak', 'Walnut', 'Steel'])} ${random.pick(['stool', 'lamp', 'tray'])}`,
    price: random.chance(0.9) ? random.between(500, 20_000) / 100 : null,
    updated_at: new Date(Date.UTC(2026, 8, 1) + index * 60_000).toISOString(),
  }))
}
