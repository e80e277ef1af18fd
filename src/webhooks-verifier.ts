// `plugboard/webhooks`: for the servers that receive our webhooks. Needs nothing but WebCrypto.
export type { HeaderSource } from '../supabase/functions/_shared/webhooks/header-source.ts'
export type { RawBody } from '../supabase/functions/_shared/webhooks/raw-body.ts'
export {
  WebhookVerificationError,
  type WebhookVerificationErrorCode,
} from '../supabase/functions/_shared/webhooks/verification-error.ts'
export {
  type VerifiedBytes,
  type VerifiedWebhook,
  verify,
  verifyBytes,
  type VerifyOptions,
  type WebhookKeys,
  type WebhookMessage,
  type WebhookPayload,
} from '../supabase/functions/_shared/webhooks/verify.ts'
