// Which addresses given by people may be called, and where do they lead?
import { AppError } from '../platform/errors.ts'
import {
  anyAddresses,
  type GuardOptions,
  isLoopbackAddress,
  publicAddresses,
} from './private-network.ts'

const MAX_URL_LENGTH = 2_048

/** Ports of services that take an HTTP request for their own language: the Fetch standard's "bad ports". */
const BAD_PORTS = new Set(
  ('0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 ' +
    '123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 ' +
    '990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080')
    .split(' '),
)

/**
 * Parses an address: https, no user name or password, no port that browsers refuse, its fragment dropped.
 * Throws `invalid_endpoint`.
 *
 * @param options.allowPrivateNetworks Takes http too; that it leads to loopback is checked with the name.
 */
export function parseTargetUrl(
  text: string,
  options: { allowPrivateNetworks?: boolean } = {},
): URL {
  if (text.length > MAX_URL_LENGTH) {
    throw invalidUrl(`must not be longer than ${MAX_URL_LENGTH} characters`)
  }
  // URL would take a line break out and a backslash for a slash: other readers see another host
  if (/[\s\\\p{Cc}]/u.test(text)) throw invalidUrl('must not contain spaces or backslashes')
  const url = URL.parse(text)
  if (!url) throw invalidUrl('is not a valid URL')
  if (url.protocol !== 'https:' && !(options.allowPrivateNetworks && url.protocol === 'http:')) {
    throw invalidUrl('must begin with https://')
  }
  if (url.username || url.password) throw invalidUrl('must not contain a user name or password')
  if (BAD_PORTS.has(url.port)) throw invalidUrl(`must not name port ${url.port}`)
  url.hash = ''
  return url
}

/**
 * The addresses that a URL from {@link parseTargetUrl} leads to. All of them may be called, or it throws:
 * `private_network_refused`, `invalid_endpoint`, or `provider_unavailable` when the name cannot be resolved.
 */
export async function targetAddresses(url: URL, options: GuardOptions): Promise<string[]> {
  if (!options.allowPrivateNetworks) return await publicAddresses(url, options.resolve)
  const addresses = await anyAddresses(url, options.resolve)
  if (url.protocol === 'http:' && !addresses.every(isLoopbackAddress)) {
    throw invalidUrl('must begin with https:// unless it leads to this machine')
  }
  return addresses
}

export function invalidUrl(message: string): AppError {
  return new AppError('invalid_endpoint', {
    detail: `The address ${message}.`,
    errors: [{ path: 'url', message }],
  })
}
