// How do those platforms sign that need nothing but a signature over a POST? A line or two each.
import { signature } from './signature.ts'

/** Stripe's `whsec_…` is the key as it is written: it is not decoded. Other versions than `v1` count for nothing. */
export const stripe = signature({
  secret: 'signing',
  headers: ['stripe-signature'],
  list: { timestamp: 't', signature: 'v1' },
  encoding: 'hex',
  content: '{timestamp}.{body}',
})

/** The newer kind of webhooks leaves the `X-` out. */
export const shopify = signature({
  secret: 'client_secret',
  headers: ['x-shopify-hmac-sha256', 'shopify-hmac-sha256'],
  encoding: 'base64',
})

export const airtable = signature({
  secret: 'signing',
  headers: ['x-airtable-content-mac'],
  prefix: 'hmac-sha256=',
  encoding: 'hex',
  secretEncoding: 'base64', // `macSecretBase64`
})

/** The older `X-Hub-Signature` is SHA-1 and is not looked at. */
export const github = signature({
  secret: 'signing',
  headers: ['x-hub-signature-256'],
  prefix: 'sha256=',
  encoding: 'hex',
})

/** As business apps send it, and as our own endpoints may ask for it: the key is the secret's text as shown. */
export const xWebhookSignature = signature({
  secret: 'signing',
  headers: ['x-webhook-signature'],
  encoding: 'hex',
})
