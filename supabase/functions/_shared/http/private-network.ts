// Keeps addresses given by people away from our own network: only public http(s) hosts are called.
//
// Where a call then goes through fetch, the name is resolved once more: fetch cannot be handed the
// address that was checked. A name server that answers "public" first and "private" a moment later
// (DNS rebinding) can get past the guard there; what then still holds is that the answer has to be
// JSON and that the credentials sent are the caller's own. Webhooks go out through pinned-call.ts,
// which connects to the very address that was checked.
import { lookup } from 'node:dns/promises'
import ipaddr from 'ipaddr.js'
import { AppError } from '../platform/errors.ts'

export type GuardOptions = {
  /** For a local stack with simulators only. Scheme and userinfo are checked all the same. */
  allowPrivateNetworks?: boolean
  /** All addresses of a name. */
  resolve?: (host: string) => Promise<string[]>
}

/** Asks the system, the same way fetch will. Rejects when the name is unknown. */
export async function resolveHost(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true })
  return found.map(({ address }) => address)
}

/**
 * Checks that an address may be called and parses it. Throws `private_network_refused`, or
 * `provider_unavailable` when the name cannot be resolved.
 */
export async function checkAddress(url: string | URL, options: GuardOptions = {}): Promise<URL> {
  const parsed = URL.parse(url)
  if (!parsed || !parsed.hostname) throw refused('The address is not a valid URL.')
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    throw refused('The address must begin with https:// or http://.')
  }
  if (parsed.username || parsed.password) {
    throw refused('The address must not contain a user name or password.')
  }
  if (options.allowPrivateNetworks) return parsed

  await publicAddresses(parsed, options.resolve)
  return parsed
}

/**
 * The addresses behind a URL's host, each of them public. Throws `private_network_refused`, or
 * `provider_unavailable` when the name cannot be resolved.
 */
export async function publicAddresses(url: URL, resolve = resolveHost): Promise<string[]> {
  const host = bareHost(url)
  if (isPrivateName(host)) throw refused(`${host} is a name inside a private network.`)
  // URL has already turned 2130706433, 0x7f.1 and 0177.0.0.1 into 127.0.0.1
  if (ipaddr.isValid(host)) {
    if (!isPublicAddress(host)) throw refused(`${host} is not a public address.`)
    return [host]
  }
  const addresses = await addressesOf(host, resolve)
  // Which of them a caller will take is unknown, so one private address is one too many. The
  // message does not say which: a name must not tell a stranger what our network looks like.
  if (addresses.length === 0 || !addresses.every(isPublicAddress)) {
    throw refused(`${host} does not lead to a public address.`)
  }
  return addresses
}

/** All addresses behind a URL's host, whatever they are. Throws `provider_unavailable`. */
export async function anyAddresses(url: URL, resolve = resolveHost): Promise<string[]> {
  const host = bareHost(url)
  return ipaddr.isValid(host) ? [host] : await addressesOf(host, resolve)
}

/** A host as name servers and certificates know it: without brackets and the root's dot. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

async function addressesOf(host: string, resolve: typeof resolveHost): Promise<string[]> {
  try {
    return await resolve(host)
  } catch (cause) {
    throw new AppError('provider_unavailable', {
      detail: `The name ${host} could not be resolved. Check the address.`,
      cause,
    })
  }
}

/** Is this the address of a machine on the public internet? */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  return address instanceof ipaddr.IPv4 ? isPublicIPv4(address) : isPublicIPv6(address)
}

/** Is this an address of the machine itself? */
export function isLoopbackAddress(text: string): boolean {
  return ipaddr.isValid(text) && ipaddr.process(text).range() === 'loopback'
}

function isPublicIPv4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && address.toString() !== AZURE_PLATFORM
}

// Azure's metadata and DNS service sits on this public-looking address.
const AZURE_PLATFORM = '168.63.129.16'

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

function isPublicIPv6(address: ipaddr.IPv6): boolean {
  if (address.isIPv4MappedAddress()) return isPublicIPv4(address.toIPv4Address())
  // NAT64 (RFC 6052): the last 32 bits are the IPv4 address that is really called
  if (address.match(NAT64)) {
    return isPublicIPv4(new ipaddr.IPv4(address.toByteArray().slice(12)))
  }
  // The second test also refuses what the list of special ranges forgets, such as ::127.0.0.1
  return address.range() === 'unicast' && address.match(GLOBAL_UNICAST)
}

const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** Names that RFC 6761, RFC 6762, RFC 8375 and ICANN keep for private use. */
function isPrivateName(host: string): boolean {
  return /^(.*\.)?(localhost|local|internal|home\.arpa)$/i.test(host)
}

function refused(detail: string): AppError {
  return new AppError('private_network_refused', { detail })
}
