// Is what came back to us the answer of the platform that was asked (RFC 6749, section 4.1.2; RFC 9207)?
import { AuthorizationResponseError, skipStateCheck, validateAuthResponse } from 'oauth4webapi'
import type { Clock } from '../platform/clock.ts'
import { AppError } from '../platform/errors.ts'
import type { SignInClient } from './sign-in-client.ts'

/** @throws AppError `oauth_denied`, or `oauth_response_invalid` for what the platform did not send */
export function readAuthorizationResponse(
  { clock }: { clock: Clock },
  { auth, account, server, client, client_secret, connector }: SignInClient,
  parameters: URLSearchParams,
): URLSearchParams {
  const invalid = (cause?: unknown) =>
    new AppError('oauth_response_invalid', {
      detail: `This answer does not come from ${connector.name}, or it was changed on its way.`,
      cause,
    })
  const context = { settings: account.settings, client_secret, now: clock.now() }
  // a refusal hands out nothing, and need not be signed to be one
  const isRefusal = parameters.has('error')
  if (auth.verifyResponse && !isRefusal && !auth.verifyResponse(parameters, context)) {
    throw invalid()
  }
  const standard = new URLSearchParams(parameters)
  // said by platforms that do not promise it, so that nothing depends on it
  if (auth.issuer === undefined) standard.delete('iss')
  let accepted: URLSearchParams
  try {
    accepted = validateAuthResponse(server, client, standard, skipStateCheck) // the state is used up above
  } catch (error) {
    if (!(error instanceof AuthorizationResponseError)) throw invalid()
    throw error.error === 'access_denied'
      ? new AppError('oauth_denied', {
        detail: `Access was denied at ${connector.name}. Nothing was connected.`,
      })
      : new AppError('oauth_exchange_failed', {
        detail: `${connector.name} ended the sign-in: ${word(error.error)}.`,
      })
  }
  // once and no more (RFC 6749, section 3.1)
  if (accepted.getAll('code').length !== 1 || !accepted.get('code')) throw invalid()
  return accepted
}

/** Error codes come from outside: only what can be one (RFC 6749, section 4.1.2.1) is repeated. */
export const word = (text: string) => /^[\w.-]{1,60}$/.test(text) ? text : 'without a reason'
