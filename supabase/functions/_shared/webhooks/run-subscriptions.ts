// Keeps webhooks subscribed at the platforms: of the integrations that are due.
import type { Integration } from '../contracts/integrations.ts'
import { describeFailure } from '../integrations/describe-failure.ts'
import {
  type OpenIntegration,
  readIntegration,
  requireConnector,
} from '../integrations/open-integration.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { workThroughDue } from '../platform/work-through-due.ts'
import { askedPause } from './asked-pause.ts'
import { type ClaimedSubscriptions, subscriptionLease } from './claimed-subscriptions.ts'
import { endKeptSubscriptions } from './end-subscriptions.ts'
import { areWebhooksWanted } from './receiver-address.ts'
import { isOvertaken, reconcileSubscriptions } from './reconcile-subscriptions.ts'
import { withinTime } from './subscriptions-within-time.ts'

const AT_ONCE = 8

/** One worker's share, well below the platform's 150 s. */
const WORK_FOR_MS = 60_000

/** For one integration; its lease of 180 s outlives it with its last call. */
const WITHIN_MS = 60_000

const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400

/** @returns Of how many integrations. */
export async function runDueSubscriptions(outside: Outside): Promise<number> {
  const { db, clock } = outside
  return await workThroughDue(
    clock,
    WORK_FOR_MS,
    () => db.call<ClaimedSubscriptions[]>('claim_webhook_subscriptions', { p_limit: AT_ONCE }),
    (claimed) => runOne(outside, claimed),
  )
}

/** Never fails: one that cannot be worked on must not keep the others from it. */
async function runOne(outside: Outside, claimed: ClaimedSubscriptions): Promise<void> {
  try {
    await reconcileClaimed(outside, claimed)
  } catch (error) {
    const { integration_id } = claimed
    if (isOvertaken(error)) outside.log.info('subscriptions were taken over', { integration_id })
    // its lease ends, and it is tried again
    else outside.log.error('subscriptions ended in an internal error', { integration_id, error })
  }
}

async function reconcileClaimed(outside: Outside, claimed: ClaimedSubscriptions): Promise<void> {
  const open = await readIntegration(outside.db, claimed.integration_id, { toUnsubscribe: true })
  const { integration } = open
  const lease = subscriptionLease(outside.db, claimed)
  const wanted = wantedOf(open, claimed)
  try {
    if (integration.status === 'disconnected') {
      return await endKeptSubscriptions(outside, claimed, open)
    }
    const isWanted = wanted.length > 0 && await areWebhooksWanted(outside, integration.webhooks)
    if (!isWanted && claimed.subscriptions.length === 0) {
      return await lease.finish([], { seconds: DAY_SECONDS })
    }
    const { failures, renewAt } = await withinTime(
      outside,
      claimed,
      open,
      WITHIN_MS,
      (parts) => reconcileSubscriptions(isWanted ? wanted : [], parts),
    )
    await lease.finish(
      failures.map(({ name, error }) => ({ name, error: toldOf(error, integration) })),
      { ...askedPause(failures.map(({ error }) => error)), seconds: nextIn(outside, renewAt) },
    )
  } catch (error) {
    if (isOvertaken(error)) throw error
    const names = wanted.length > 0 ? wanted : claimed.subscriptions
    const told = toldOf(error, integration)
    await lease.finish(names.map(({ name }) => ({ name, error: told })), askedPause([error]))
    if (!(error instanceof AppError)) throw error
  }
}

/** What an account with these settings should have subscribed, were it to be subscribed. */
function wantedOf({ integration }: OpenIntegration, { has_secret }: ClaimedSubscriptions) {
  const { webhooks, settings } = requireConnector(integration.connector)
  const read = settings.safeParse(integration.settings)
  if (!webhooks?.subscriptions || !read.success) return []
  return webhooks.subscriptions.wanted({
    settings: read.data,
    account: integration.account,
    hasSecret: has_secret,
  })
}

const toldOf = (error: unknown, integration: Integration) =>
  describeFailure(error, integration, 'sync')

/** Each hour, since a platform tells nobody what it drops; sooner where one has to be renewed. */
function nextIn({ clock }: Outside, renewAt: string | null): number {
  if (renewAt === null) return HOUR_SECONDS
  const seconds = (Date.parse(renewAt) - clock.now().getTime()) / 1000
  return Math.min(HOUR_SECONDS, Math.max(60, seconds))
}
