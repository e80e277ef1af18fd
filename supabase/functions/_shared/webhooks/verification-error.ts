// Why a webhook was refused, in a code that never changes.

/**
 * - `invalid_secret`: no secret was given, or none of a form that exists. Your configuration, not the webhook.
 * - `missing_header`, `invalid_header`: without all three `webhook-` headers it is no Standard Webhook.
 * - `timestamp_too_old`, `timestamp_too_new`: recorded and sent again, or one of the clocks is wrong.
 * - `body_too_large`: more than `maxBytes`.
 * - `invalid_body`: the raw body is not there (any more): something before has parsed it.
 * - `no_matching_signature`: another secret, or other bytes than those that were signed.
 * - `invalid_json`: rightly signed, but the body is not JSON in UTF-8.
 * - `unsupported_algorithm`: the runtime does not know Ed25519.
 */
export type WebhookVerificationErrorCode =
  | 'invalid_secret'
  | 'missing_header'
  | 'invalid_header'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'body_too_large'
  | 'invalid_body'
  | 'no_matching_signature'
  | 'invalid_json'
  | 'unsupported_algorithm'

/** A webhook that is not to be believed. Its message holds nothing of the secret and the body. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'
  readonly code: WebhookVerificationErrorCode

  constructor(code: WebhookVerificationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
