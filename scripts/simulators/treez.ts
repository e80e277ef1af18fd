// A Treez store on loopback: the product API of v2 and v3, its habits, and a way to bend it.
import { generateKeyPairSync } from 'node:crypto'
import { faults } from './parts/faults.ts'
import { startSimulatorServer } from './parts/http-server.ts'
import { rateLimit } from './parts/rate-limit.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { accessTokens } from './treez/access-tokens.ts'
import { createCatalog } from './treez/catalog.ts'
import { answerControl, type TreezControl, treezControl } from './treez/control.ts'
import { answerTreez } from './treez/routes.ts'
import { signedTokens } from './treez/signed-tokens.ts'

export type TreezSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** The same seed gives the same catalog, but for the dates, which lie before `now`. */
  seed?: number
  products?: number
  /** Share of products that are broken from the start; default 0.005. */
  brokenShare?: number
  /** `compact`: about 600 bytes a product instead of 1500. Default `full`. */
  recordSize?: 'full' | 'compact'
  /** For each client, as Treez does it; 0 switches the limit off. Default 10. */
  requestsPerSecond?: number
  dispensary?: string
  /** More stores of the same partner: the same products, client id and limit. */
  moreDispensaries?: string[]
  clientId?: string
  apiKey?: string
  /** The v3 side; without a key pair one is made. */
  v3?: {
    certificateId: string
    organizationId: string
    publicKey: string
    privateKey: string
  }
  now?: () => Date
}

export type TreezSimulator = {
  /** Origin, without a slash at the end. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "treez": { "baseUrl": … } }`. */
  baseUrl: string
  control: TreezControl
  /** What an owner types into the connect form, for both API versions. */
  credentials: {
    v2: { client_id: string; api_key: string }
    v3: {
      certificate_id: string
      organization_id: string
      private_key: string
    }
  }
  settings: { dispensary: string }
  /** Products as the wire shows them, in list order; `sound` leaves the broken ones out. */
  catalog(which?: 'all' | 'sound' | 'broken'): Record<string, unknown>[]
  /** The store's own ids, also of products whose id does not show on the wire. */
  ids(which?: 'all' | 'sound' | 'broken'): string[]
  requests: LoggedRequest[]
  /** When each request of the v2 client came, in milliseconds, also the refused ones. */
  arrivals(): readonly number[]
  stop(): Promise<void>
}

/** Starts the simulator on 127.0.0.1. */
export async function startTreezSimulator(
  options: TreezSimulatorOptions = {},
): Promise<TreezSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const dispensary = options.dispensary ?? 'demo'
  const v2 = {
    client_id: options.clientId ?? 'plugboard-demo-client',
    api_key: options.apiKey ?? 'demo-api-key',
  }
  const v3 = options.v3 ?? makeCertificate()
  const catalog = createCatalog({
    seed: options.seed ?? 1,
    products: options.products ?? 2400,
    brokenShare: options.brokenShare ?? 0.005,
    recordSize: options.recordSize ?? 'full',
    now,
  })
  const log = requestLog()
  const limit = rateLimit(options.requestsPerSecond ?? 10, () => performance.now())
  const tokens = accessTokens({
    clientId: v2.client_id,
    apiKey: v2.api_key,
    now,
  })
  const signed = signedTokens({ ...v3, now })
  const injected = faults()
  const parts = { catalog, faults: injected, log, limit, tokens, signed }
  const control = treezControl(parts)
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer: (request) =>
      answerTreez(request, {
        ...parts,
        dispensaries: [dispensary, ...options.moreDispensaries ?? []],
        clientId: v2.client_id,
        certificateId: v3.certificateId,
      }),
    control: (request) => answerControl(request, control, parts),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    control,
    credentials: {
      v2,
      v3: {
        certificate_id: v3.certificateId,
        organization_id: v3.organizationId,
        private_key: v3.privateKey,
      },
    },
    settings: { dispensary },
    catalog: catalog.list,
    ids: catalog.ids,
    requests: log.entries,
    arrivals: () => limit.arrivals(v2.client_id),
    stop: server.stop,
  }
}

/** 2048 bits: Treez asks for 4096, which takes seconds to make and proves nothing more here. */
function makeCertificate() {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return {
    certificateId: 'demo-certificate',
    organizationId: 'demo-organization',
    publicKey: pair.publicKey,
    privateKey: pair.privateKey,
  }
}
