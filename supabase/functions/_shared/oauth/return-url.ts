// Which page may a sign-in come back to? One of those the project allows: nobody is sent anywhere else.
import { AppError } from '../platform/errors.ts'

/** RFC 8252, section 7.3: an app on this machine may listen at any port. */
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** @throws AppError `return_url_refused` */
export function checkReturnUrl(url: string, allowed: readonly string[]): void {
  const asked = URL.parse(url)
  if (asked && isPlain(asked) && allowed.some((entry) => covers(new URL(entry), asked))) return
  throw new AppError('return_url_refused', {
    detail: allowed.length === 0
      ? 'No return address is allowed yet: name your app in the secret PLUGBOARD_RETURN_URLS.'
      : 'The return address has to begin with one of those in the secret PLUGBOARD_RETURN_URLS.',
    errors: [{ path: 'return_url', message: 'is not allowed' }],
  })
}

/** The return address with what came of the sign-in, and nothing of an earlier one. What else is in its query stays. */
export function withOutcome(return_url: string, outcome: Record<string, string>): string {
  const url = new URL(return_url)
  for (const earlier of ['integration_id', 'error', 'error_description']) {
    url.searchParams.delete(earlier)
  }
  for (const [name, value] of Object.entries(outcome)) url.searchParams.set(name, value)
  return url.href
}

function isPlain({ protocol, username, password, hash }: URL): boolean {
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === ''
}

function covers(allowed: URL, asked: URL): boolean {
  const anyPort = LOOPBACK.has(allowed.hostname) && allowed.port === ''
  const sameOrigin = anyPort
    ? allowed.protocol === asked.protocol && allowed.hostname === asked.hostname
    : allowed.origin === asked.origin
  // whole segments: /app does not cover /apple
  const beginning = allowed.pathname.replace(/\/$/, '')
  return sameOrigin &&
    (asked.pathname === beginning || asked.pathname.startsWith(`${beginning}/`))
}
