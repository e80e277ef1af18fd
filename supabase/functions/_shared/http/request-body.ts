// From the bytes a caller sent to an input its contract accepts, or an error that names what is wrong.
import type { z } from 'zod'
import { AppError, type FieldError } from '../platform/errors.ts'
import { MAX_FIELD_ERRORS, toFieldErrors, toPath } from '../platform/field-errors.ts'
import { BodyTooLarge, readBody } from './body.ts'

/** Reads the body as JSON. Throws `body_too_large` or `invalid_json`. */
export async function readJsonBody(request: Request, maxBytes: number): Promise<unknown> {
  const tooLarge = () =>
    new AppError('body_too_large', { detail: `The body may have up to ${maxBytes} bytes.` })
  if (Number(request.headers.get('content-length')) > maxBytes) throw tooLarge()

  let bytes: Uint8Array
  try {
    bytes = await readBody(request.body, maxBytes)
  } catch (error) {
    if (error instanceof BodyTooLarge) throw tooLarge()
    throw new AppError('invalid_json', { detail: 'The body broke off.', cause: error })
  }
  if (bytes.byteLength === 0) throw new AppError('invalid_json', { detail: 'The body is empty.' })
  let body: unknown
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    body = JSON.parse(text)
  } catch {
    // neither the body nor the parser's message, which quotes it, belongs into an answer
    throw new AppError('invalid_json', { detail: 'The body is not JSON in UTF-8.' })
  }
  if (MAYBE_UNSTORABLE.test(text)) refuseUnstorable(body)
  return body
}

// Only an escape can bring such a character in, so almost no body needs to be walked.
const MAYBE_UNSTORABLE = /\\u(?:0000|d[89a-f])/i

/** Postgres stores neither U+0000 nor half a surrogate pair: an answer now beats an error later. */
function refuseUnstorable(body: unknown): void {
  const errors: FieldError[] = []
  // not recursive, since a body may nest deeper than the stack
  const waiting: { value: unknown; path: string }[] = [{ value: body, path: '' }]
  for (let next = waiting.pop(); next && errors.length < MAX_FIELD_ERRORS; next = waiting.pop()) {
    const { value, path } = next
    if (typeof value === 'string' && !isStorable(value)) {
      errors.push({ path, message: 'contains a character that cannot be stored' })
    }
    if (typeof value !== 'object' || value === null) continue
    for (const [key, item] of Object.entries(value)) {
      const itemPath = toPath([path, key])
      if (isStorable(key)) waiting.push({ value: item, path: itemPath })
      else errors.push({ path, message: 'has a name with a character that cannot be stored' })
    }
  }
  if (errors.length > 0) throw invalidRequest(errors)
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** Checks an input. Throws `invalid_request` naming each field at fault, unknown ones included. */
export function parseRequest<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw invalidRequest(toFieldErrors(result.error.issues))
}

function invalidRequest(errors: FieldError[]): AppError {
  const named = errors.slice(0, 3).map(({ path, message }) =>
    path ? `${path}: ${message}` : message
  )
  const more = errors.length > named.length ? '; and more' : ''
  return new AppError('invalid_request', { detail: named.join('; ') + more, errors })
}
