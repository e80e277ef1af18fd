// Every error Plugboard can answer or store: one table of codes, one class, one wire form (RFC 9457).

/** What has to happen before the same thing can work. */
export type NextStep = 'retry' | 'owner' | 'developer'

type ErrorEntry = {
  /** HTTP status of the answer. */
  status: number
  /** What is wrong, the same words every time; the occurrence goes into `detail`. */
  title: string
  /** `retry`: try again later. `owner`: a person has to change something. `developer`: fix the code. */
  next: NextStep
}

/** The codes never change. Adding an error is adding a row; `docs/errors.md` is generated from here. */
export const ERRORS = {
  invalid_request: { status: 400, title: 'The request is not valid', next: 'developer' },
  invalid_json: { status: 400, title: 'The body is not JSON', next: 'developer' },
  body_too_large: { status: 413, title: 'The body is too large', next: 'developer' },
  method_not_allowed: {
    status: 405,
    title: 'This address does not accept that method',
    next: 'developer',
  },
  not_found: { status: 404, title: 'There is nothing at this address', next: 'developer' },
  unauthorized: { status: 401, title: 'The caller is not signed in', next: 'owner' },
  not_a_manager: {
    status: 403,
    title: 'Only an owner or manager of the organization may do this',
    next: 'owner',
  },
  too_many_requests: { status: 429, title: 'Too many requests', next: 'retry' },
  internal_error: { status: 500, title: 'Something went wrong on our side', next: 'developer' },
  unavailable: { status: 503, title: 'The service is not available right now', next: 'retry' },

  // "Not there" and "not yours" share one answer, so that an id cannot be probed.
  organization_not_found: { status: 404, title: 'There is no such organization', next: 'owner' },
  integration_not_found: { status: 404, title: 'There is no such integration', next: 'owner' },
  connector_not_found: { status: 404, title: 'There is no such connector', next: 'developer' },
  stream_not_found: {
    status: 404,
    title: 'The connector has no such stream',
    next: 'developer',
  },
  stream_not_pushed: {
    status: 409,
    title: 'This stream does not push',
    next: 'owner',
  },
  stream_not_read: {
    status: 409,
    title: 'This stream can only be written at the platform',
    next: 'owner',
  },
  deletes_not_pushed: {
    status: 409,
    title: 'Records of this stream are not deleted at the platform',
    next: 'owner',
  },
  field_not_pushed: {
    status: 409,
    title: 'The platform alone fills this field',
    next: 'developer',
  },
  push_refused: {
    status: 422,
    title: 'The platform did not take a local change',
    next: 'owner',
  },
  push_unconfirmed: {
    status: 502,
    title: 'The platform may have made this record already, and cannot be asked',
    next: 'owner',
  },
  conflict_not_found: { status: 404, title: 'There is no such conflict', next: 'owner' },
  conflict_overturned: {
    status: 409,
    title: 'The conflict was decided the other way already',
    next: 'owner',
  },
  sync_log_not_found: { status: 404, title: 'There is no such sync log', next: 'developer' },
  sync_error_not_found: {
    status: 404,
    title: 'There is no such open sync error that the caller may change',
    next: 'owner',
  },

  webhook_endpoint_not_found: {
    status: 404,
    title: 'There is no such webhook endpoint',
    next: 'owner',
  },
  webhook_endpoint_not_active: {
    status: 409,
    title: 'The webhook endpoint is paused or disabled',
    next: 'owner',
  },
  webhook_delivery_not_found: {
    status: 404,
    title: 'There is no such webhook delivery',
    next: 'developer',
  },
  too_many_webhook_endpoints: {
    status: 409,
    title: 'The organization has as many webhook endpoints as it can have',
    next: 'owner',
  },
  app_instance_not_found: {
    status: 404,
    title: 'There is no such app instance',
    next: 'owner',
  },
  too_many_app_instances: {
    status: 409,
    title: 'The organization has as many app instances as it can have',
    next: 'owner',
  },
  too_many_webhook_secrets: {
    status: 409,
    title: 'The webhook endpoint has as many secrets that still sign as it can have',
    next: 'owner',
  },
  webhook_event_not_found: {
    status: 404,
    title: 'There is no such webhook event',
    next: 'owner',
  },
  webhooks_not_offered: {
    status: 409,
    title: 'The platform has no webhooks that are read',
    next: 'developer',
  },
  invalid_webhook_secret: {
    status: 400,
    title: 'This is not a secret as the platform gives them',
    next: 'owner',
  },
  invalid_event_type: { status: 400, title: 'This is not an event type', next: 'developer' },
  event_type_reserved: {
    status: 403,
    title: 'Events of this type are written by Plugboard alone',
    next: 'developer',
  },
  event_too_large: { status: 413, title: 'The event is too large', next: 'developer' },

  invalid_settings: { status: 400, title: 'The settings are not valid', next: 'owner' },
  invalid_credentials: { status: 400, title: 'The credentials are not valid', next: 'owner' },
  sign_in_required: {
    status: 409,
    title: 'The platform wants its owner to sign in there',
    next: 'owner',
  },
  credentials_required: {
    status: 409,
    title: 'This account is connected with credentials, not by a sign-in',
    next: 'owner',
  },
  oauth_client_missing: {
    status: 501,
    title: 'This project has no OAuth app at the platform yet',
    next: 'developer',
  },
  return_url_refused: {
    status: 400,
    title: 'The return address is not one of those this project allows',
    next: 'developer',
  },
  oauth_denied: { status: 403, title: 'Access was denied at the platform', next: 'owner' },
  oauth_state_unknown: {
    status: 400,
    title: 'This sign-in was not started here, or long ago',
    next: 'owner',
  },
  oauth_state_expired: {
    status: 400,
    title: 'This sign-in took too long: start it again',
    next: 'owner',
  },
  oauth_state_used: {
    status: 409,
    title: 'This sign-in has been finished already',
    next: 'owner',
  },
  oauth_state_not_yours: {
    status: 403,
    title: 'This sign-in was started by somebody else',
    next: 'owner',
  },
  oauth_other_browser: {
    status: 403,
    title: 'This sign-in was started in another browser',
    next: 'owner',
  },
  oauth_response_invalid: {
    status: 502,
    title: 'The answer does not come from the platform that was asked',
    next: 'developer',
  },
  oauth_exchange_failed: {
    status: 502,
    title: 'The platform did not hand out a token for this sign-in',
    next: 'retry',
  },
  oauth_scope_missing: {
    status: 403,
    title: 'Not everything that is needed was allowed at the platform',
    next: 'owner',
  },
  oauth_account_mismatch: {
    status: 409,
    title: 'This is another account at the platform than the one to reconnect',
    next: 'owner',
  },
  oauth_account_disconnected: {
    status: 409,
    title: 'The account was being disconnected during this sign-in',
    next: 'owner',
  },
  reconnect_required: {
    status: 409,
    title: 'The owner has to sign in at the platform again',
    next: 'owner',
  },
  action_not_found: { status: 404, title: 'The connector has no such action', next: 'developer' },
  invalid_input: { status: 400, title: 'The input of the action is not valid', next: 'developer' },
  action_in_progress: {
    status: 409,
    title: 'An action with this idempotency key is under way',
    next: 'retry',
  },
  idempotency_key_reused: {
    status: 409,
    title: 'This idempotency key belongs to an action with another input',
    next: 'developer',
  },
  private_network_refused: {
    status: 400,
    title: 'This address may not be called',
    next: 'owner',
  },
  invalid_endpoint: { status: 400, title: 'The webhook endpoint is not valid', next: 'owner' },
  integration_paused: { status: 409, title: 'The integration is paused', next: 'owner' },
  integration_disconnected: {
    status: 409,
    title: 'The integration is disconnected',
    next: 'owner',
  },
  mass_delete_held: {
    status: 409,
    title: 'The run would delete more records than is normal, so it waits for a person',
    next: 'owner',
  },
  last_owner: { status: 409, title: 'An organization keeps at least one owner', next: 'owner' },
  organization_has_integrations: {
    status: 409,
    title: 'The organization still has connected accounts',
    next: 'owner',
  },
  invitation_not_found: {
    status: 404,
    title: 'The invitation is unknown, used, withdrawn, expired, or meant for another address',
    next: 'owner',
  },
  invalid_record: {
    status: 422,
    title: 'A record does not fit its stream',
    next: 'developer',
  },
  not_an_image: {
    status: 422,
    title: 'What is at the address is not an image of a type that is kept',
    next: 'owner',
  },
  image_address_too_long: {
    status: 422,
    title: 'The address of the image is too long to be fetched',
    next: 'owner',
  },
  storage_failed: { status: 503, title: 'Storage did not take the file', next: 'retry' },
  worker_died: {
    status: 500,
    title: 'The worker stopped several times at the same place',
    next: 'developer',
  },
  lease_lost: { status: 409, title: 'Another worker took this run over', next: 'retry' },

  provider_unauthorized: {
    status: 502,
    title: 'The platform refused the credentials',
    next: 'owner',
  },
  provider_forbidden: {
    status: 502,
    title: 'The platform does not let this account do that',
    next: 'owner',
  },
  provider_not_found: {
    status: 502,
    title: 'The platform knows nothing at this address',
    next: 'owner',
  },
  provider_rejected: {
    status: 502,
    title: 'The platform rejected the request',
    next: 'developer',
  },
  provider_rate_limited: { status: 503, title: 'The platform asks us to slow down', next: 'retry' },
  provider_unavailable: { status: 503, title: 'The platform is not available', next: 'retry' },
  provider_timeout: { status: 504, title: 'The platform did not answer in time', next: 'retry' },
  provider_bad_answer: {
    status: 502,
    title: 'The platform gave an answer that cannot be read',
    next: 'retry',
  },
  provider_answer_too_large: {
    status: 502,
    title: 'The platform gave an answer larger than we accept',
    next: 'developer',
  },
  provider_redirect_refused: {
    status: 502,
    title: 'The platform redirected to a place we do not follow',
    next: 'developer',
  },
  provider_repeated_page: {
    status: 502,
    title: 'The platform gave the same page twice',
    next: 'retry',
  },
  provider_cursor_expired: {
    status: 502,
    title: 'The platform no longer knows our place in the list',
    next: 'retry',
  },
  circuit_open: {
    status: 503,
    title: 'Calls to the platform are paused after repeated failures',
    next: 'retry',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS

/** One thing wrong with an input: `path` names the field (`settings.url`), `''` the whole. */
export type FieldError = { path: string; message: string }

export type AppErrorOptions = {
  /** What happened this time and what to do next. The caller reads it: no secrets, no internals. */
  detail?: string
  /** Which fields are wrong. */
  errors?: FieldError[]
  /** What caused it: for logs only, never answered. */
  cause?: unknown
  /** When trying again can help, in milliseconds from now; becomes `Retry-After`. */
  retryAfterMs?: number
}

/** The one error class. Code branches on `code`, never on text. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly detail: string
  readonly errors: FieldError[] | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const detail = options.detail ?? ERRORS[code].title
    super(detail, { cause: options.cause })
    this.code = code
    this.detail = detail
    this.errors = options.errors
    this.retryAfterMs = options.retryAfterMs
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  get next(): NextStep {
    return ERRORS[this.code].next
  }
}

/** Whether it is an AppError with one of these codes. */
export const isCode = (error: unknown, ...codes: readonly ErrorCode[]): error is AppError =>
  error instanceof AppError && codes.includes(error.code)

/** The body of an error answer: RFC 9457 plus `code`, who can act, `request_id` and the fields at fault. */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  next: NextStep
  request_id: string
  errors?: FieldError[]
}

/** Turns anything thrown into an answer. What is not an AppError shows nothing of itself: log it. */
export function toProblem(error: unknown, requestId: string): { status: number; body: Problem } {
  const known = error instanceof AppError ? error : new AppError('internal_error')
  const { status, title, next } = ERRORS[known.code]
  const body: Problem = {
    type: `urn:plugboard:error:${known.code}`,
    title,
    status,
    detail: known.detail,
    code: known.code,
    next,
    request_id: requestId,
  }
  if (known.errors) body.errors = known.errors
  return { status, body }
}
