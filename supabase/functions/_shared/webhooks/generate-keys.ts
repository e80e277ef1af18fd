// New keys to sign webhooks with, in the form Standard Webhooks 1.0 gives them.
import { randomBytes } from 'node:crypto'
import { publicBytesOf, readPrivateKey } from './sign.ts'
import { base64Text, PUBLIC_KEY_PREFIX, SECRET_KEY_PREFIX, SECRET_PREFIX } from './signing-keys.ts'

/** A secret for `v1`, `whsec_…`: 256 random bits. */
export function generateSecret(): string {
  return SECRET_PREFIX + base64Text(randomBytes(32))
}

/** A key pair for `v1a`: `whsk_…` stays with the sender, `whpk_…` is published. */
export function generateKeyPair(): { secretKey: string; publicKey: string } {
  const secretKey = SECRET_KEY_PREFIX + base64Text(randomBytes(32))
  return { secretKey, publicKey: publicKeyOf(secretKey) }
}

/**
 * `whpk_…` of `whsk_…`.
 *
 * @throws InvalidSigningKey
 */
export function publicKeyOf(secretKey: string): string {
  return PUBLIC_KEY_PREFIX + base64Text(publicBytesOf(readPrivateKey(secretKey)))
}
