// When to send again, and how long to wait before.
import { ConstantBackoff, handleWhen, retry } from 'cockatiel'
import { AppError } from '../platform/errors.ts'
import type { Clock } from '../platform/clock.ts'

const BASE_DELAY_MS = 250
const MAX_DELAY_MS = 10_000

// What a Postgres int holds: the budget stores it, and nobody waits 24 days for a page.
const MAX_RETRY_AFTER_MS = 2_147_483_647

/** RFC 9110 section 9.2.2: sending one of these twice ends in the same state as sending it once. */
const IDEMPOTENT_METHODS = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])

/** May a request of this method be sent again when its outcome is unknown? */
export function isRepeatable(method: string): boolean {
  return IDEMPOTENT_METHODS.has(method)
}

/**
 * Can the same request succeed a moment later, and is it safe to send it again?
 *
 * 429 means the request was not carried out, so it is safe for every method. After a 5xx, a
 * timeout or a broken connection nobody knows, so only a repeatable request is sent again.
 */
export function isWorthRetrying(error: unknown, repeatable: boolean): error is AppError {
  if (!(error instanceof AppError)) return false
  if (error.code === 'provider_rate_limited') return true
  return repeatable &&
    (error.code === 'provider_unavailable' || error.code === 'provider_timeout')
}

// RFC 9110 section 5.6.7: each of its three forms begins with a day's name and has a full time.
const HTTP_DATE = /^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d\d:\d\d:\d\d/i

/**
 * Reads `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP-date) as milliseconds from
 * `now`; `undefined` when there is none or it makes no sense.
 */
export function readRetryAfter(headers: Headers, now: Date): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (!text) return undefined
  if (/^\d{1,12}$/.test(text)) return Math.min(Number(text) * 1_000, MAX_RETRY_AFTER_MS)
  // Date.parse alone would also accept "-5", as a year
  const date = HTTP_DATE.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(date)) return undefined
  return Math.min(Math.max(date - now.valueOf(), 0), MAX_RETRY_AFTER_MS)
}

/** Full jitter: anything between nothing and a limit that doubles, so that callers spread out. */
export function jitteredDelay(retryCount: number, random: () => number): number {
  return Math.floor(random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** (retryCount - 1)))
}

export type RetryOptions = {
  clock: Clock
  random: () => number
  /** Sends in all, the first one included. */
  maxAttempts: number
  signal?: AbortSignal
  shouldRetry: (error: unknown) => boolean
  onRetry: (error: unknown, waitMs: number) => void
}

/** Runs `send` until it succeeds, fails for good or has used its attempts. `Retry-After` wins. */
export function withRetries<Result>(
  options: RetryOptions,
  send: () => Promise<Result>,
): Promise<Result> {
  let last: unknown
  const policy = retry(
    handleWhen((error) => {
      last = error
      return options.shouldRetry(error)
    }),
    // The waiting is done below: cockatiel's own timers cannot be aborted or driven by our clock.
    { maxAttempts: options.maxAttempts - 1, backoff: new ConstantBackoff(0) },
  )
  return policy.execute(async ({ attempt }) => {
    if (attempt > 0) {
      const asked = last instanceof AppError ? last.retryAfterMs : undefined
      const waitMs = asked ?? jitteredDelay(attempt, options.random)
      options.onRetry(last, waitMs)
      await options.clock.sleep(waitMs, options.signal)
    }
    return await send()
  }, options.signal)
}
