// Why a run failed, in words its owner can act on: which connection, what happened, what to do.
import type { Integration } from '../contracts/integrations.ts'
import { type StoredError, toStoredError } from '../platform/errors.ts'

const NEXT: Record<string, string> = {
  provider_unauthorized: 'Enter new credentials for this connection, then sync again.',
  provider_forbidden: "Ask the account's administrator for the missing right, then sync again.",
  invalid_credentials: 'Enter the credentials again.',
  invalid_settings: "Open the connection's settings and correct them.",
  provider_rate_limited: 'It is tried again later by itself.',
  provider_unavailable: 'It is tried again later by itself.',
  provider_timeout: 'It is tried again later by itself.',
  circuit_open: 'It is tried again later by itself.',
}

/** The error a sync log and its integration keep. */
export function describeFailure(
  error: unknown,
  integration: Pick<Integration, 'name' | 'connector'>,
): StoredError {
  const stored = toStoredError(error)
  const message = [
    `${integration.name} (${integration.connector}): ${sentence(stored.message)}`,
    NEXT[stored.code],
  ]
  return { ...stored, message: message.filter(Boolean).join(' ') }
}

const sentence = (text: string) => /[.!?]$/.test(text) ? text : `${text}.`
