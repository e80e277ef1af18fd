// What does a run say of the parts of an account it could not read?
import type { ErrorSummary } from '../contracts/contract.ts'
import { describeFailure } from '../integrations/describe-failure.ts'
import { AppError } from '../platform/errors.ts'
import type { ClaimedRun } from './claimed-run.ts'

/** The others are counted. */
const MOST_NAMED = 10

/** Null: nothing was passed over. */
export function describePassedOver({ progress, integration }: ClaimedRun): ErrorSummary | null {
  const parts = [...new Set(progress.passed_over)]
  if (parts.length === 0) return null
  const named = parts.slice(0, MOST_NAMED).join(', ')
  const others = parts.length - MOST_NAMED
  return describeFailure(
    new AppError('provider_not_found', {
      detail: `The platform did not show ${named}${
        others > 0 ? ` and ${others} more` : ''
      }, so the run passed over that. Everything else was synced.`,
    }),
    integration,
  )
}
