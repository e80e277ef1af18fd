// How does another process bend a simulated platform? `POST /_control/<verb>` with JSON, beside OAuth's own verbs.
import { z } from 'zod'
import { type Fault, FAULT_KINDS, type Faults } from './faults.ts'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from './http-server.ts'
import { answerOAuthControl } from './oauth/control-routes.ts'
import type { OAuthServer } from './oauth-server.ts'
import type { RequestLog } from './request-log.ts'

export type ControlVerbs = Record<string, (body: Record<string, unknown>) => unknown>

const Body = z.record(z.string(), z.unknown())
const AnyFault = z.looseObject({ kind: z.string().refine((kind) => FAULT_KINDS.has(kind)) })

/** `verbs` are the platform's own; `fault`, `clear` and `requests` are there for each. */
export function controlOf(
  { oauth, log, faults, verbs }: {
    oauth: OAuthServer
    log: RequestLog
    faults: Faults
    verbs: ControlVerbs
  },
): (request: SimulatorRequest) => SimulatorAnswer {
  const all: ControlVerbs = {
    fault: (body) => faults.set(AnyFault.parse(body) as unknown as Fault),
    clear() {
      faults.clear()
      log.clear()
    },
    ...verbs,
  }
  return (request) => {
    const answered = answerOAuthControl(request, oauth)
    if (answered) return answered
    const verb = request.url.pathname.slice('/_control/'.length)
    if (request.method === 'GET' && verb === 'requests') return { body: log.entries }
    const run = request.method === 'POST' && Object.hasOwn(all, verb) ? all[verb] : undefined
    if (!run) return { status: 404, body: { error: `no such control: ${verb}` } }
    try {
      const result = run(Body.parse(jsonOf(request) ?? {}))
      return { body: { ok: true, ...(result === undefined ? {} : { result }) } }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      return { status: 400, body: { error: message } }
    }
  }
}
