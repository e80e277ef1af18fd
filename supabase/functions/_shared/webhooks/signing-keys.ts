// How are Standard Webhooks' keys written? The texts people copy, and the bytes in them.
// Read 2026-11-28: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md

/** HMAC-SHA256, known to both sides. */
export const SECRET_PREFIX = 'whsec_'
/** Ed25519, the sender's half. */
export const SECRET_KEY_PREFIX = 'whsk_'
/** Ed25519, the half that receivers verify with. */
export const PUBLIC_KEY_PREFIX = 'whpk_'

/** The least the standard allows. A placeholder such as `changeme` is base64 too, but far shorter. */
const MIN_SECRET_BYTES = 24
const ED25519_BYTES = 32

/** A text that is no key of its kind. The message never quotes it. */
export class InvalidSigningKey extends Error {
  override readonly name = 'InvalidSigningKey'
}

/**
 * The HMAC key in `whsec_<base64>`, or in the base64 alone, as the official libraries take it.
 *
 * @throws InvalidSigningKey
 */
export function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = base64Bytes(withoutPrefix(secret, SECRET_PREFIX))
  if (!bytes || bytes.length < MIN_SECRET_BYTES) {
    throw new InvalidSigningKey(
      `A secret is ${SECRET_PREFIX} and the base64 of ${MIN_SECRET_BYTES} bytes or more.`,
    )
  }
  return bytes
}

/**
 * The 32 bytes in `whpk_<base64>`.
 *
 * @throws InvalidSigningKey
 */
export function publicKeyBytes(publicKey: string): Uint8Array<ArrayBuffer> {
  const bytes = base64Bytes(withoutPrefix(publicKey, PUBLIC_KEY_PREFIX))
  if (bytes?.length !== ED25519_BYTES) {
    throw new InvalidSigningKey(
      `A public key is ${PUBLIC_KEY_PREFIX} and the base64 of ${ED25519_BYTES} bytes.`,
    )
  }
  return bytes
}

/**
 * The seed in `whsk_<base64>`. Some libraries write the public key behind it (64 bytes in all).
 *
 * @throws InvalidSigningKey
 */
export function secretKeyBytes(
  secretKey: string,
): { seed: Uint8Array<ArrayBuffer>; publicKey?: Uint8Array<ArrayBuffer> } {
  const bytes = base64Bytes(withoutPrefix(secretKey, SECRET_KEY_PREFIX))
  if (bytes?.length === ED25519_BYTES) return { seed: bytes }
  if (bytes?.length === 2 * ED25519_BYTES) {
    return { seed: bytes.slice(0, ED25519_BYTES), publicKey: bytes.slice(ED25519_BYTES) }
  }
  throw new InvalidSigningKey(
    `A secret key is ${SECRET_KEY_PREFIX} and the base64 of its ${ED25519_BYTES} bytes of seed.`,
  )
}

/** What webhooks are verified with: one of them has to match. */
export type VerificationKeys = {
  /** HMAC-SHA256 keys. */
  secrets: Uint8Array<ArrayBuffer>[]
  /** Ed25519. */
  publicKeys: Uint8Array<ArrayBuffer>[]
}

/**
 * Takes in a `whsec_` secret, or a `whpk_` public key.
 *
 * @throws InvalidSigningKey
 */
export function addKey({ secrets, publicKeys }: VerificationKeys, text: string): void {
  if (text.startsWith(SECRET_KEY_PREFIX)) {
    throw new InvalidSigningKey(
      `${SECRET_KEY_PREFIX} is the sender's key; receivers have ${PUBLIC_KEY_PREFIX}.`,
    )
  }
  if (text.startsWith(PUBLIC_KEY_PREFIX)) publicKeys.push(publicKeyBytes(text))
  else secrets.push(secretBytes(text))
}

/** Those of these texts that are keys. */
export function usableKeys(texts: string[]): VerificationKeys {
  const keys: VerificationKeys = { secrets: [], publicKeys: [] }
  for (const text of texts) {
    try {
      addKey(keys, text)
    } catch (error) {
      if (!(error instanceof InvalidSigningKey)) throw error
    }
  }
  return keys
}

/** How many there are. */
export const countKeys = ({ secrets, publicKeys }: VerificationKeys): number =>
  secrets.length + publicKeys.length

/** Whether webhooks can be verified with it: a `whsec_` secret, or a `whpk_` public key. */
export const isVerificationKey = (text: string): boolean => countKeys(usableKeys([text])) > 0

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text
}

// Standard alphabet with its padding, nothing else: `atob` alone would pass over white space.
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** null when the text is not base64. */
export function base64Bytes(text: string): Uint8Array<ArrayBuffer> | null {
  if (!BASE64.test(text)) return null
  const characters = atob(text)
  const bytes = new Uint8Array(characters.length)
  for (let index = 0; index < bytes.length; index++) bytes[index] = characters.charCodeAt(index)
  return bytes
}

/** For a few bytes, such as a signature. */
export function base64Text(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
