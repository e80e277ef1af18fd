// Who may call v2? Exchanges a client id and an API key for a token that lives two hours.
import { randomBytes } from 'node:crypto'
import type { SimulatorAnswer } from '../parts/http-server.ts'
import { failure } from './envelope.ts'
import { treezTimestamp } from './product.ts'

const LIFE_SECONDS = 7200

export type AccessTokens = {
  exchange(body: string): SimulatorAnswer
  /** Null when the call may pass. */
  refuse(headers: Record<string, string>): SimulatorAnswer | null
  /** Ends every token handed out so far; the API key goes on working. */
  expire(): void
  /** Ends every token and refuses the API key from now on. */
  revoke(): void
}

export function accessTokens(
  options: { clientId: string; apiKey: string; now(): number },
): AccessTokens {
  const tokens = new Map<string, number>()
  let revoked = false
  return {
    exchange(body) {
      const form = new URLSearchParams(body)
      const known = form.get('client_id') === options.clientId &&
        form.get('apikey') === options.apiKey
      // Treez says no in the envelope: the HTTP status is 200.
      if (!known || revoked) {
        return failure('INVALID_CREDENTIALS', 'Invalid client_id or apikey', 200)
      }
      const token = randomBytes(24).toString('hex')
      const expiresAt = options.now() + LIFE_SECONDS * 1000
      tokens.set(token, expiresAt)
      return {
        body: {
          resultCode: 'SUCCESS',
          resultReason: null,
          resultDetail: null,
          access_token: token,
          // The offset comes without its colon here, unlike in products.
          expires_at: treezTimestamp(expiresAt).replace(/:(\d\d)$/, '$1'),
          expires_in: String(LIFE_SECONDS),
          refresh_token: randomBytes(24).toString('hex'),
        },
      }
    },
    refuse(headers) {
      const token = (headers['authorization'] ?? '').replace(/^Bearer /, '')
      const valid = (tokens.get(token) ?? 0) > options.now() &&
        headers['client_id'] === options.clientId
      return valid ? null : failure('UNAUTHORIZED', 'Full authentication is required', 401)
    },
    expire: () => tokens.clear(),
    revoke() {
      revoked = true
      tokens.clear()
    },
  }
}
