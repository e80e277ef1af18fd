// Does an account still work? One cheap call, its latency, and the reason when it does not.
import { systemClock } from '../platform/clock.ts'
import { AppError, type StoredError } from '../platform/errors.ts'
import { describeFailure } from '../sync/describe-failure.ts'
import { openIntegration, type Outside, readIntegration } from './open-integration.ts'

export type Health = {
  status: 'healthy' | 'unhealthy'
  /** Milliseconds the call took. */
  latency_ms: number
  checked_at: string
  error?: StoredError
}

/** Checks and keeps the outcome with the integration. @throws AppError `integration_not_found`, `integration_disconnected` */
export async function checkIntegration(
  outside: Outside,
  integrationId: string,
): Promise<Health> {
  const clock = outside.clock ?? systemClock
  const open = await readIntegration(outside.db, integrationId)
  if (open.integration.status === 'disconnected') throw new AppError('integration_disconnected')
  const startedAt = clock.now().getTime()
  let error: StoredError | undefined
  try {
    await openIntegration(open, outside).account.check()
  } catch (thrown) {
    error = describeFailure(thrown, open.integration)
    outside.log.info('check failed', {
      integration_id: integrationId,
      reason: error.code,
    })
  }
  const latency_ms = clock.now().getTime() - startedAt
  await outside.db.call('record_integration_check', {
    p_integration_id: integrationId,
    p_error: error ?? null,
  })
  return {
    status: error ? 'unhealthy' : 'healthy',
    latency_ms,
    checked_at: clock.now().toISOString(),
    ...(error ? { error } : {}),
  }
}
