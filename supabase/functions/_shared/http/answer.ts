// What a platform's answer means for us: a body to read, or an error that says who can act.
import { AppError, type ErrorCode, ERRORS } from '../platform/errors.ts'
import { isSecretName, redactText } from '../platform/redact.ts'
import { readRetryAfter } from './retry.ts'

/** An answer as it came, its body read. `secrets` are the credentials that were sent. */
export type Answer = {
  method: string
  url: URL
  status: number
  headers: Headers
  readonly bytes: Uint8Array
  /** The bytes as UTF-8. */
  readonly text: string
  secrets: string[]
}

/** What the platform said, as the cause of an AppError: for logs and for connectors to look at. */
export class ProviderAnswer extends Error {
  override readonly name = 'ProviderAnswer'
  readonly status: number
  /** The beginning of the body without the credentials that were sent. */
  readonly excerpt: string

  constructor(answer: Answer) {
    // redacted before it is cut, or half a token could stay at the end
    const excerpt = redactText(answer.text.slice(0, 4_000), answer.secrets).slice(0, 300)
    super(`${answer.method} ${answer.url.host} answered ${answer.status}: ${excerpt}`)
    this.status = answer.status
    this.excerpt = excerpt
  }
}

/** `undefined` for 2xx, else the error that the status stands for. */
export function answerError(answer: Answer, now: Date): AppError | undefined {
  const { status, headers, url } = answer
  if (status >= 200 && status < 300) return undefined
  const retryAfterMs = readRetryAfter(headers, now)
  const code = errorCode(status, retryAfterMs !== undefined)
  return new AppError(code, {
    detail: `${url.host} answered ${status}: ${lowerFirst(ERRORS[code].title)}.`,
    cause: new ProviderAnswer(answer),
    ...(ERRORS_THAT_WAIT.has(code) ? { retryAfterMs } : {}),
  })
}

function errorCode(status: number, hasRetryAfter: boolean): ErrorCode {
  if (status === 429) return 'provider_rate_limited'
  // several platforms throttle with 403; only then does it say when to come back
  if (status === 403) return hasRetryAfter ? 'provider_rate_limited' : 'provider_forbidden'
  if (status === 401) return 'provider_unauthorized'
  if (status === 404 || status === 410) return 'provider_not_found'
  if (status === 408) return 'provider_timeout'
  if (status === 425 || status >= 500) return 'provider_unavailable'
  if (status >= 400) return 'provider_rejected'
  return 'provider_bad_answer'
}

const ERRORS_THAT_WAIT = new Set<ErrorCode>(['provider_rate_limited', 'provider_unavailable'])

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)

const parsed = new WeakMap<Answer, { value: unknown } | null>()

/** The body as JSON, parsed once however often it is asked for; undefined when it is not JSON. */
export function readJsonOnce(answer: Answer): unknown {
  return parseOnce(answer)?.value
}

/** Parses the body as JSON; throws `provider_bad_answer`, also for a web page sent as 200. */
export function readJson(answer: Answer): unknown {
  const json = parseOnce(answer)
  if (json) return json.value
  throw new AppError('provider_bad_answer', {
    detail: `${answer.url.host} answered with ${
      isPage(answer) ? 'a web page' : 'something'
    } that is not JSON.`,
    cause: new ProviderAnswer(answer),
  })
}

function parseOnce(answer: Answer): { value: unknown } | null {
  const known = parsed.get(answer)
  if (known !== undefined) return known
  let json: { value: unknown } | null = null
  try {
    if (!isPage(answer)) json = { value: JSON.parse(answer.text) }
  } catch {
    // the parser's message quotes the text, which may hold what was sent; the excerpt does not
  }
  parsed.set(answer, json)
  return json
}

const isPage = ({ headers, text }: Answer) =>
  /\bhtml\b/i.test(headers.get('content-type') ?? '') || /^\s*</.test(text)

/**
 * The credentials in a request, so that they can be taken out of an answer that repeats them.
 *
 * @param plain The headers before the credentials were added; what differs is one.
 */
export function sentSecrets(
  request: { url: URL; headers: Headers; body?: string | Uint8Array },
  plain: Headers,
): string[] {
  const secrets: string[] = []
  for (const [name, value] of request.headers) {
    if (!isSecretName(name) && plain.get(name) === value) continue
    const [scheme, ...rest] = value.split(' ')
    secrets.push(value, rest.join(' '))
    if (scheme?.toLowerCase() === 'basic') secrets.push(...decodeBasic(rest.join(' ')))
  }
  const fields = [...request.url.searchParams, ...bodyFields(request.body)]
  for (const [name, value] of fields) if (isSecretName(name, value)) secrets.push(value)
  // the longest first, so that a whole header goes before the token in it
  return secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length)
}

function decodeBasic(text: string): string[] {
  try {
    return atob(text).split(':').slice(1)
  } catch {
    return []
  }
}

function bodyFields(body: string | Uint8Array | undefined): [string, string][] {
  if (typeof body !== 'string' || body === '') return []
  if (!body.startsWith('{')) return [...new URLSearchParams(body)]
  try {
    return Object.entries(JSON.parse(body) as object)
      .flatMap(([name, value]) => typeof value === 'string' ? [[name, value]] : [])
  } catch {
    return []
  }
}
