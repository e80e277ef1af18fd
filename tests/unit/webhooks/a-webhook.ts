// A webhook as the official libraries' tests send it, and how it was judged.
import { Webhook } from 'standardwebhooks'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import {
  WebhookVerificationError,
  type WebhookVerificationErrorCode,
} from '../../../supabase/functions/_shared/webhooks/verification-error.ts'

export const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
export const otherSecret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
export const text = '{"test": 2432232314}'

/** The moment of signing, and what `verify` is told the time is. */
export const timestamp = 1_614_265_330
export const now = () => timestamp * 1000

type Message = { headers: Record<string, string>; body: string }

/** Signed at `signedAt` with `keys`, by the reference. */
export function aWebhook(body = text, signedAt = timestamp, ...keys: string[]): Message {
  const signatures = (keys.length > 0 ? keys : [secret])
    .map((key) => new Webhook(key).sign(id, new Date(signedAt * 1000), body))
  return {
    headers: {
      'webhook-id': id,
      'webhook-timestamp': `${signedAt}`,
      'webhook-signature': signatures.join(' '),
    },
    body,
  }
}

/** Signed by us with `secret` and a `whsk_` key: the reference takes texts only, and knows no ed25519. */
export function signedByUs(body: Uint8Array, ed25519Key: string) {
  return {
    headers: signatureHeaders({
      id,
      timestamp,
      body,
      secrets: [secret],
      ed25519Keys: [ed25519Key],
    }),
    body,
  }
}

export const bytes = (value: string) => new TextEncoder().encode(value)

/** The same with other headers; `undefined` takes one away. */
export function withHeaders(
  message: Message,
  changes: Record<string, string | undefined>,
): Message {
  const headers = Object.entries({ ...message.headers, ...changes })
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { ...message, headers: Object.fromEntries(headers) }
}

/** The code it was refused with, or 'accepted'. */
export async function outcome(
  verified: Promise<unknown>,
): Promise<WebhookVerificationErrorCode | 'accepted'> {
  try {
    await verified
    return 'accepted'
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.code
    throw error
  }
}
