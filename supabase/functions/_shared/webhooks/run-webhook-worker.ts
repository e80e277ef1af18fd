// Works on webhooks while they come: takes what is due, and looks again for a while before it leaves.
import type { Outside } from '../platform/outside.ts'
import { claimWebhooks } from './claimed-webhooks.ts'
import { processWebhooks } from './process-webhooks.ts'
import { type Share, WorkerShare } from './worker-share.ts'

export type WebhookShare = Share & {
  /** Leaves after so long without anything to do. */
  idleMs: number
  /** Between two looks: while a worker is up, nobody rings. */
  napMs: number
}

export const WEBHOOK_SHARE: WebhookShare = {
  wallMs: 90_000,
  cpuMs: 1_500,
  idleMs: 5_000,
  napMs: 250,
}

/** @returns How many webhooks it worked on. */
export async function runWebhookWorker(outside: Outside, share = WEBHOOK_SHARE): Promise<number> {
  const { clock, db } = outside
  const now = () => clock.now().getTime()
  const spent = new WorkerShare(share, now)
  let idleSince = now()
  let count = 0
  for (;;) {
    const isLast = spent.isNearlySpent || now() - idleSince >= share.idleMs
    const claimed = await claimWebhooks(db, isLast ? 0 : share.idleMs)
    spent.spend({ calls: 1 })
    if (claimed.webhooks.length > 0) {
      await processWebhooks(outside, claimed, isLast)
      count += claimed.webhooks.length
      // to read and map one takes about as much as a call
      spent.spend({
        calls: 1 + claimed.webhooks.length,
        bytes: claimed.webhooks.reduce((sum, { body }) => sum + body.byteLength, 0),
      })
      idleSince = now()
    }
    if (isLast) return count
    if (claimed.webhooks.length === 0) await clock.sleep(share.napMs)
  }
}
