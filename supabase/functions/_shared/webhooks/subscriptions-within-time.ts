// One integration's subscriptions are worked on with its account opened, and not for longer than a lease lasts.
import { answerInTime } from '../integrations/answer-in-time.ts'
import {
  type OpenIntegration,
  openIntegration,
  requireConnector,
} from '../integrations/open-integration.ts'
import type { Outside } from '../platform/outside.ts'
import type { ClaimedSubscriptions } from './claimed-subscriptions.ts'
import { receiverAddress } from './receiver-address.ts'
import type { ReconcileParts } from './reconcile-subscriptions.ts'
import { subscriptionCalls } from './subscription-calls.ts'

/** @throws what `work` throws, and AppError `provider_timeout` */
export function withinTime<Result>(
  outside: Outside,
  claimed: ClaimedSubscriptions,
  open: OpenIntegration,
  withinMs: number,
  work: (parts: ReconcileParts) => Promise<Result>,
): Promise<Result> {
  const { name, webhooks } = requireConnector(open.integration.connector)
  const declared = webhooks?.subscriptions
  if (!declared) throw new TypeError(`${name} is not subscribed to`)
  return answerInTime({ answerWithinMs: withinMs }, name, async (signal) => {
    const { account } = openIntegration(open, outside, signal)
    const address = receiverAddress(outside.environment, claimed.integration_id)
    const calls = subscriptionCalls(declared, account, address)
    return await work({ outside, claimed, declared, address, calls })
  })
}
