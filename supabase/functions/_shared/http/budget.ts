// Asks before a call whether the account's shared budget allows it, and tells how the call went.
//
// Budget and circuit are rows in Postgres: an Edge Function may not live to see the next call, and
// several may call the same account at once.
import type { Database } from '../platform/database.ts'

/** `wait_ms` before sending; `retry_after_ms` until an open circuit lets one call through again. */
export type Grant = {
  wait_ms: number
  circuit: 'closed' | 'half_open' | 'open'
  retry_after_ms?: number | null
}

/** `throttled`: the platform answered 429. `failure`: it did not answer, or with 5xx. */
export type Outcome = 'success' | 'failure' | 'throttled'

export interface RequestBudget {
  /** Takes one request out of the budget. */
  acquire(): Promise<Grant>
  report(outcome: Outcome, retry_after_ms?: number): Promise<void>
}

/**
 * The budget of one account in Postgres.
 *
 * @param key What shares the budget, such as `treez:some-store`.
 */
export function databaseBudget(
  db: Pick<Database, 'call'>,
  key: string,
  limit: { requestsPerSecond: number; burst: number },
): RequestBudget {
  return {
    acquire: () =>
      db.call<Grant>('acquire_request', {
        p_key: key,
        p_requests_per_second: limit.requestsPerSecond,
        p_burst: limit.burst,
      }),
    report: async (outcome, retry_after_ms) => {
      await db.call<void>('report_request', {
        p_key: key,
        p_outcome: outcome,
        p_retry_after_ms: retry_after_ms === undefined ? null : Math.ceil(retry_after_ms),
      })
    },
  }
}
