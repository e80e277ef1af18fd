// Random values that prove who a sign-in belongs to, and the only form in which they are kept.
import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits, as 43 characters that fit into an address. */
export function randomSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** SHA-256 in hexadecimal: what is kept of a state and of a browser's cookie. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
