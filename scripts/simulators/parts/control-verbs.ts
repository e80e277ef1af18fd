// How does another process bend a simulator? `/_control/<verb>`: a table of verbs, and those they all have.
import { z } from 'zod'
import { type Fault, FAULT_KINDS, type Faults } from './faults.ts'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from './http-server.ts'
import type { Records, Which } from './records.ts'
import type { LoggedRequest, RequestLog } from './request-log.ts'

/** By `METHOD verb`; what a verb returns is answered, nothing as `{ "ok": true }`. */
export type Verbs = Record<string, (body: unknown, url: URL) => unknown>

export type CommonControl = {
  setFault(fault: Fault): void
  clearFaults(): void
  /** Forgets faults and logged requests; the data stays. */
  clear(): void
}

export function commonControl(parts: { faults: Faults; log: RequestLog }): CommonControl {
  return {
    setFault: (fault) => void parts.faults.set(fault),
    clearFaults: parts.faults.clear,
    clear() {
      parts.faults.clear()
      parts.log.clear()
    },
  }
}

const AnyFault = z.looseObject({ kind: z.string().refine((kind) => FAULT_KINDS.has(kind)) })

export function commonVerbs(control: CommonControl, requests: LoggedRequest[]): Verbs {
  return {
    'GET requests': () => requests,
    'POST fault': (body) => control.setFault(AnyFault.parse(body) as Fault),
    'POST clear-faults': () => control.clearFaults(),
    'POST clear': () => control.clear(),
  }
}

const Count = z.object({ count: z.int().nonnegative() })
const WhichOnes = z.union([
  Count.transform(({ count }): Which => count),
  z.object({ ids: z.array(z.string()) }).transform(({ ids }): Which => ids),
])
const Fields = z.object({ fields: z.record(z.string(), z.unknown()).optional() })

/** `change`, `add` and `remove` of `{ "count": 5 }` or `{ "ids": […] }`, and the whole list. */
export function recordVerbs<Item extends object>(
  name: string,
  kept: Pick<Records<Item>, 'list' | 'change' | 'add' | 'remove'>,
): Verbs {
  return {
    [`GET ${name}`]: () => kept.list(),
    [`POST ${name}/change`]: (body) => ({
      ids: kept.change(WhichOnes.parse(body), Fields.parse(body).fields as Partial<Item>),
    }),
    [`POST ${name}/add`]: (body) => ({ ids: kept.add(Count.parse(body).count) }),
    [`POST ${name}/remove`]: (body) => ({ ids: kept.remove(WhichOnes.parse(body)) }),
  }
}

export function answerVerbs(verbs: Verbs): (request: SimulatorRequest) => SimulatorAnswer {
  return (request) => {
    const name = request.url.pathname.slice('/_control/'.length)
    const verb = Object.hasOwn(verbs, `${request.method} ${name}`)
      ? verbs[`${request.method} ${name}`]
      : undefined
    if (!verb) return { status: 404, body: { error: `no such control: ${name}` } }
    try {
      return { body: verb(jsonOf(request) ?? {}, request.url) ?? { ok: true } }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      return { status: 400, body: { error: message } }
    }
  }
}
