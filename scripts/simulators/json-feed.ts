// A public product feed on loopback: one JSON file, no credentials, a few products.
import { type Fault, faults } from './parts/faults.ts'
import { type SimulatorAnswer, startSimulatorServer } from './parts/http-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { seededRandom } from './parts/seeded-random.ts'

export type FeedProduct = {
  id: string
  name: string
  price: number | string | null
  currency?: string
  [field: string]: unknown
}

export type JsonFeedSimulator = {
  /** The feed's address: what `settings.url` takes. */
  url: string
  /** The products; change the array and the feed changes. */
  products: FeedProduct[]
  setFault(fault: Fault): void
  requests: LoggedRequest[]
  stop(): Promise<void>
}

/** Starts the simulator on 127.0.0.1. `wrapped` serves `{ "products": […] }` instead of `[…]`. */
export async function startJsonFeedSimulator(
  options: {
    port?: number
    seed?: number
    products?: number
    wrapped?: boolean
  } = {},
): Promise<JsonFeedSimulator> {
  const products = makeProducts(options.seed ?? 1, options.products ?? 40)
  const log = requestLog()
  const injected = faults()
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer: (request): SimulatorAnswer => {
      if (request.url.pathname !== '/products.json') {
        return { status: 404, body: { error: 'not found' } }
      }
      const shown = request.fault?.kind === 'empty' ? [] : products
      return { body: options.wrapped ? { products: shown } : shown }
    },
    control: (): SimulatorAnswer => ({
      status: 404,
      body: { error: 'the feed has no control API' },
    }),
  })
  return {
    url: `${server.url}/products.json`,
    products,
    setFault: injected.set,
    requests: log.entries,
    stop: server.stop,
  }
}

function makeProducts(seed: number, count: number): FeedProduct[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, index) => ({
    id: `SKU-${1000 + index}`,
    name: `${random.pick(['Oak', 'Walnut', 'Steel', 'Linen'])} ${
      random.pick(['Stool', 'Lamp', 'Tray'])
    } ${index + 1}`,
    description: null,
    brand: random.pick(['Harbor & Pine', 'Fieldnotes']),
    category: random.pick(['home', 'garden']),
    sku: `SKU-${1000 + index}`,
    price: random.between(500, 20_000) / 100,
    currency: 'USD',
    stock: random.between(0, 50),
    image: `https://images.feed.example/${1000 + index}.jpg`,
    updated_at: new Date(Date.UTC(2026, 8, 1) + index * 3_600_000)
      .toISOString(),
  }))
}
