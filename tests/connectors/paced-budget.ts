// What Postgres does for an account, by the connector's own numbers, where a caller always wants its next turn at once.
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import type { FakeClock } from '../support/fake-clock.ts'

/** Turns as `acquire_request` gives them (GCRA); waiting for one moves the clock on, so calls at once share it. */
export function pacedBudget(
  connector: Connector,
  settings: Record<string, unknown>,
  clock: FakeClock,
): RequestBudget {
  const { rateLimit, limits } = connector.paceOf(settings)
  const free = new Map<string, number>()
  const waitFor = (key: string, { requestsPerSecond, burst }: typeof rateLimit, cost: number) => {
    const now = clock.now().getTime()
    const gap = 1_000 / requestsPerSecond
    const next = free.get(key) ?? -Infinity
    free.set(key, Math.max(next, now) + gap * cost)
    return Math.max(0, Math.ceil(next - gap * (burst - 1) - now))
  }
  return {
    acquire({ limit, cost = 1 } = {}) {
      const own = waitFor('', rateLimit, cost)
      const further = limit === undefined
        ? 0
        : waitFor(limit, limits[limit.split(':', 1)[0]!]!, cost)
      clock.advance(Math.max(own, further))
      return Promise.resolve({ wait_ms: 0, circuit: 'closed' })
    },
    report: () => Promise.resolve(),
  }
}
