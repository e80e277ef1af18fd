// Who is calling, from the credentials in the request's headers and nothing else.
import { Buffer } from 'node:buffer'
import { createHash, timingSafeEqual } from 'node:crypto'
import { verifyCredentials } from '@supabase/server/core'
import type { SupabaseEnv } from '@supabase/server'
import type { Auth } from '../contracts/contract.ts'
import { AppError } from './errors.ts'

/** `userId` is `auth.users.id`. `service` showed a secret key, `worker` the worker token. */
export type Caller =
  | { kind: 'user'; userId: string }
  | { kind: 'service' }
  | { kind: 'worker' }

/** A caller and what their Supabase client is made from. */
export type Authenticated =
  | { caller: Extract<Caller, { kind: 'user' }>; token: string }
  | { caller: Extract<Caller, { kind: 'service' }>; keyName: string | null }
  | { caller: Extract<Caller, { kind: 'worker' }> }

export type AuthenticateOptions = {
  /** `PLUGBOARD_WORKER_TOKEN`; without it nobody is a worker. */
  workerToken: string | undefined
  /** Keys and JWKS instead of the environment's. */
  supabase?: Partial<SupabaseEnv>
}

/** The wake call shows its token here: `Authorization` is taken by the platform's gateway. */
export const WORKER_TOKEN_HEADER = 'x-worker-token'

/** Finds out who calls. Throws `unauthorized`, or `unavailable` when tokens cannot be checked now. */
export async function authenticate(
  headers: Headers,
  auth: Auth,
  options: AuthenticateOptions,
): Promise<Authenticated> {
  if (auth === 'worker') return authenticateWorker(headers, options.workerToken)

  const { data, error } = await verifyCredentials(readCredentials(headers), {
    // User first: whoever sends a user's token beside the secret key acts as that user.
    auth: ['user', 'secret:*'],
    env: options.supabase,
  })
  if (error) {
    if (error.code === 'JWKS_FETCH_FAILED') {
      throw new AppError('unavailable', {
        detail: 'The keys to check the token with cannot be read right now.',
        cause: error,
      })
    }
    if (error.status !== 401) throw error // our own set-up is wrong: an internal error, logged
    throw new AppError('unauthorized', { detail: ADVICE, cause: error })
  }
  if (data.authMode === 'secret') {
    return { caller: { kind: 'service' }, keyName: data.keyName ?? null }
  }
  // The library checks signature and expiry but takes a token of any role.
  if (data.authMode !== 'user' || !data.token || data.userClaims?.role !== 'authenticated') {
    throw new AppError('unauthorized', { detail: ADVICE })
  }
  return { caller: { kind: 'user', userId: data.userClaims.id }, token: data.token }
}

const ADVICE =
  "Sign in and send the user's access token as Authorization: Bearer <token>, or a secret key as apikey."

// RFC 9110 section 11.1: the scheme's name is case-insensitive, and some proxies lower-case it.
function readCredentials(headers: Headers): { token: string | null; apikey: string | null } {
  const authorization = headers.get('authorization') ?? ''
  const [, token] = /^bearer +(\S+) *$/i.exec(authorization) ?? []
  return { token: token ?? null, apikey: headers.get('apikey') }
}

function authenticateWorker(headers: Headers, expected: string | undefined): Authenticated {
  const given = headers.get(WORKER_TOKEN_HEADER)
  if (!expected || !given || !isSameSecret(given, expected)) {
    throw new AppError('unauthorized', { detail: 'Only the wake call may start a worker.' })
  }
  return { caller: { kind: 'worker' } }
}

/** Compares without telling by its duration how much was right. */
function isSameSecret(given: string, expected: string): boolean {
  // hashed first, because timingSafeEqual needs equal lengths
  const digest = (text: string) => createHash('sha256').update(Buffer.from(text)).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
