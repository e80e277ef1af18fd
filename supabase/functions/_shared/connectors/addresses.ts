// Where does a call go? Base address, `CONNECTOR_OVERRIDES`, query, and links the platform hands out.
import { AppError } from '../platform/errors.ts'
import { type Connector, placesOf } from './define-connector.ts'
import type { AccountValues } from './vocabulary/auth.ts'
import { fillTemplate } from './vocabulary/fill-template.ts'

/** By slug: `baseUrl` replaces scheme, host and port of every address of the connector. */
export type ConnectorOverrides = Record<string, { baseUrl?: string | undefined } | undefined>

export type Addresses = {
  /** The whole address of a path below the base address, or of a whole address. */
  of(path: string): string
  /** The whole address of a link from an answer, relative or not. */
  ofLink(link: string): string
}

export function addresses(
  connector: Connector,
  account: AccountValues,
  overrides: ConnectorOverrides = {},
): Addresses {
  // asked for only when used: a first call may go to a whole address, and tell what the base is
  const base = () => connector.baseUrl(account)
  const elsewhere = overrides[connector.slug]?.baseUrl?.replace(/\/$/, '')
  const redirected = (url: URL) =>
    elsewhere === undefined ? url.href : elsewhere + url.pathname + url.search
  return {
    of(path) {
      const filled = fillTemplate(path, placesOf(account))
      return redirected(new URL(/^https?:/.test(filled) ? filled : base() + filled))
    },
    ofLink(link) {
      const url = new URL(link, base())
      // A link comes from outside: it may not lead our credentials anywhere else.
      const hosts = [
        new URL(base()).origin,
        ...(elsewhere === undefined ? [] : [new URL(elsewhere).origin]),
      ]
      if (hosts.includes(url.origin)) return redirected(url)
      throw new AppError('provider_redirect_refused', {
        detail: `The next page is said to be at ${url.host}, which is another host.`,
      })
    },
  }
}

export function withQuery(url: string, query: Record<string, string | string[]>): string {
  const pairs = Object.entries(query)
  if (pairs.length === 0) return url
  const result = new URL(url)
  for (const [name, value] of pairs) {
    result.searchParams.delete(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      result.searchParams.append(name, item)
    }
  }
  return result.href
}
