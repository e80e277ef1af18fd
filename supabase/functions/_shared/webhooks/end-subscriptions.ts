// Ends what is subscribed for an account: when it is disconnected, and afterwards where the platform did not answer then.
import { describeFailure } from '../integrations/describe-failure.ts'
import type { OpenIntegration } from '../integrations/open-integration.ts'
import { revokeGrant } from '../integrations/revoke-grant.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { type ClaimedSubscriptions, subscriptionLease } from './claimed-subscriptions.ts'
import { endSubscriptionsOf, isOvertaken } from './reconcile-subscriptions.ts'
import { withinTime } from './subscriptions-within-time.ts'

/** How long whoever disconnects waits for a worker that is at it, and then for the platform. */
const WAITS_MS = 15_000
const WITHIN_MS = 20_000

/**
 * Before an account is forgotten.
 *
 * @returns `ended`: the platform sends no more; `unanswered`: another try may end it; `refused`: none will; null where
 *   nothing was ever subscribed.
 */
export async function endSubscriptions(
  outside: Outside,
  open: OpenIntegration,
): Promise<'ended' | 'unanswered' | 'refused' | null> {
  const { id } = open.integration
  let claimed: ClaimedSubscriptions | null = null
  try {
    claimed = await claimOf(outside, id)
    if (claimed === null) return null
    await withinTime(outside, claimed, open, WITHIN_MS, endSubscriptionsOf)
    return 'ended'
  } catch (error) {
    outside.log.warn('webhooks could not be unsubscribed', { integration_id: id, error })
    if (isForGood(error)) return 'refused'
    if (claimed !== null) await giveBack(outside, claimed, open, error)
    return 'unanswered'
  }
}

/** So that nobody waits for the lease's end to try again. */
async function giveBack(
  outside: Outside,
  claimed: ClaimedSubscriptions,
  { integration }: OpenIntegration,
  error: unknown,
): Promise<void> {
  const told = describeFailure(error, integration, 'sync')
  const failures = claimed.subscriptions.map(({ name }) => ({ name, error: told }))
  try {
    await subscriptionLease(outside.db, claimed).finish(failures)
  } catch (error) {
    // it ends by itself
    outside.log.warn('a lease was not given back', { integration_id: integration.id, error })
  }
}

/**
 * For an account that is disconnected and whose credentials are kept. They are deleted, and its grant revoked before, once
 * the platform sends no more, refuses, or has been asked for the last time.
 *
 * @throws what the calls throw, where another try may end it
 */
export async function endKeptSubscriptions(
  outside: Outside,
  claimed: ClaimedSubscriptions,
  open: OpenIntegration,
): Promise<void> {
  const lease = subscriptionLease(outside.db, claimed)
  let unsubscribed = true
  try {
    // nothing left: a try before this one removed it
    if (claimed.subscriptions.length > 0) {
      await withinTime(outside, claimed, open, WITHIN_MS, endSubscriptionsOf)
    }
  } catch (error) {
    const isTriedAgain = !isForGood(error) && !claimed.is_last_try
    if (isTriedAgain || isOvertaken(error)) throw error
    outside.log.warn('webhooks stay subscribed', { integration_id: claimed.integration_id, error })
    unsubscribed = false
  }
  // before the grant goes, without which a next try could not see that all is removed
  if (unsubscribed) {
    for (const { name } of claimed.subscriptions) await lease.forget(name)
  }
  const revoked = await revokeGrant(outside, open)
  await lease.end(unsubscribed, revoked)
}

/** It refuses our credentials, and nobody gives us others. A 403 or 404 may come from a gateway of one that recovers. */
const isForGood = (error: unknown) =>
  isCode(error, 'provider_unauthorized', 'invalid_credentials', 'reconnect_required')

async function claimOf(
  { db, clock }: Outside,
  integrationId: string,
): Promise<ClaimedSubscriptions | null> {
  const deadline = clock.now().getTime() + WAITS_MS
  for (;;) {
    const claimed = await db.call<ClaimedSubscriptions | { is_held: true } | null>(
      'claim_webhook_subscriptions_of',
      { p_integration_id: integrationId },
    )
    if (claimed === null || !('is_held' in claimed)) return claimed
    if (clock.now().getTime() > deadline) throw new AppError('lease_lost')
    await clock.sleep(250)
  }
}
