// Does somebody wait for our answer?
import { ownWords } from './own-words.ts'

export type Incoming = {
  direction: 'inbound' | 'outbound'
  body_text: string | null
  subject?: string | null
  sender_address?: string | null
  /** False where others are meant: we are only in copy, or nobody named us in a channel. */
  isToUs?: boolean
  /** It came to a list: `List-Id`, `List-Unsubscribe`, or `Precedence: bulk`. */
  isMailingList?: boolean
  /** A machine answered: `Auto-Submitted` other than `no` (RFC 3834), or the platform says it is a bot. */
  isAutomated?: boolean
}

const NOBODY_READS =
  /^(?:no[-._]?reply|do[-._]?not[-._]?reply|mailer-daemon|postmaster|bounces?)\b[^@]*@/i
/** A question mark in any script's form; a plain one has to end something, or it is part of an expression. */
const QUESTION = /[？؟]|\?(?=["'”’)\]]*(?:\s|[?!]|$))/
const REQUEST =
  /\b(?:please|pls|(?:can|could|would|will) you|let (?:me|us) know|get back to (?:me|us)|(?:looking forward to|await|waiting for) (?:hearing|a|your)|(?:call|email|send|tell|text) (?:me|us)|(?:i|we) need you)\b/i
/** Said politely, and asking nothing. */
const NO_REQUEST =
  /\bplease (?:find|see|note|ignore|disregard|be (?:aware|advised)|do not (?:reply|respond)|don[’']t (?:reply|respond))\b/gi
const NO_ANSWER_WANTED =
  /\bno (?:need to|reply|response|answer)(?: (?:reply|respond|answer|is|needed|necessary|required))*\b|\bfyi only\b/i

/**
 * Whether an incoming message or post asks us something: a question, or a request in English words. A hint,
 * for sorting an inbox: it reads no other language's requests (but its question marks), and takes a question
 * that nobody means for one. Nothing that a machine or a mailing list sent waits for an answer.
 */
export function requiresResponse(incoming: Incoming): boolean {
  const { direction, isToUs = true, isMailingList = false, isAutomated = false } = incoming
  if (direction !== 'inbound' || !isToUs || isMailingList || isAutomated) return false
  if (NOBODY_READS.test(incoming.sender_address ?? '')) return false

  const words = ownWords(incoming.body_text)
  if (NO_ANSWER_WANTED.test(words)) return false
  return [incoming.subject ?? '', words]
    .some((text) => QUESTION.test(text) || REQUEST.test(text.replace(NO_REQUEST, '')))
}
