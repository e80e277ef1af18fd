// Platforms as they send webhooks: each scheme's headers, computed here from its documentation and not by our code.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

/** What a sender signs with, and where it sends to. */
export type Signing = { secret: string; url: string; now?: Date }

export type SentWebhook = { headers: Record<string, string>; body: string }

const hmac = (key: string | Buffer, content: string, encoding: 'hex' | 'base64') =>
  createHmac('sha256', key).update(content).digest(encoding)

const seconds = (now: Date) => String(Math.floor(now.getTime() / 1000))

const json = { 'content-type': 'application/json' }

export type Sender = {
  /** What somebody enters as the signing secret; none where the address alone is secret. */
  newSecret?(): string
  sign?(body: string, signing: Required<Signing>): Record<string, string>
}

const hex = () => randomBytes(32).toString('hex')

export const SENDERS = {
  'json-feed': {
    newSecret: () => `whsec_${randomBytes(32).toString('base64')}`,
    sign: (body, { secret, now }) => {
      const id = `msg_${createHash('sha256').update(body).digest('hex').slice(0, 20)}`
      return {
        'webhook-id': id,
        'webhook-timestamp': seconds(now),
        'webhook-signature': new Webhook(secret).sign(id, now, body),
      }
    },
  },
  stripe: {
    newSecret: () => `whsec_${hex()}`,
    sign: (body, { secret, now }) => ({
      'stripe-signature': `t=${seconds(now)},v1=${hmac(secret, `${seconds(now)}.${body}`, 'hex')}`,
    }),
  },
  airtable: {
    newSecret: () => randomBytes(32).toString('base64'),
    sign: (body, { secret }) => ({
      'x-airtable-content-mac': `hmac-sha256=${hmac(Buffer.from(secret, 'base64'), body, 'hex')}`,
    }),
  },
  leafly: {
    newSecret: hex,
    sign: (body, { secret }) => ({ 'x-leafly-signature': hmac(secret, body, 'hex') }),
  },
  shopify: {
    newSecret: hex,
    sign: (body, { secret }) => ({
      'x-shopify-hmac-sha256': hmac(secret, body, 'base64'),
      'x-shopify-topic': 'products/update',
      'x-shopify-shop-domain': 'green-leaf.myshopify.com',
      'x-shopify-event-id': '98880550-7158-44d4-b7cd-2c97c8a091b5',
    }),
  },
  hubspot: {
    newSecret: hex,
    sign: (body, { secret, url, now }) => ({
      'x-hubspot-request-timestamp': String(now.getTime()),
      'x-hubspot-signature-v3': hmac(secret, `POST${url}${body}${now.getTime()}`, 'base64'),
    }),
  },
  slack: {
    sign: (body, { secret, now }) => ({
      'x-slack-request-timestamp': seconds(now),
      'x-slack-signature': `v0=${hmac(secret, `v0:${seconds(now)}:${body}`, 'hex')}`,
    }),
  },
  x: {
    sign: (body, { secret }) => ({
      'x-twitter-webhooks-signature': `sha256=${hmac(secret, body, 'base64')}`,
    }),
  },
  linkedin: {
    sign: (body, { secret }) => ({ 'x-li-signature': hmac(secret, `hmacsha256=${body}`, 'hex') }),
  },
  mailchimp: {},
  treez: {},
} satisfies Record<string, Sender>
export type SenderName = keyof typeof SENDERS

/** A POST as the platform sends it. */
export function signedWebhook(
  name: SenderName,
  body: string,
  { now = new Date(), ...signing }: Signing,
): SentWebhook {
  const { sign }: Sender = SENDERS[name]
  return { headers: { ...json, ...sign?.(body, { ...signing, now }) }, body }
}
