// One signed webhook, by hand: what the peers of webhook-deliver send, and what webhook-receive is sent.
import { Buffer } from 'node:buffer'
import { createHmac } from 'node:crypto'

/** A key for those who make up their own. */
export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo='

export const keyOf = (secret: string) => Buffer.from(secret.replace('whsec_', ''), 'base64')

export function signedHeaders(
  key: Uint8Array,
  { id, body }: { id: string; body: string },
): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000)
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  }
}

/** Answers whether it was a success; the answer's body has been read. */
export async function sendSigned(
  key: Uint8Array,
  { url, id, body }: { url: string; id: string; body: string },
): Promise<boolean> {
  const headers = signedHeaders(key, { id, body })
  const response = await fetch(url, { method: 'POST', redirect: 'manual', headers, body })
  await response.arrayBuffer()
  return response.ok
}
