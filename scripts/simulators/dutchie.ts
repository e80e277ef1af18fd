// A Dutchie POS location on loopback: one catalog in one answer, its roles and limits, and a way to bend it.
import { answerVerbs, commonControl, commonVerbs, recordVerbs } from './parts/control-verbs.ts'
import type { CommonControl } from './parts/control-verbs.ts'
import { faults } from './parts/faults.ts'
import { type SimulatorAnswer, startSimulatorServer } from './parts/http-server.ts'
import type { Records } from './parts/records.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { windowLimit } from './parts/window-limit.ts'
import { dutchieCatalog, type DutchieProduct } from './dutchie/catalog.ts'

export type DutchieSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** The same seed gives the same catalog, but for the dates, which lie before `now`. */
  seed?: number
  products?: number
  /** Writes `ProductId` instead of `productId`, as some deployments do. */
  pascalCase?: boolean
  locationKey?: string
  /** With one, the password has to be this key; without, it is not looked at. */
  integratorKey?: string
  /** For each endpoint; 0 switches the limit off. Default 100. */
  requestsPerMinute?: number
  /** Whether a 429 says when to come back. Default true. */
  retryAfter?: boolean
  location?: { id: number; name: string }
  now?: () => Date
}

export type DutchieControl =
  & CommonControl
  & Pick<Records<DutchieProduct>, 'change' | 'add' | 'remove'>
  & {
    rateLimit(requestsPerMinute: number): void
    /** The key loses its role Reporting, or gets it back. */
    allowReporting(allowed: boolean): void
    revokeCredentials(): void
  }

export type DutchieSimulator = {
  /** Origin, without a slash at the end: what `CONNECTOR_OVERRIDES` takes as `baseUrl`. */
  url: string
  baseUrl: string
  control: DutchieControl
  /** What an owner types into the connect form. */
  credentials: { location_key: string; integrator_key?: string }
  settings: { currency: string }
  /** Products as the documentation spells them. */
  catalog(): DutchieProduct[]
  ids(): string[]
  requests: LoggedRequest[]
  /** The most requests one endpoint got through in a minute, and how many it refused. */
  load(): { most: number; refused: number }
  stop(): Promise<void>
}

const ENDPOINTS = ['/whoami', '/reporting/products', '/products']

/** Starts the simulator on 127.0.0.1. */
export async function startDutchieSimulator(
  options: DutchieSimulatorOptions = {},
): Promise<DutchieSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const location = options.location ?? { id: 4711, name: 'Harbor Street' }
  const key = options.locationKey ?? 'demo-location-key'
  const catalog = dutchieCatalog({
    seed: options.seed ?? 1,
    count: options.products ?? 400,
    now,
  })
  const limit = windowLimit(options.requestsPerMinute ?? 100, 60_000, now)
  const injected = faults()
  const log = requestLog()
  let reporting = true
  let revoked = false

  const spelled = (value: unknown): unknown =>
    !options.pascalCase || typeof value !== 'object' || value === null
      ? value
      : Array.isArray(value)
      ? value.map(spelled)
      : Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [
          name.charAt(0).toUpperCase() + name.slice(1),
          spelled(inner),
        ]),
      )
  const isKnown = (authorization: string) => {
    const [username, ...password] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
      .toString().split(':')
    return !revoked && username === key &&
      (options.integratorKey === undefined || password.join(':') === options.integratorKey)
  }

  const control: DutchieControl = {
    ...commonControl({ faults: injected, log }),
    change: catalog.change,
    add: catalog.add,
    remove: catalog.remove,
    rateLimit: limit.set,
    allowReporting: (allowed) => void (reporting = allowed),
    revokeCredentials: () => void (revoked = true),
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer({ method, url, headers, fault }): SimulatorAnswer {
      const path = url.pathname
      if (path === '/okcomputer') return { body: 'OK' }
      if (!ENDPOINTS.includes(path) || method !== 'GET') {
        return { status: 404, body: { message: 'Not found' } }
      }
      const waitMs = limit.take(path)
      if (waitMs > 0) {
        return {
          status: 429,
          headers: options.retryAfter === false
            ? {}
            : { 'retry-after': String(Math.ceil(waitMs / 1000)) },
          body: { message: 'Too many requests' },
        }
      }
      if (!isKnown(headers['authorization'] ?? '')) {
        return { status: 401, body: { message: 'Unauthorized' } }
      }
      if (path === '/whoami') {
        return { body: spelled({ locationId: location.id, locationName: location.name }) }
      }
      if (path === '/reporting/products' && !reporting) {
        return { status: 403, body: { message: 'Forbidden' } }
      }
      const since = url.searchParams.get('fromLastModifiedDateUTC')
      const after = since === null ? -Infinity : Date.parse(since)
      if (Number.isNaN(after)) return { status: 400, body: { message: `cannot read ${since}` } }
      const shown = fault?.kind === 'empty'
        ? []
        : catalog.list().filter((product) =>
          Date.parse(product.lastModifiedDateUTC) >= after &&
          (path === '/reporting/products' || product.isActive && product.onlineAvailable)
        )
      return { body: spelled(shown) }
    },
    control: answerVerbs({
      ...commonVerbs(control, log.entries),
      ...recordVerbs('products', { ...control, list: catalog.list }),
      'POST revoke-credentials': () => control.revokeCredentials(),
      'POST rate-limit': (body) =>
        control.rateLimit(Number((body as { requests_per_minute: number }).requests_per_minute)),
    }),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    control,
    credentials: {
      location_key: key,
      ...(options.integratorKey === undefined ? {} : { integrator_key: options.integratorKey }),
    },
    settings: { currency: 'USD' },
    catalog: catalog.list,
    ids: catalog.ids,
    requests: log.entries,
    load: () => ({
      most: Math.max(...ENDPOINTS.map(limit.most)),
      refused: ENDPOINTS.reduce((sum, endpoint) => sum + limit.refused(endpoint), 0),
    }),
    stop: server.stop,
  }
}
