// What does Gmail mean by this refusal? Throttling comes as 403 too, with its reason in the body.
import type { Failure, JudgedAnswer } from '../define-connector.ts'
import { platformWords } from '../vocabulary/platform-words.ts'
import { readPath } from '../vocabulary/read-path.ts'

const THROTTLED = ['rateLimitExceeded', 'userRateLimitExceeded']
/** The project's day is used up; it begins anew at midnight in California, and until then each hour is soon enough. */
const DAY_IS_OVER = ['dailyLimitExceeded', 'dailyLimitExceededUnreg']
const AN_HOUR_MS = 3_600_000

export function readFailure({ status, headers, body, now }: JudgedAnswer): Failure | null {
  if (status < 400 || status >= 500) return null
  const reason = String(readPath(body, 'error.errors.0.reason') ?? '')
  const message = readPath(body, 'error.message')
  const detail = `Gmail answered ${status}: ${platformWords(message) || platformWords(reason)}`
  if (DAY_IS_OVER.includes(reason)) {
    return { code: 'provider_rate_limited', detail, retryAfterMs: AN_HOUR_MS }
  }
  if (status === 429 || status === 403 && THROTTLED.includes(reason)) {
    if (headers.has('retry-after')) return null
    const until = Date.parse(/retry after (\S+Z)/i.exec(String(message))?.[1] ?? '')
    return {
      code: 'provider_rate_limited',
      detail,
      ...(Number.isNaN(until) ? {} : { retryAfterMs: Math.max(0, until - now.getTime()) }),
    }
  }
  if (status === 403 && reason === 'insufficientPermissions') {
    return {
      code: 'provider_forbidden',
      detail: 'The owner has not allowed this at Google: sign in again and leave it ticked.',
    }
  }
  // the Google account has no mailbox
  if (status === 400 && reason === 'failedPrecondition') {
    return { code: 'provider_forbidden', detail }
  }
  return status === 403 && reason !== '' ? { code: 'provider_forbidden', detail } : null
}
