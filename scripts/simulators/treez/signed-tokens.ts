// Who may call v3? Checks the token a caller signs for each request.
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { SimulatorAnswer } from '../parts/http-server.ts'
import { failure } from './envelope.ts'

const LIFE_MS = 30_000

export type SignedTokens = {
  /** Null when the call may pass. `url` is the exact URL called. */
  refuse(headers: Record<string, string>, url: URL): SimulatorAnswer | null
  /** Refuses the certificate from now on. */
  revoke(): void
}

export function signedTokens(options: {
  certificateId: string
  organizationId: string
  publicKey: string | KeyObject
  now(): number
}): SignedTokens {
  const key = typeof options.publicKey === 'string'
    ? createPublicKey(options.publicKey)
    : options.publicKey
  let revoked = false
  const unauthorized = () =>
    failure('UNAUTHORIZED', 'Full authentication is required to access this resource', 401)
  return {
    refuse(headers, url) {
      const bearer = (headers['authorization'] ?? '').replace(/^Bearer /, '')
      const [segment, signature] = bearer.split('.')
      if (revoked || !segment || !signature) return unauthorized()
      // Buffer reads base64 and base64url alike; clients of both kinds are in use.
      const signatureBytes = Buffer.from(signature, 'base64')
      if (!verify('RSA-SHA256', Buffer.from(segment), key, signatureBytes)) return unauthorized()
      let claims: Record<string, unknown>
      try {
        claims = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'))
      } catch {
        return unauthorized()
      }
      const bare = `${url.origin}${url.pathname}`
      if (claims['iss'] !== options.certificateId) return unauthorized()
      if (claims['oid'] !== options.organizationId) return unauthorized()
      if (claims['aud'] !== url.href && claims['aud'] !== bare) return unauthorized()
      const { iat, exp } = claims
      const inMs = typeof iat === 'number' && typeof exp === 'number' && iat > 1e12 && exp > 1e12
      if (!inMs || exp - iat > LIFE_MS || exp <= iat) {
        return failure('BAD_REQUEST', 'Token time span is not valid', 400)
      }
      return options.now() < exp && options.now() > iat - LIFE_MS ? null : unauthorized()
    },
    revoke: () => void (revoked = true),
  }
}
