// Who may call a function? The check that hosted makes before a function's own code runs.
import { decodeProtectedHeader } from 'jose'
import type { Tokens } from '../tokens.ts'

export type Refusal = { status: number; code: string; message: string }

/** Checks the `Authorization` header for a function with `verify_jwt = true`; null lets it pass. */
export async function refuseWithoutJwt(
  authorization: string | undefined,
  tokens: Tokens,
): Promise<Refusal | null> {
  const token = authorization?.match(/^Bearer\s+(.+)$/i)?.[1]
  if (!token) return refusal('UNAUTHORIZED_NO_AUTH_HEADER', 'Missing authorization header')

  let algorithm: string | undefined
  try {
    algorithm = decodeProtectedHeader(token).alg
  } catch {
    return refusal('UNAUTHORIZED_INVALID_JWT_FORMAT', 'Invalid JWT')
  }
  if (algorithm?.startsWith('HS')) return refusal('UNAUTHORIZED_LEGACY_JWT', 'Invalid JWT')
  if (algorithm !== 'ES256') {
    return refusal(
      'UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM',
      `Unsupported JWT algorithm ${algorithm}`,
    )
  }
  try {
    await tokens.verify(token)
    return null
  } catch {
    return refusal('UNAUTHORIZED_ASYMMETRIC_JWT', 'Invalid JWT')
  }
}

function refusal(code: string, message: string): Refusal {
  return { status: 401, code, message }
}
