// Standard Webhooks 1.0: `v1` with a `whsec_` secret, `v1a` with a `whpk_` public key.
import { createHmac } from 'node:crypto'
import { type RefusalReason, TOLERANCE_SECONDS } from '../scheme.ts'
import {
  WebhookVerificationError,
  type WebhookVerificationErrorCode,
} from '../verification-error.ts'
import { countKeys, usableKeys } from '../signing-keys.ts'
import { type Hmac, verifyBytesWith } from '../verify.ts'
import { isPost, refused, type Scheme, verified } from './scheme-definition.ts'

const REASONS: Partial<Record<WebhookVerificationErrorCode, RefusalReason>> = {
  missing_header: 'missing_signature',
  invalid_header: 'malformed_signature',
  timestamp_too_old: 'timestamp_out_of_tolerance',
  timestamp_too_new: 'timestamp_out_of_tolerance',
}

// WebCrypto's goes to another thread and back for a hundred bytes.
const hmac: Hmac = (secret, content) =>
  createHmac('sha256', secret).update(content).digest('base64')

export const standardWebhooks: Scheme = {
  headers: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  async verify(request, { signing }, now) {
    if (!isPost(request)) return refused('wrong_method')
    // others are of a scheme that was chosen before
    const keys = usableKeys(signing)
    if (countKeys(keys) === 0) return refused('no_secret')
    try {
      await verifyBytesWith(hmac, request, keys, {
        toleranceSeconds: TOLERANCE_SECONDS,
        maxBytes: Infinity, // whoever read the body has kept it small
        now: () => now.getTime(),
      })
      return verified
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error
      return refused(REASONS[error.code] ?? 'wrong_signature')
    }
  },
}
