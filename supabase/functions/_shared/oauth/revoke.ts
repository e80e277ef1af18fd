// Takes back at the platform what its owner had granted, as far as it offers a way.
import { allowInsecureRequests, customFetch, revocationRequest } from 'oauth4webapi'
import { isUnknownOutcome } from '../connectors/run-action.ts'
import { readPath } from '../connectors/vocabulary/read-path.ts'
import { readJsonOnce } from '../http/answer.ts'
import { createHttpClient } from '../http/client.ts'
import type { Trace } from '../http/request.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import type { SignInClient } from './sign-in-client.ts'
import { TOKEN_TIMEOUT_MS } from './token-endpoint.ts'

export type HeldTokens = { access_token: string | null; refresh_token: string | null }

/**
 * @returns Whether the platform has taken it back, or knows it no longer; null: nobody knows. Never throws because of
 *   the platform: what is forgotten here works no longer for us whatever it says.
 */
export async function revokeTokens(
  outside: Outside,
  signIn: SignInClient,
  { access_token, refresh_token }: HeldTokens,
): Promise<boolean | null> {
  const { auth, server, client, clientAuth, address, connector, account } = signIn
  const http = createHttpClient({
    clock: outside.clock,
    fetch: outside.fetch,
    log: outside.log,
    timeoutMs: Math.min(outside.timeoutMs ?? TOKEN_TIMEOUT_MS, TOKEN_TIMEOUT_MS),
    maxAttempts: 2,
    allowPrivateNetworks: outside.environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS,
  })
  const trace: Trace = { sent: false }
  try {
    if (auth.revoke && access_token) {
      const { method = 'POST', path } = auth.revoke
      await http.send({
        method,
        url: address(path),
        trace,
        judge: (answer) => {
          const { status, headers } = answer
          const said = connector.failure({
            status,
            headers,
            body: readJsonOnce(answer),
            now: outside.clock.now(),
          })
          return said ? new AppError(said.code, { detail: said.detail }) : undefined
        },
        authorize: ({ headers }) => {
          const own = auth.headers?.(access_token, account)
          for (const [name, value] of Object.entries(own ?? {})) headers.set(name, value)
          if (!own) headers.set('authorization', `Bearer ${access_token}`)
        },
      })
      return true
    }
    // the refresh token first: with it the platform ends the grant (RFC 7009, section 2.1)
    const token = refresh_token ?? access_token
    if (server.revocation_endpoint === undefined || !token) return false
    await revocationRequest(server, client, clientAuth, token, {
      // `as`: the library's type wants the global fetch's, of which it uses this much
      [customFetch]: (async (url: string, init: RequestInit) => {
        await http.send({
          method: 'POST',
          url,
          headers: init.headers as Record<string, string>,
          body: String(init.body),
          repeatable: true,
          trace,
          // 200 by the standard (RFC 7009, section 2.2), which not all of them keep
          judge: (answer) =>
            readPath(readJsonOnce(answer), 'error') === 'invalid_token' ? 'success' : undefined,
        })
        return new Response() // anything else was thrown
      }) as never,
      [allowInsecureRequests]: true,
    })
    return true
  } catch (error) {
    // by a call of the platform's own that the token itself opens; at the endpoint it is our app that is refused
    if (auth.revoke && isCode(error, 'provider_unauthorized')) return true
    outside.log.warn('tokens could not be revoked at the platform', {
      connector: connector.slug,
      reason: error instanceof AppError ? error.code : undefined,
      error,
    })
    return isUnknownOutcome(trace, error) ? null : false
  }
}
