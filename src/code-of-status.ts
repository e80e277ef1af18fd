// What does an answer mean that did not come from Plugboard itself, but from a gateway before it?
import type { PlugboardErrorCode } from './result.ts'

const CODES: Record<number, PlugboardErrorCode> = {
  401: 'unauthorized',
  413: 'body_too_large',
  429: 'too_many_requests',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
  546: 'unavailable', // Edge Functions: the worker went over its memory or time
}

export function codeOfStatus(status: number): PlugboardErrorCode {
  return CODES[status] ?? 'unexpected_answer'
}
