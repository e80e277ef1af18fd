// Does an account still work? One cheap call, its latency, and the reason when it does not.
import type { ErrorSummary } from '../contracts/contract.ts'
import type { IntegrationCheck } from '../contracts/integrations.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { answerInTime } from './answer-in-time.ts'
import { describeFailure } from './describe-failure.ts'
import { openIntegration, readIntegration, requireConnector } from './open-integration.ts'

/** Checks and keeps the outcome with the integration. @throws AppError `integration_not_found`, `integration_disconnected` */
export async function checkIntegration(
  outside: Outside,
  integrationId: string,
): Promise<IntegrationCheck> {
  const { clock, db, log } = outside
  const open = await readIntegration(db, integrationId)
  const { integration } = open
  if (integration.status === 'disconnected') throw new AppError('integration_disconnected')
  const startedAt = clock.now().getTime()
  let error: ErrorSummary | undefined
  try {
    const { name } = requireConnector(integration.connector)
    await answerInTime(
      outside,
      name,
      (signal) => openIntegration(open, outside, signal).account.check(),
    )
  } catch (thrown) {
    // our own failure, such as a database that is away, is not the account's illness
    if (!(thrown instanceof AppError)) throw thrown
    error = describeFailure(thrown, integration, 'check')
    log.info('check failed', { integration_id: integrationId, reason: error.code })
  }
  const latency_ms = clock.now().getTime() - startedAt
  await db.call('record_integration_check', {
    p_integration_id: integrationId,
    p_error: error ?? null,
    p_credentials_id: open.credentials_id,
  })
  return {
    status: error ? 'unhealthy' : 'healthy',
    latency_ms,
    checked_at: clock.now().toISOString(),
    ...(error ? { error } : {}),
  }
}
