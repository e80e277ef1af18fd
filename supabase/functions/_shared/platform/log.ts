// One JSON line per thing worth knowing, without secrets, short enough for the platform to keep.
import { redactText, redactValue } from './redact.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
type Fields = Record<string, unknown>

export interface Log {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** The same log with more fields on every line. */
  with(bindings: Fields): Log
}

/** Hosted Edge Functions cut a log line here. */
const MAX_LINE_LENGTH = 10_000

/**
 * Makes a log. Fields whose name looks like a secret's are redacted at any depth.
 *
 * @param bindings Fields on every line, such as `{ request_id }`.
 * @param write Takes one line without its newline.
 */
export function createLog(
  bindings: Fields = {},
  write: (line: string) => void = console.log,
): Log {
  const line = (level: LogLevel) => (message: string, fields: Fields = {}) => {
    write(toLine(level, message, { ...bindings, ...fields }))
  }
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (more) => createLog({ ...bindings, ...more }, write),
  }
}

function toLine(level: LogLevel, message: string, fields: Fields): string {
  const head = {
    time: new Date().toISOString(),
    level,
    // quoted, a character takes up to six, so this leaves room within the line
    message: redactText(message.slice(0, 4_000)).slice(0, 1_000),
  }
  const redacted = redactValue(fields) as Fields
  const whole = JSON.stringify({ ...redacted, ...head })
  if (whole.length <= MAX_LINE_LENGTH) return whole

  // Still one valid JSON line: the fields become a text of which the beginning is kept.
  // Quoting may lengthen it, so it is halved until it fits.
  let kept = JSON.stringify(redacted)
  let cut = ''
  do {
    kept = kept.slice(0, Math.min(Math.floor(kept.length / 2), MAX_LINE_LENGTH - 500))
    cut = JSON.stringify({ ...head, truncated: true, fields: kept })
  } while (cut.length > MAX_LINE_LENGTH)
  return cut
}
