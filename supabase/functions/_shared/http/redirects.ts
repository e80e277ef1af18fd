// Where a redirect may lead: credentials never leave the host they were meant for.
import { AppError } from '../platform/errors.ts'
import type { HttpRequest } from './request.ts'

export const MAX_REDIRECTS = 5

const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308])

/**
 * The address to go on to; `undefined` when the answer is no redirect. Throws
 * `provider_redirect_refused` for another host unless `redirects` allows any, a step from https down to
 * http, or a method that is not a plain read: what a second POST elsewhere would do is unknown.
 */
export function redirectTarget(
  answer: { status: number; headers: Headers },
  from: URL,
  method: string,
  redirects: HttpRequest['redirects'] = 'same host',
): URL | undefined {
  if (!REDIRECT_STATUSES.has(answer.status)) return undefined
  const location = answer.headers.get('location')
  const to = location === null ? null : URL.parse(location, from)
  if (!to) throw refused(from, 'it redirects without saying where to')
  if (method !== 'GET' && method !== 'HEAD') {
    throw refused(from, `it redirects a ${method}, which is not sent twice`)
  }
  if (from.protocol === 'https:' && to.protocol !== 'https:') {
    throw refused(from, 'it redirects from https to an unprotected address')
  }
  // http to https on the default ports is the same host, better protected
  const isUpgrade = from.protocol === 'http:' && to.protocol === 'https:' &&
    from.hostname === to.hostname && from.port === '' && to.port === ''
  if (redirects === 'same host' && to.origin !== from.origin && !isUpgrade) {
    throw refused(from, 'it redirects to another host')
  }
  if (to.username || to.password) throw refused(from, 'it redirects to an address with a password')
  return to
}

/** Throws when an answer has sent us on too often. */
export function checkRedirectCount(count: number, from: URL): void {
  if (count > MAX_REDIRECTS) throw refused(from, `it redirects more than ${MAX_REDIRECTS} times`)
}

function refused(from: URL, reason: string): AppError {
  return new AppError('provider_redirect_refused', { detail: `${from.host}: ${reason}.` })
}
