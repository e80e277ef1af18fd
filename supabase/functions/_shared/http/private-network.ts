// Keeps addresses given by people away from our own network: only public http(s) hosts are called.
//
// Names are resolved here and once more by fetch, which offers no way to hand it the address that
// was checked. A name server that answers "public" first and "private" a moment later (DNS
// rebinding) can therefore get past this guard; what then still holds is that the answer has to be
// JSON and that the credentials sent are the caller's own. node:https could be given the address
// through its `lookup` option, for the price of leaving fetch.
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

  const host = parsed.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (isPrivateName(host)) throw refused(`${host} is a name inside a private network.`)
  // URL has already turned 2130706433, 0x7f.1 and 0177.0.0.1 into 127.0.0.1
  if (ipaddr.isValid(host)) {
    if (!isPublicAddress(host)) throw refused(`${host} is not a public address.`)
    return parsed
  }
  const addresses = await (options.resolve ?? resolveHost)(host).catch((cause) => {
    throw new AppError('provider_unavailable', {
      detail: `The name ${host} could not be resolved. Check the address.`,
      cause,
    })
  })
  // Which of them fetch will take is unknown, so one private address is one too many. The
  // message does not say which: a name must not tell a stranger what our network looks like.
  if (addresses.length === 0 || !addresses.every(isPublicAddress)) {
    throw refused(`${host} does not lead to a public address.`)
  }
  return parsed
}

/** Is this the address of a machine on the public internet? */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  return address instanceof ipaddr.IPv4 ? isPublicIPv4(address) : isPublicIPv6(address)
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
