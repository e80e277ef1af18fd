// How does a delivery worker ask Postgres for work, and say what became of it?
import { randomUUID } from 'node:crypto'
import type {
  CallOutcome,
  ClaimedBatch,
  DeliveryOutcome,
} from '../../supabase/functions/_shared/webhooks/claimed-deliveries.ts'
import type { TestDatabase } from './database.ts'

/** Takes due deliveries, under a lease of its own unless one is named. */
export async function claim(
  { call }: TestDatabase,
  options: { limit?: number; lease?: string; leaseSeconds?: number } = {},
): Promise<ClaimedBatch & { lease: string }> {
  const lease = options.lease ?? randomUUID()
  const claimed = await call<ClaimedBatch>('service_role', 'claim_webhook_deliveries', {
    p_lease_token: lease,
    p_limit: options.limit ?? 100,
    ...(options.leaseSeconds === undefined ? {} : { p_lease_seconds: options.leaseSeconds }),
  })
  return { ...claimed, lease }
}

/** Says what became of claimed deliveries; answers how many counted. */
export function finish(
  { call }: TestDatabase,
  lease: string,
  outcomes: DeliveryOutcome[],
): Promise<number> {
  return call('service_role', 'finish_webhook_deliveries', {
    p_lease_token: lease,
    p_outcomes: outcomes,
  })
}

/** Claims what is due and says the same of all of it. Answers how many there were. */
export async function settleAll(
  database: TestDatabase,
  outcome: CallOutcome,
): Promise<number> {
  const { lease, deliveries } = await claim(database)
  return await finish(
    database,
    lease,
    deliveries.map(({ position, attempt_id }) => ({ position, attempt_id, ...outcome })),
  )
}

export const succeeded = { outcome: 'succeeded', status: 200, latency_ms: 12, body: 'ok' } as const
export const failed = {
  outcome: 'failed',
  status: 500,
  latency_ms: 12,
  body: 'no',
  code: 'endpoint_answered',
  message: 'The endpoint answered 500.',
} as const

/** Forgets what waits for any endpoint, so that a claim finds a test's own deliveries only. */
export async function clearQueue({ owner }: TestDatabase): Promise<void> {
  await owner`delete from private.webhook_queue`
}
