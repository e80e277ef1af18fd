// How do tests, the demo and curl bend the simulated store? The same verbs as methods and over HTTP.
import { z } from 'zod'
import { type Fault, FAULT_KINDS, type Faults } from '../parts/faults.ts'
import type { SimulatorAnswer, SimulatorRequest } from '../parts/http-server.ts'
import type { RateLimit } from '../parts/rate-limit.ts'
import type { RequestLog } from '../parts/request-log.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Catalog, ProductPatch } from './catalog.ts'
import type { SignedTokens } from './signed-tokens.ts'

export type TreezControl = {
  /** Changes details of so many (or these) products; answers their ids. */
  change(which: number | readonly string[], fields?: ProductPatch): string[]
  /** The survivor lists the loser, the loser leaves the catalog. */
  merge(loser: string, survivor: string): void
  remove(which: number | readonly string[]): string[]
  add(count: number): string[]
  breakRecords(which: number | readonly string[]): string[]
  /** Without an argument: repairs all. */
  repairRecords(which?: number | readonly string[]): string[]
  /** Changes stock only, which does not move `last_updated_at`. */
  sell(which: number | readonly string[], quantity?: number): string[]
  setFault(fault: Fault): void
  clearFaults(): void
  /** Refuses the API key and the certificate from now on. */
  revokeCredentials(): void
  /** Ends the tokens handed out so far. */
  expireTokens(): void
  /** Requests a second for each client; 0 switches the limit off. */
  rateLimit(requestsPerSecond: number): void
  /** Forgets faults and logged requests; the catalog stays. */
  clear(): void
}

export type ControlParts = {
  catalog: Catalog
  faults: Faults
  log: RequestLog
  limit: RateLimit
  tokens: AccessTokens
  signed: SignedTokens
}

export function treezControl(parts: ControlParts): TreezControl {
  const { catalog, faults } = parts
  return {
    change: catalog.change,
    merge: catalog.merge,
    remove: catalog.remove,
    add: catalog.add,
    breakRecords: catalog.break,
    repairRecords: catalog.repair,
    sell: catalog.sell,
    setFault: faults.set,
    clearFaults: faults.clear,
    revokeCredentials() {
      parts.tokens.revoke()
      parts.signed.revoke()
    },
    expireTokens: parts.tokens.expire,
    rateLimit: parts.limit.set,
    clear() {
      faults.clear()
      parts.log.clear()
    },
  }
}

const Count = z.strictObject({ count: z.int().nonnegative() })
const Which = z.union([
  Count.transform(({ count }) => count),
  z.strictObject({ ids: z.array(z.string()) }).transform(({ ids }) => ids),
])
const Pair = z.strictObject({ loser: z.string(), survivor: z.string() })
const Limit = z.strictObject({ requests_per_second: z.number().nonnegative() })
const AnyFault = z.looseObject({ kind: z.string().refine((kind) => FAULT_KINDS.has(kind)) })
const WithFields = z.looseObject({ fields: z.record(z.string(), z.unknown()).optional() })

/** `POST /_control/<verb>` with JSON, `GET /_control/catalog` and `GET /_control/requests`. */
export function answerControl(
  request: SimulatorRequest,
  control: TreezControl,
  parts: ControlParts,
): SimulatorAnswer {
  const verb = request.url.pathname.slice('/_control/'.length)
  try {
    if (request.method === 'GET') return read(verb, request.url, parts)
    const body: unknown = request.body === '' ? {} : JSON.parse(request.body)
    const { fields, ...which } = WithFields.parse(body)
    switch (verb) {
      case 'change':
        return ids(control.change(Which.parse(which), fields as ProductPatch | undefined))
      case 'remove':
        return ids(control.remove(Which.parse(which)))
      case 'break':
        return ids(control.breakRecords(Which.parse(which)))
      case 'repair':
        return ids(
          control.repairRecords(Object.keys(which).length ? Which.parse(which) : undefined),
        )
      case 'sell':
        return ids(control.sell(Which.parse(which)))
      case 'add':
        return ids(control.add(Count.parse(which).count))
      case 'merge': {
        const { loser, survivor } = Pair.parse(which)
        control.merge(loser, survivor)
        return done
      }
      case 'fault':
        control.setFault(AnyFault.parse(which) as Fault)
        return done
      case 'revoke-credentials':
        control.revokeCredentials()
        return done
      case 'expire-tokens':
        control.expireTokens()
        return done
      case 'rate-limit':
        control.rateLimit(Limit.parse(which).requests_per_second)
        return done
      case 'clear':
        control.clear()
        return done
    }
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } }
  }
  return { status: 404, body: { error: `no such control: ${verb}` } }
}

const done: SimulatorAnswer = { body: { ok: true } }
const ids = (changed: string[]): SimulatorAnswer => ({ body: { ok: true, ids: changed } })

function read(verb: string, url: URL, parts: ControlParts): SimulatorAnswer {
  if (verb === 'requests') return { body: parts.log.entries }
  if (verb === 'catalog') {
    const which = url.searchParams.get('which') ?? 'all'
    return { body: parts.catalog.list(z.enum(['all', 'sound', 'broken']).parse(which)) }
  }
  return { status: 404, body: { error: `no such control: ${verb}` } }
}
