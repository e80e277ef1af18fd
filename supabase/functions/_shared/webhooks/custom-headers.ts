// Which headers may people add to the webhooks that go to their endpoint?
import { AppError, type FieldError } from '../platform/errors.ts'

const MAX_HEADERS = 20
const MAX_NAME_LENGTH = 100
const MAX_VALUE_LENGTH = 2_000

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/
/** What every server reads the same way: visible ASCII with blanks between (RFC 9110 section 5.5). */
const VALUE = /^(?:[!-~](?:[ \t!-~]*[!-~])?)?$/

/** They frame the message, name its sender, or say what the signature is about. */
const OURS = new Set([
  'host',
  'connection',
  'keep-alive',
  'upgrade',
  'http2-settings',
  'te',
  'trailer',
  'transfer-encoding',
  'expect',
  'accept-encoding',
  'user-agent',
  'x-webhook-signature',
  // a webhook has no session; a receiver that wants a secret has `authorization`
  'cookie',
  'cookie2',
  'set-cookie',
])
const OUR_PREFIXES = ['content-', 'proxy-', 'webhook-', 'svix-', 'sec-']

/** Throws `invalid_endpoint`, naming each header at fault as `headers.<name>` and quoting no value. */
export function checkCustomHeaders(headers: Record<string, string>): void {
  const names = Object.keys(headers)
  const errors: FieldError[] = []
  if (names.length > MAX_HEADERS) {
    errors.push({ path: 'headers', message: `must not be more than ${MAX_HEADERS}` })
  }
  const seen = new Set<string>()
  for (const name of names.slice(0, MAX_HEADERS)) {
    const plain = name.toLowerCase()
    const message = wrongName(plain) ?? wrongValue(headers[name] ?? '') ??
      (seen.has(plain) ? 'is named twice' : undefined)
    seen.add(plain)
    // a name that is none could be anything, so what is shown of it is short and harmless
    const shown = name.replace(/[^\x21-\x7e]/g, '?').slice(0, MAX_NAME_LENGTH)
    if (message !== undefined) errors.push({ path: `headers.${shown}`, message })
  }
  if (errors.length === 0) return
  throw new AppError('invalid_endpoint', {
    detail: 'The headers cannot all be sent: see which in errors.',
    errors,
  })
}

function wrongName(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `must not be longer than ${MAX_NAME_LENGTH} characters`
  if (!TOKEN.test(name)) return 'is not the name of a header'
  if (OURS.has(name) || OUR_PREFIXES.some((prefix) => name.startsWith(prefix))) {
    return 'is set by the sender of the webhook'
  }
  return undefined
}

function wrongValue(value: string): string | undefined {
  if (value.length > MAX_VALUE_LENGTH) {
    return `must not be longer than ${MAX_VALUE_LENGTH} characters`
  }
  if (!VALUE.test(value)) return 'must be printable ASCII without blanks at its ends'
  return undefined
}
