// What one endpoint accepts and answers. Its Edge Function and its client method are both made from it.
import { z } from 'zod'
import type { ErrorCode } from '../platform/errors.ts'

/** Who may call: a signed-in user or the project's secret key; or only the wake call with the worker token. */
export type Auth = 'user-or-secret' | 'worker'

export type Contract<
  Request extends z.ZodType = z.ZodType,
  Response extends z.ZodType = z.ZodType,
> = {
  method: 'POST'
  /** Below `/functions/v1`; the first segment is the function's name. */
  path: `/${string}`
  auth: Auth
  /** Strict, so that an unknown field is refused by name. */
  request: Request
  response: Response
  /** Status of a good answer; 200 when not said. */
  status?: 200 | 202
  /** What can go wrong beyond {@link COMMON_ERRORS}. */
  errors: ErrorCode[]
}

/** What every endpoint can answer. */
export const COMMON_ERRORS = [
  'invalid_request',
  'invalid_json',
  'unauthorized',
  'not_found',
  'method_not_allowed',
  'body_too_large',
  'internal_error',
  'unavailable',
] as const satisfies ErrorCode[]

/** What an endpoint that asks the platform while the caller waits can answer, whatever it asks. */
export const PROVIDER_ERRORS = [
  'private_network_refused',
  'provider_rejected',
  'provider_rate_limited',
  'provider_unavailable',
  'provider_timeout',
  'provider_bad_answer',
  'provider_answer_too_large',
  'provider_redirect_refused',
  'circuit_open',
] as const satisfies ErrorCode[]

/** Declares an endpoint; only gives its types to the value. */
export function contract<Request extends z.ZodType, Response extends z.ZodType>(
  contract: Contract<Request, Response>,
): Contract<Request, Response> {
  return contract
}

/** What a failed run, check or connection says about itself: what went wrong and who can act. */
export const ErrorSummary = z.object({
  code: z.string(),
  message: z.string(),
  /** `retry`: it may pass by itself. `owner`: a person has to act. `developer`: our code. */
  next: z.enum(['retry', 'owner', 'developer']),
})
export type ErrorSummary = z.infer<typeof ErrorSummary>

/** RFC 3339 with offset, as the Data API writes `timestamptz`. */
export const Timestamp = z.iso.datetime({ offset: true })
