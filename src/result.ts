// What every method answers: data or an error, never an exception.
import type { ErrorCode, FieldError } from '../supabase/functions/_shared/platform/errors.ts'

/** `data` when it worked, `error` when it did not; the other one is null. */
export type Result<Data> = { data: Data; error: null } | { data: null; error: PlugboardError }

/**
 * Plugboard's own codes, and what can happen on the way to them: `network_error` (no answer came;
 * whether the call had an effect is unknown), `unexpected_answer` (something else than Plugboard
 * answered, or another version of it) and `aborted` (your `signal` ended the call).
 */
export type PlugboardErrorCode = ErrorCode | 'network_error' | 'unexpected_answer' | 'aborted'

export type PlugboardErrorDetails = {
  status?: number
  errors?: FieldError[]
  requestId?: string
  retryAfterMs?: number
  cause?: unknown
}

/** Why a call did not work. Branch on `code`; `message` is for people. */
export class PlugboardError extends Error {
  override readonly name = 'PlugboardError'
  readonly code: PlugboardErrorCode
  /** HTTP status; undefined when no answer came. */
  readonly status: number | undefined
  /** Which fields of the request are wrong: `path` is like `settings.url`, `''` the whole. */
  readonly errors: FieldError[] | undefined
  /** Names this call in the functions' logs. */
  readonly requestId: string | undefined
  /** When trying again can help, in milliseconds from now, where the answer said so. */
  readonly retryAfterMs: number | undefined

  constructor(code: PlugboardErrorCode, message: string, details: PlugboardErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.code = code
    this.status = details.status
    this.errors = details.errors
    this.requestId = details.requestId
    this.retryAfterMs = details.retryAfterMs
  }
}

export function succeed<Data>(data: Data): Result<Data> {
  return { data, error: null }
}

export function fail(
  code: PlugboardErrorCode,
  message: string,
  details?: PlugboardErrorDetails,
): { data: null; error: PlugboardError } {
  return { data: null, error: new PlugboardError(code, message, details) }
}
