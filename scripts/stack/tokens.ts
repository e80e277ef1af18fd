// How do user tokens change form at the gateway? Outside they are ES256 with a `kid`, as hosted issues
// them; lite signs and accepts HS256 without one.
import { importJWK, type JWK, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { StackKeys } from './data-dir.ts'

export type Tokens = {
  /** What `/auth/v1/.well-known/jwks.json` and `SUPABASE_JWKS` answer. */
  jwks: { keys: JWK[] }
  /** Signs claims as the Auth server would: a user token that every part of the stack accepts. */
  sign(claims: JWTPayload): Promise<string>
  /** The claims of a valid, unexpired outside token; throws otherwise. */
  verify(token: string): Promise<JWTPayload>
  /** Outside form to lite's form; null for anything that is not a valid outside token. */
  toLite(token: string): Promise<string | null>
  /** Lite's form to the outside form; anything else is answered as it came. */
  fromLite(token: string): Promise<string>
}

// Seconds. Expiry is lite's to judge: its answers name it as the Data API and the Auth server do.
const anyAge = 1e10

export async function createTokens(keys: StackKeys, issuer: () => string): Promise<Tokens> {
  const { kid } = keys.signingKey
  const publicJwk: JWK = { ...keys.signingKey, d: undefined, key_ops: ['verify'] }
  const privateKey = await importJWK(keys.signingKey, 'ES256')
  const publicKey = await importJWK(publicJwk, 'ES256')
  const secret = new TextEncoder().encode(keys.jwtSecret)

  const toLite = remember(async (token) => {
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: ['ES256'],
        clockTolerance: anyAge,
      })
      return await new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(
        secret,
      )
    } catch {
      return null
    }
  })
  const sign = (claims: JWTPayload) =>
    new SignJWT({
      aud: 'authenticated',
      role: 'authenticated',
      iss: `${issuer()}/auth/v1`,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid })
      .setIssuedAt(claims.iat)
      .setExpirationTime(claims.exp ?? '1h')
      .sign(privateKey)

  return {
    jwks: { keys: [JSON.parse(JSON.stringify(publicJwk))] },
    sign,
    async verify(token) {
      return (await jwtVerify(token, publicKey, { algorithms: ['ES256'] })).payload
    },
    toLite,
    fromLite: remember(async (token) => {
      try {
        const { payload } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          clockTolerance: anyAge,
        })
        return await sign(payload)
      } catch {
        return token
      }
    }),
  }
}

// One browser sends the same token with every request: sign it once.
function remember<Result>(
  translate: (token: string) => Promise<Result>,
): (token: string) => Promise<Result> {
  const known = new Map<string, Promise<Result>>()
  return (token) => {
    let result = known.get(token)
    if (!result) {
      result = translate(token)
      known.set(token, result)
      if (known.size > 1000) known.delete(known.keys().next().value ?? token)
    }
    return result
  }
}
