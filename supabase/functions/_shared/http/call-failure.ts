// Why a call to an address given by people has no answer: stable codes, and the reason in words.
import type { AppError } from '../platform/errors.ts'

/** The codes never change; the words are the beginning of each reason. */
export const CALL_FAILURES = {
  address_refused: 'The address may not be called',
  name_not_found: 'The name could not be resolved',
  connection_refused: 'The server refused the connection',
  unreachable: 'The server cannot be reached',
  connection_reset: 'The server broke off the connection before it answered',
  tls_failed: 'No protected connection (TLS) came about',
  timed_out: 'The server did not answer in time',
  bad_answer: 'What came back is not an HTTP answer',
  cancelled: 'The call was cancelled on our side',
} as const

export type CallFailureCode = keyof typeof CALL_FAILURES

/** A call that ended without an answer. The message is the reason for people: no address of ours. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  readonly code: CallFailureCode

  /** @param more What happened this time, as the rest of the sentence. */
  constructor(code: CallFailureCode, more = '', cause?: unknown) {
    super(`${CALL_FAILURES[code]}${more === '' ? '' : `: ${more}`}.`, { cause })
    this.code = code
  }
}

/** What the checks before a call say: no such name, or an address that may not be called. */
export function addressFailure(error: AppError): CallFailed {
  const code = error.code === 'provider_unavailable' ? 'name_not_found' : 'address_refused'
  return new CallFailed(code, error.detail.replace(/\.$/, ''), error)
}

/** What a socket's error means while connecting or talking. */
export function connectionFailure(error: unknown): CallFailed {
  switch (errorCode(error)) {
    case 'ECONNREFUSED':
      return new CallFailed('connection_refused', '', error)
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return new CallFailed('connection_reset', '', error)
    default: // older Deno tells the connection below about a certificate that it refuses
      return /certificate/.test(messageOf(error))
        ? tlsFailure(error)
        : new CallFailed('unreachable', '', error)
  }
}

const TLS_REASONS: [RegExp, string][] = [
  [/ALTNAME|NotValidForName|not valid for name/i, 'its certificate is for another name'],
  [/EXPIRED/i, 'its certificate has expired'],
  [/NOT_YET_VALID|NotValidYet/i, 'its certificate is not valid yet'],
  [
    /SELF_SIGNED|UnknownIssuer|UNABLE_TO|untrusted/i,
    'its certificate is not signed by anybody known',
  ],
  [/REVOKED/i, 'its certificate was revoked'],
  [
    /WRONG_VERSION|PACKET_LENGTH|InvalidContentType|corrupt message/i,
    'it does not speak TLS there',
  ],
  [/ECONNRESET|EPIPE/, 'it broke off'],
]

/** What went wrong while the connection was being protected. Runtimes name it by code or in words. */
export function tlsFailure(error: unknown): CallFailed {
  const said = `${errorCode(error)} ${messageOf(error)}`
  const known = TLS_REASONS.find(([pattern]) => pattern.test(said))
  return new CallFailed('tls_failed', known?.[1] ?? '', error)
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
