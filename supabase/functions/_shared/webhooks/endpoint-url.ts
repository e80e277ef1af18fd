// May webhooks be sent to this address? Asked when an endpoint is registered; each call asks again.
import { AppError } from '../platform/errors.ts'
import type { GuardOptions } from '../http/private-network.ts'
import { invalidUrl, parseTargetUrl, targetAddresses } from '../http/target-url.ts'

/**
 * Checks an endpoint's address and answers it as it is to be stored. Throws `invalid_endpoint` with the field
 * `url`, `private_network_refused`, or `unavailable` when no name server answers.
 */
export async function checkEndpointUrl(text: string, options: GuardOptions = {}): Promise<string> {
  const url = parseTargetUrl(text, options)
  try {
    // with private networks allowed there is no address that https may not go to, known or not
    if (!options.allowPrivateNetworks || url.protocol === 'http:') {
      await targetAddresses(url, options)
    }
    return url.href
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'provider_unavailable') throw error
    if (isForNow(error.cause)) {
      throw new AppError('unavailable', {
        detail: `The name in ${url.origin} could not be looked up just now.`,
        cause: error,
        retryAfterMs: 5_000,
      })
    }
    throw invalidUrl(`names a server that nobody knows: ${url.hostname}`)
  }
}

/** Did the name server fail, rather than know no such name? */
function isForNow(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EAI_AGAIN' || code === 'ESERVFAIL' || code === 'ETIMEOUT'
}
