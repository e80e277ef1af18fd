// Writes down what a batch of webhooks comes to: all in one transaction, or as much of it as the database takes.
import { DatabaseError } from '../platform/database.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { finishWebhooks, type Outcome } from './claimed-webhooks.ts'

/** Writes them down together. What the database does not take is found by halving, so that the others are not held back. */
export async function finishBatch(
  outside: Outside,
  leaseToken: string,
  outcomes: Outcome[],
  handOver: boolean,
): Promise<void> {
  try {
    await finishWebhooks(outside.db, leaseToken, outcomes, handOver)
  } catch (error) {
    if (!isRefused(error)) throw error
    if (outcomes.length === 1) {
      const [outcome] = outcomes as [Outcome]
      const rest = await finishParts(outside, leaseToken, outcome, error)
      return await finishWebhooks(outside.db, leaseToken, [rest], handOver)
    }
    const middle = Math.ceil(outcomes.length / 2)
    await finishBatch(outside, leaseToken, outcomes.slice(0, middle), false)
    await finishBatch(outside, leaseToken, outcomes.slice(middle), handOver)
  }
}

/**
 * Writes what one webhook comes to integration by integration, so that none is held back by what is refused of another.
 *
 * @returns What is left to say of the webhook: that it failed, since some of it did.
 */
async function finishParts(
  outside: Outside,
  leaseToken: string,
  { id, writes = [], syncs = [], emitted = [] }: Outcome,
  error: AppError | DatabaseError,
): Promise<Outcome> {
  const owners = new Set([...writes, ...syncs].map(({ integration_id }) => integration_id))
  if (owners.size <= 1) return failed(id, error)
  let refused: AppError | DatabaseError | undefined
  for (const owner of owners) {
    const part = {
      writes: writes.filter(({ integration_id }) => integration_id === owner),
      syncs: syncs.filter(({ integration_id }) => integration_id === owner),
    }
    try {
      await finishWebhooks(outside.db, leaseToken, [{ id, is_part: true, ...part }], false)
    } catch (error) {
      if (!isRefused(error)) throw error
      refused = error
    }
  }
  return refused ? { ...failed(id, refused), emitted } : { id, status: 'processed', emitted }
}

const isRefused = (error: unknown): error is AppError | DatabaseError =>
  error instanceof AppError || error instanceof DatabaseError && error.isAboutData

/** Shows nothing of what is neither an AppError nor about the data. */
export function failed(id: string, error: unknown): Outcome {
  if (error instanceof DatabaseError && error.isAboutData) {
    const message = `The table does not take it: ${error.message}`
    return { id, is_final: true, error: { code: 'invalid_record', message, next: 'developer' } }
  }
  const { code, detail, next, retryAfterMs } = error instanceof AppError
    ? error
    : new AppError('internal_error')
  return {
    id,
    error: { code, message: detail, next },
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
  }
}
