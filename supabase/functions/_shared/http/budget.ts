// Asks before a call whether the account's shared budget allows it, and tells how the call went.
//
// Budget and circuit are rows in Postgres: an Edge Function may not live to see the next call, and
// several may call the same account at once.
import type { Limits, RateLimit } from '../connectors/vocabulary/rate-limit.ts'
import type { Database } from '../platform/database.ts'

/** `wait_ms` before sending; `retry_after_ms` until an open circuit lets one call through again. */
export type Grant = {
  wait_ms: number
  circuit: 'closed' | 'half_open' | 'open'
  retry_after_ms?: number | null
}

/** `throttled`: the platform answered 429. `failure`: it did not answer, or with 5xx. */
export type Outcome = 'success' | 'failure' | 'throttled'

/**
 * What a request takes: `cost` turns (1 when not said), and as many of a further limit by its name. What
 * follows a colon in the name is counted apart: `post:general` and `post:random` each have all of `post`,
 * but for what the app has of it.
 */
export type Turn = {
  limit?: string
  cost?: number
  /** A turn further away than this is told, not taken: whoever does not wait for it must not use it up. */
  maxWaitMs?: number
}

export interface RequestBudget {
  /** Takes one request out of the budget. */
  acquire(turn?: Turn): Promise<Grant>
  /** @param limit The further limit that throttled. */
  report(outcome: Outcome, retry_after_ms?: number, limit?: string): Promise<void>
}

/**
 * The budget of one account in Postgres.
 *
 * @param keys What shares the budget, such as `treez:some-store`, and what shares the app's part of a limit.
 * @param limits Further limits, by the names that requests use.
 */
export function databaseBudget(
  db: Pick<Database, 'call'>,
  keys: { account: string; app: string },
  rateLimit: RateLimit,
  limits: Limits = {},
): RequestBudget {
  return {
    async acquire({ limit, cost = 1, maxWaitMs } = {}) {
      return await db.call<Grant>('acquire_request', {
        p_key: keys.account,
        p_requests_per_second: rateLimit.requestsPerSecond,
        p_burst: rateLimit.burst,
        p_cost: cost,
        p_limits: limit === undefined ? null : furtherLimits(keys, limits, limit),
        p_max_wait_ms: maxWaitMs ?? null,
      })
    },
    report: async (outcome, retry_after_ms, limit) => {
      const throttled = outcome === 'throttled' && limit !== undefined
      await db.call<void>('report_request', {
        p_key: throttled ? `${keys.account}:${limit}` : keys.account,
        p_outcome: outcome,
        p_retry_after_ms: retry_after_ms === undefined ? null : Math.ceil(retry_after_ms),
      })
    },
  }
}

/** The account's part of the limit and, where there is one, the app's. */
function furtherLimits(keys: { account: string; app: string }, limits: Limits, limit: string) {
  const name = limit.split(':', 1)[0]!
  const further = limits[name]
  if (further === undefined) throw new TypeError(`${keys.account} has no limit "${limit}"`)
  const row = (key: string, { requestsPerSecond, burst }: RateLimit) => ({
    key,
    requests_per_second: requestsPerSecond,
    burst,
  })
  return [
    row(`${keys.account}:${limit}`, further),
    ...(further.app ? [row(`${keys.app}:${name}`, further.app)] : []),
  ]
}
