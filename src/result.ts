// What every method answers: data or an error, never an exception.
import type {
  ErrorCode,
  ERRORS,
  FieldError,
  NextStep,
} from '../supabase/functions/_shared/platform/errors.ts'

/** `data` when it worked, `error` when it did not; the other one is null. */
export type Result<Data> = { data: Data; error: null } | { data: null; error: PlugboardError }

/**
 * Plugboard's own codes, and what can happen on the way to them: `network_error` (no answer came;
 * whether the call had an effect is unknown), `unexpected_answer` (something else than Plugboard
 * answered, or another version of it) and `aborted` (your `signal` ended the call).
 */
export type PlugboardErrorCode = ErrorCode | 'network_error' | 'unexpected_answer' | 'aborted'

/** Who can act on what the library says by itself or reads from the Data API; functions send it. */
const NEXT: {
  [Code in PlugboardErrorCode]?: Code extends ErrorCode ? (typeof ERRORS)[Code]['next'] : NextStep
} = {
  network_error: 'retry',
  aborted: 'retry',
  unavailable: 'retry',
  too_many_requests: 'retry',
  unauthorized: 'owner',
  not_a_manager: 'owner',
  last_owner: 'owner',
  organization_not_found: 'owner',
  invitation_not_found: 'owner',
  integration_not_found: 'owner',
  sync_error_not_found: 'owner',
  stream_not_pushed: 'owner',
  stream_not_read: 'owner',
  deletes_not_pushed: 'owner',
  conflict_not_found: 'owner',
  conflict_overturned: 'owner',
}

export type PlugboardErrorDetails = {
  status?: number
  next?: NextStep
  errors?: FieldError[]
  requestId?: string
  retryAfterMs?: number
  cause?: unknown
}

/** Why a call did not work. Branch on `code`; `message` is for people. */
export class PlugboardError extends Error {
  override readonly name = 'PlugboardError'
  readonly code: PlugboardErrorCode
  /**
   * Who can act: `retry` (it may pass, call again), `owner` (a person: sign in, correct a field, ask for
   * the rights) or `developer` (the code that calls, or Plugboard's).
   */
  readonly next: NextStep
  /**
   * HTTP status as it came; undefined when no answer came. The Data API sends refusals of its functions
   * with 400, whatever the code.
   */
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
    this.next = details.next ?? NEXT[code] ?? 'developer'
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
