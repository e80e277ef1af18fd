// Which cookies does a browser keep, and which does it send where? RFC 6265bis, as far as one sign-in needs it.

type Cookie = {
  name: string
  value: string
  domain: string
  /** Without a `Domain` attribute a cookie is its host's only. */
  hostOnly: boolean
  path: string
  secure: boolean
  sameSite: 'strict' | 'lax' | 'none'
  expires: number
}

/** Who makes the browser go there: another site's cookies are guarded by `SameSite`. */
export type Navigation = { method: string; crossSite: boolean }

export type CookieJar = {
  store(url: URL, setCookie: readonly string[]): void
  /** The `Cookie` header, or an empty text. */
  header(url: URL, navigation: Navigation): string
}

/** Ports do not part cookies: two servers on one host share them, in a browser as here. */
export function cookieJar(now: () => number = Date.now): CookieJar {
  let cookies: Cookie[] = []
  return {
    store(url, setCookie) {
      for (const line of setCookie) {
        const cookie = parse(line, url, now())
        if (!cookie) continue
        cookies = cookies.filter((other) =>
          other.name !== cookie.name || other.domain !== cookie.domain || other.path !== cookie.path
        )
        if (cookie.expires > now()) cookies.push(cookie)
      }
    },
    header: (url, navigation) =>
      cookies
        .filter((cookie) => cookie.expires > now() && goesTo(cookie, url, navigation))
        .sort((one, other) => other.path.length - one.path.length)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; '),
  }
}

function parse(line: string, url: URL, now: number): Cookie | null {
  const [pair = '', ...rest] = line.split(';').map((part) => part.trim())
  const equals = pair.indexOf('=')
  if (equals < 1) return null
  const attributes = new Map(rest.map((part) => {
    const [name = '', ...value] = part.split('=')
    return [name.toLowerCase(), value.join('=')]
  }))
  const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase() || undefined
  if (domain !== undefined && !within(url.hostname, domain)) return null
  const secure = attributes.has('secure')
  if (secure && !trustworthy(url)) return null
  const path = attributes.get('path')
  const sameSite = attributes.get('samesite')?.toLowerCase()
  return {
    name: pair.slice(0, equals),
    value: pair.slice(equals + 1),
    domain: domain ?? url.hostname,
    hostOnly: domain === undefined,
    path: path?.startsWith('/') ? path : defaultPath(url.pathname),
    secure,
    sameSite: sameSite === 'strict' || sameSite === 'none' ? sameSite : 'lax',
    expires: expiry(attributes, now),
  }
}

/** `Max-Age` wins over `Expires`; with neither, the cookie lives as long as the browser. */
function expiry(attributes: ReadonlyMap<string, string>, now: number): number {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return now + Number(maxAge) * 1000
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? Infinity : expires
}

function goesTo(cookie: Cookie, url: URL, { method, crossSite }: Navigation): boolean {
  const host = cookie.hostOnly
    ? url.hostname === cookie.domain
    : within(url.hostname, cookie.domain)
  const path = url.pathname === cookie.path ||
    url.pathname.startsWith(cookie.path.endsWith('/') ? cookie.path : `${cookie.path}/`)
  const allowed = !crossSite || cookie.sameSite === 'none' ||
    (cookie.sameSite === 'lax' && method === 'GET')
  return host && path && allowed && (!cookie.secure || trustworthy(url))
}

const within = (host: string, domain: string) => host === domain || host.endsWith(`.${domain}`)

/** Browsers take loopback for as good as https. */
const trustworthy = ({ protocol, hostname }: URL) =>
  protocol === 'https:' || hostname === '127.0.0.1' || within(hostname, 'localhost')

const defaultPath = (path: string) => path.slice(0, path.lastIndexOf('/')) || '/'
