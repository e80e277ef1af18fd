// The body's bytes as they were sent, or a refusal that says what became of them.
import { BodyTooLarge, readBody } from '../http/body.ts'
import { WebhookVerificationError } from './verification-error.ts'

/** A text is taken as UTF-8. */
export type RawBody = Uint8Array | ArrayBuffer | string

/** @throws WebhookVerificationError `body_too_large`, `invalid_body` */
export async function readRawBody(
  request: Request | { body: RawBody },
  maxBytes: number,
): Promise<Uint8Array> {
  const bytes = isRequest(request) ? await readRequest(request, maxBytes) : bytesOf(request.body)
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes)
  return bytes
}

// Not `instanceof`: frameworks bring a Request of their own.
function isRequest(request: Request | { body: RawBody }): request is Request {
  return typeof (request as Request).arrayBuffer === 'function'
}

async function readRequest(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (request.bodyUsed) throw notRaw('The body has been read: verify before anything else does.')
  const announcedBytes = Number(request.headers.get('content-length'))
  if (announcedBytes > maxBytes) throw tooLarge(maxBytes)
  try {
    return await readBody(request.body, maxBytes)
  } catch (error) {
    if (error instanceof BodyTooLarge) throw tooLarge(maxBytes)
    throw notRaw('The body broke off, or somebody else is reading it.', error)
  }
}

function bytesOf(body: unknown): Uint8Array {
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
  }
  // not `instanceof`: it may come from another realm
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') {
    return new Uint8Array(body as ArrayBuffer)
  }
  throw notRaw('The body is neither bytes nor text. Pass it raw, before a parser has it.')
}

function tooLarge(maxBytes: number): WebhookVerificationError {
  return new WebhookVerificationError('body_too_large', `The body has more than ${maxBytes} bytes.`)
}

function notRaw(message: string, cause?: unknown): WebhookVerificationError {
  return new WebhookVerificationError('invalid_body', message, { cause })
}
