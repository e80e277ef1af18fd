// Sends a request once: guarded, timed, redirected where it may go, its answer read up to a limit.
import { AppError } from '../platform/errors.ts'
import { isSecretName } from '../platform/redact.ts'
import { abortable } from './abortable.ts'
import { type Answer, sentSecrets } from './answer.ts'
import { Body, BodyTooLarge, discardBody, readBody } from './body.ts'
import type { HttpRequest } from './request.ts'
import { isRepeatable } from './retry.ts'
import { checkAddress, type GuardOptions } from './private-network.ts'
import { checkRedirectCount, redirectTarget } from './redirects.ts'

export type AttemptOptions = GuardOptions & {
  fetch: typeof globalThis.fetch
  /** From resolving the name to the last byte of the body. */
  timeoutMs: number
  maxResponseBytes: number
  signal?: AbortSignal
}

/** Sends once. Answers whatever the status; throws an AppError when no whole answer came. */
export async function attempt(request: HttpRequest, options: AttemptOptions): Promise<Answer> {
  if (request.redirects === 'any host' && mayCarryCredentials(request)) {
    throw new TypeError('what may carry credentials may not be redirected to any host')
  }
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), options.timeoutMs)
  const signal = options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal
  const host = URL.parse(request.url)?.host ?? 'The platform'
  try {
    return await exchange(request, options, signal)
  } catch (error) {
    if (options.signal?.aborted) {
      throw new AppError('unavailable', {
        detail: `The call to ${host} was cancelled.`,
        cause: error,
      })
    }
    if (timeout.signal.aborted) {
      throw new AppError('provider_timeout', {
        detail: `${host} did not answer within ${options.timeoutMs / 1_000} s.`,
        cause: error,
      })
    }
    if (error instanceof AppError) throw error
    if (error instanceof BodyTooLarge) {
      throw new AppError('provider_answer_too_large', {
        detail: `${host} answered with more than ${error.maxBytes} bytes.`,
      })
    }
    throw new AppError('provider_unavailable', {
      detail: `The connection to ${host} failed or broke off.`,
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

async function exchange(
  request: HttpRequest,
  options: AttemptOptions,
  signal: AbortSignal,
): Promise<Answer> {
  const method = (request.method ?? 'GET').toUpperCase()
  let address: string | URL = request.url
  for (let redirectCount = 0;; redirectCount++) {
    // checked at every step: a redirect may lead into our own network, and even one within the host may
    // meet a changed name server
    const url = await abortable(checkAddress(address, options), signal)
    checkRedirectCount(redirectCount, url)
    const { headers, plain } = await abortable(headersOf(request, method, url), signal)
    if (request.trace) request.trace.sent = true
    const response = await options.fetch(url.href, {
      method,
      headers,
      ...bodyOf(request, method, options.fetch),
      redirect: 'manual',
      signal,
    })
    try {
      const target = redirectTarget(response, url, method, request.redirects)
      if (!target) {
        const declared = Number(response.headers.get('content-length'))
        if (declared > options.maxResponseBytes) throw new BodyTooLarge(options.maxResponseBytes)
        const body = new Body(await readBody(response.body, options.maxResponseBytes, declared))
        const secrets = sentSecrets({ url, headers, body: request.body }, plain)
        return {
          method,
          url,
          status: response.status,
          headers: response.headers,
          bytes: body.bytes,
          get text() {
            return body.text
          },
          secrets,
        }
      }
      address = target
    } finally {
      await discardBody(response.body)
    }
  }
}

/**
 * A runtime may send a request by itself once more when a connection that it kept breaks off: Deno does, also a POST that
 * the server has carried out. What may not be repeated is therefore given as a stream, which can be read once.
 */
function bodyOf(
  { body, repeatable }: HttpRequest,
  method: string,
  fetch: typeof globalThis.fetch,
): RequestInit & { duplex?: 'half' } {
  const isSafe = (repeatable ?? isRepeatable(method)) || !['POST', 'PATCH', 'PUT'].includes(method)
  if (isSafe || fetch !== globalThis.fetch) return { body: body as BodyInit | undefined }
  return { body: new Blob([body as BlobPart ?? '']).stream(), duplex: 'half' }
}

async function headersOf(request: HttpRequest, method: string, url: URL) {
  try {
    const plain = new Headers({ accept: 'application/json', 'user-agent': 'Plugboard' })
    for (const [name, value] of Object.entries(request.headers ?? {})) plain.set(name, value)
    const headers = new Headers(plain)
    await request.authorize?.({ method, url: url.href, headers })
    return { headers, plain }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // Headers refuses line breaks and letters beyond Latin-1. Its message quotes the value, so it
    // is not kept as the cause.
    throw new AppError('invalid_credentials', {
      detail: 'The credentials contain characters that cannot be sent in a header.',
      errors: [{ path: 'credentials', message: 'cannot be sent in a header' }],
    })
  }
}

function mayCarryCredentials(request: HttpRequest): boolean {
  return request.authorize !== undefined || request.body !== undefined ||
    Object.keys(request.headers ?? {}).some((name) => isSecretName(name))
}
