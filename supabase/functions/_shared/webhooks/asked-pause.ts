// How long did platforms ask us to wait, before what failed is tried again?
import { AppError } from '../platform/errors.ts'

/** The longest of these errors; nothing where none says. */
export function askedPause(errors: unknown[]): { pauseMs?: number } {
  const pauses = errors.flatMap((error) =>
    error instanceof AppError && error.retryAfterMs !== undefined ? [error.retryAfterMs] : []
  )
  return pauses.length === 0 ? {} : { pauseMs: Math.max(...pauses) }
}
