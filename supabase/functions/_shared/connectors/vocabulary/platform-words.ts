// What did the platform say, in so few words that they can stand in an error?
import { redactText } from '../../platform/redact.ts'

const MAX_LENGTH = 200

/** One line of the platform's own text without people's addresses and without secrets; '' when it said nothing. */
export function platformWords(text: unknown): string {
  if (typeof text !== 'string') return ''
  const line = redactText(text).replaceAll(EMAIL, '…').replaceAll(/\s+/g, ' ').trim()
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line
}

const EMAIL = /[^\s"'<>()[\]{},;:]+@[^\s"'<>()[\]{},;:]+/g
