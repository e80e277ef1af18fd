// What does Slack mean by `"ok": false`? It comes with status 200, and a code says what is wrong.
import type { ErrorCode } from '../../platform/errors.ts'
import type { Failure, JudgedAnswer } from '../define-connector.ts'
import { platformWords } from '../vocabulary/platform-words.ts'
import { readPath } from '../vocabulary/read-path.ts'

const CODES: Partial<Record<ErrorCode, readonly string[]>> = {
  provider_unauthorized: [
    'invalid_auth',
    'not_authed',
    'token_revoked',
    'token_expired',
    'account_inactive',
  ],
  provider_rate_limited: ['ratelimited', 'rate_limited'],
  provider_forbidden: [
    'missing_scope',
    'no_permission',
    'access_denied',
    'ekm_access_denied',
    'restricted_action',
    'not_allowed_token_type',
    'team_access_not_granted',
    'is_archived',
  ],
  provider_not_found: ['channel_not_found', 'not_in_channel', 'thread_not_found'],
  provider_cursor_expired: ['invalid_cursor'],
  provider_unavailable: [
    'internal_error',
    'fatal_error',
    'service_unavailable',
    'request_timeout',
    'team_added_to_org',
  ],
}
const CODE_OF = new Map(
  Object.entries(CODES).flatMap(([code, errors]) =>
    errors.map((error): [string, ErrorCode] => [error, code as ErrorCode])
  ),
)

/** Somebody of another workspace, or long gone: no name, and nothing wrong. */
const NO_NAME = ['user_not_found', 'user_not_visible', 'users_not_found']

export function readFailure({ status, headers, body }: JudgedAnswer): Failure | null {
  const ok = readPath(body, 'ok')
  if (ok === true) return null
  if (ok !== false) {
    return status >= 200 && status < 300
      ? { code: 'provider_bad_answer', detail: 'Slack answered without saying whether it is ok.' }
      : null
  }
  const error = String(readPath(body, 'error') ?? 'no reason given').slice(0, 100)
  if (NO_NAME.includes(error)) return null
  const seconds = Number(headers.get('retry-after') ?? NaN)
  const needed = readPath(body, 'needed')
  return {
    code: CODE_OF.get(error) ?? 'provider_rejected',
    detail: `Slack answered: ${platformWords(error)}${
      typeof needed === 'string' ? `, it needs ${platformWords(needed)}` : ''
    }.`,
    // with rotation a token ends after twelve hours
    ...(error === 'token_expired' ? { renewToken: true } : {}),
    ...(seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}),
  }
}
