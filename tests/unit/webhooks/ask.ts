// What becomes of a call at a receiver that knows these secrets?
import type {
  InboundRequest,
  ReceiverSecrets,
  Verification,
  WebhookScheme,
} from '../../../supabase/functions/_shared/webhooks/scheme.ts'
import {
  publishedKeys,
  verifyWebhook,
} from '../../../supabase/functions/_shared/webhooks/verify-webhook.ts'

export const bytes = (text: string) => new TextEncoder().encode(text)

export const ADDRESS = 'https://project.example/functions/v1/webhook-receive/acme'

/** Nothing is known: the beginning of each receiver. */
export const shared: ReceiverSecrets = { signing: [], app: null, pathTokenMatches: false }

export function post(
  body: string,
  headers: Record<string, string> = {},
  url = ADDRESS,
): InboundRequest {
  return { method: 'POST', url, headers: new Headers(headers), body: bytes(body) }
}

export function get(url: string, method = 'GET'): InboundRequest {
  return { method, url, headers: new Headers(), body: bytes('') }
}

const noKeys = publishedKeys(() => Promise.reject(new Error('nothing is fetched here')))

export function ask(
  scheme: WebhookScheme,
  request: InboundRequest,
  secrets: ReceiverSecrets,
  now: Date,
  keys = noKeys,
): Promise<Verification> {
  return verifyWebhook(scheme, request, secrets, now, keys)
}
