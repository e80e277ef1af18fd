// Why a run or a check failed, in words its owner can act on: which connection, what happened, what to do.
import type { ErrorSummary } from '../contracts/contract.ts'
import type { Integration } from '../contracts/integrations.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'

/** What a person can do; errors with the next step `retry` need nobody. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  provider_unauthorized: 'Enter new credentials for this connection, or sign in again.',
  reconnect_required: 'Sign in at the platform again.',
  provider_forbidden: "Ask the account's administrator for the missing right.",
  provider_not_found: "Check the connection's settings.",
  invalid_credentials: 'Enter the credentials again.',
  invalid_settings: "Open the connection's settings and correct them.",
}

/** A run comes again by its schedule, a check does not. */
const RETRY_ADVICE = {
  sync: 'It is tried again later by itself.',
  check: 'Try again later.',
}

/** The error that a sync log and its integration keep. Shows nothing of what is not an AppError. */
export function describeFailure(
  error: unknown,
  { name, connector }: Pick<Integration, 'name' | 'connector'>,
  of: keyof typeof RETRY_ADVICE = 'sync',
): ErrorSummary {
  const { code, detail, next } = error instanceof AppError ? error : new AppError('internal_error')
  const advice = next === 'retry' ? RETRY_ADVICE[of] : ADVICE[code]
  const message = [`${name} (${connector}): ${sentence(detail)}`, advice].filter(Boolean).join(' ')
  return { code, message, next }
}

const sentence = (text: string) => /[.!?]$/.test(text) ? text : `${text}.`
