// Signs an outbound webhook as Standard Webhooks 1.0 says, with every key that is live.
//
// Not with the package `standardwebhooks`: it hashes in JavaScript, knows no ed25519, and takes texts,
// where the bytes that are signed have to be the bytes that are sent. Tests compare the two.
import { Buffer } from 'node:buffer'
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { remembering } from '../platform/remembering.ts'
import { signedPrefix, WEBHOOK_ID } from './signed-content.ts'
import { base64Text, InvalidSigningKey, secretBytes, secretKeyBytes } from './signing-keys.ts'

export type WebhookToSign = {
  /** The same over all attempts. Visible ASCII without a full stop. */
  id: string
  /** Of this attempt, in whole seconds since 1970. */
  timestamp: number
  /** As it goes over the wire. */
  body: Uint8Array
  /** `whsec_…`, each that a receiver may still have: one, or two while a rotation overlaps. */
  secrets: readonly string[]
  /** `whsk_…`: adds a `v1a` signature for each. */
  ed25519Keys?: readonly string[]
  /** Adds `x-webhook-signature` for receivers that expect it. The key is this text as it is shown. */
  legacySecret?: string
}

export type SignatureHeaders = {
  'webhook-id': string
  'webhook-timestamp': string
  'webhook-signature': string
  'x-webhook-signature'?: string
}

/**
 * The headers that prove a webhook: `v1` for each secret and `v1a` for each key pair, separated by spaces.
 *
 * @throws InvalidSigningKey when a key is not one, or when there is none.
 */
export function signatureHeaders(webhook: WebhookToSign): SignatureHeaders {
  const { id, timestamp, body, secrets, ed25519Keys = [], legacySecret } = webhook
  if (!WEBHOOK_ID.test(id)) {
    throw new TypeError('A webhook-id is visible ASCII without a full stop.')
  }
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
    throw new TypeError('A webhook-timestamp is whole seconds since 1970.')
  }

  const prefix = signedPrefix(id, timestamp)
  const signatures = secrets.map((secret) =>
    'v1,' +
    createHmac('sha256', hmacKeyOf(secret)).update(prefix).update(body).digest('base64')
  )
  if (ed25519Keys.length > 0) {
    const content = Buffer.concat([Buffer.from(prefix), body])
    for (const key of ed25519Keys) {
      signatures.push('v1a,' + sign(null, content, privateKeyOf(key)).toString('base64'))
    }
  }
  if (signatures.length === 0) throw new InvalidSigningKey('There is no key to sign with.')

  const headers: SignatureHeaders = {
    'webhook-id': id,
    'webhook-timestamp': `${timestamp}`,
    'webhook-signature': signatures.join(' '),
  }
  if (legacySecret) {
    headers['x-webhook-signature'] = createHmac('sha256', legacySecret).update(body).digest('hex')
  } else if (legacySecret !== undefined) {
    throw new InvalidSigningKey('The secret of x-webhook-signature is empty.')
  }
  return headers
}

// Reading a key takes longer than signing with it, and a worker signs with the same few again and again.
const hmacKeyOf = remembering(secretBytes)
const privateKeyOf = remembering(readPrivateKey)

// RFC 8410, section 7: what stands before the seed in a PKCS #8 private key.
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * The private key in `whsk_…`.
 *
 * @throws InvalidSigningKey also when it brings a public key that is not its own: nobody could verify.
 */
export function readPrivateKey(ed25519Key: string): KeyObject {
  const { seed, publicKey } = secretKeyBytes(ed25519Key)
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  if (publicKey && base64Text(publicKey) !== base64Text(publicBytesOf(key))) {
    throw new InvalidSigningKey('The public key behind the seed is not its own.')
  }
  return key
}

/** The 32 bytes of a private key's other half. */
export function publicBytesOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
}
