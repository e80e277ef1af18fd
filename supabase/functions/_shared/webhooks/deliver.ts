// Delivers webhooks: claims what is due, calls the endpoints and writes what they said, all three at the same time.
import { Buffer } from 'node:buffer'
import type { PinnedCaller } from '../http/pinned-call.ts'
import type { Outside } from '../platform/outside.ts'
import { type Callable, CallSlots, type SlotBounds } from './call-slots.ts'
import {
  type CallOutcome,
  claimDeliveries,
  type ClaimedBatch,
  type ClaimedDelivery,
  ringDeliveryWorker,
  ringForDueDeliveries,
} from './claimed-deliveries.ts'
import { KnownEndpoints } from './known-endpoints.ts'
import { OutcomeWriter } from './outcome-writer.ts'
import { sendDelivery } from './send-delivery.ts'
import { Signal } from './signal.ts'
import { type Share, WorkerShare } from './worker-share.ts'

export type DeliveryOptions = {
  share: Share
  slots: SlotBounds
  /** For one call. */
  timeoutMs: number
  /** What has not begun so long after its claim is given back: a lease (60 s) outlives the wait, the call and the word of it. */
  beginWithinMs: number
  /** How long a worker looks for more after the last delivery. */
  lingerMs: number
}

export const DELIVERY_OPTIONS: DeliveryOptions = {
  share: { wallMs: 100_000, cpuMs: 1_500 },
  slots: {
    atOnce: 80,
    reserve: 16,
    slowAfterMs: 1_000,
    slowAtOnce: 240,
    ahead: 80,
    waiting: 1_000,
    waitingBytes: 24 * 1024 * 1024,
  },
  timeoutMs: 20_000,
  beginWithinMs: 20_000,
  lingerMs: 10_000,
}

const BATCH_SIZE = 100
/** Fewer are not worth a claim while others are under way. */
const LEAST_ROOM = 16

/** Between two looks at the queue: the first after work, and the longest. */
const NAP_MS = { first: 15, longest: 250, growth: 1.15 }
/** A commit that found this worker awake is seen by its last look, unless it took longer than that. */
const LAST_LOOK_MS = 1_000

const WORKERS_AT_ONCE = 4
const RING_PAUSE_MS = 2_000

/**
 * Works until its share is spent, or until nothing has been due for a while. What is left is in the queue, and the
 * next worker, which it rings for, begins before this one ends.
 *
 * @returns How many calls it made.
 */
export async function runDeliveryWorker(
  outside: Outside,
  call: PinnedCaller['call'],
  options: DeliveryOptions = DELIVERY_OPTIONS,
): Promise<number> {
  const { db, clock, log } = outside
  const now = () => clock.now().getTime()
  const leaseToken = crypto.randomUUID()
  const share = new WorkerShare(options.share, now)
  const freed = new Signal()
  const written = new Signal()
  const endpoints = new KnownEndpoints(db, clock)
  /** Of each position the latest claim: an older one that comes back late has no say. */
  const held = new Map<number, ClaimedDelivery>()
  const writer = new OutcomeWriter(db, clock, leaseToken, () => {
    share.spend({ calls: 1 })
    written.give()
  })
  const slots = new CallSlots(options.slots, () => freed.give())
  let callCount = 0
  let workedAt = now()
  let rungAt = -Infinity
  let hasRungForSuccessor = false

  function finish(delivery: ClaimedDelivery, outcome: CallOutcome): void {
    const { position, attempt_id } = delivery
    if (held.get(position) !== delivery) return
    held.delete(position)
    writer.add({ position, attempt_id, ...outcome })
  }

  function callable(
    delivery: ClaimedDelivery,
    body: Uint8Array | undefined,
    beginUntil: number,
  ) {
    const { endpoint_id: endpointId, event_id } = delivery
    const endpoint = endpoints.get(endpointId)
    if (!endpoint) return [] // deleted meanwhile: what waits for it goes too
    held.set(delivery.position, delivery)
    if (!body) {
      finish(delivery, {
        outcome: 'expired',
        code: 'event_expired',
        message: 'The event was past its retention before this could be delivered.',
      })
      return []
    }
    const call: Callable & { delivery: ClaimedDelivery } = {
      delivery,
      endpointId,
      atOnce: endpoint.max_concurrency,
      byteSize: body.byteLength,
      beginUntil,
      async call() {
        if (now() >= beginUntil) return finish(delivery, { outcome: 'released' })
        callCount++
        const outcome = await attempt({ id: event_id, body }, endpoint)
        workedAt = now()
        finish(delivery, outcome)
        const wantsRest = outcome.outcome === 'gone' || (outcome.retry_after_s ?? 0) > 0
        if (wantsRest) giveBack(slots.takeBack({ endpointId }))
      },
    }
    return [call]
  }

  async function attempt(
    event: { id: string; body: Uint8Array },
    endpoint: Parameters<typeof sendDelivery>[1],
  ): Promise<CallOutcome> {
    try {
      return await sendDelivery(event, endpoint, { call, clock, timeoutMs: options.timeoutMs })
    } catch (error) {
      log.error('a webhook could not be sent', { endpoint_id: endpoint.id, error })
      return {
        outcome: 'failed',
        code: 'internal_error',
        message: 'Something went wrong on our side.',
      }
    }
  }

  function giveBack(callables: Callable[]): void {
    for (const { delivery } of callables as (Callable & { delivery: ClaimedDelivery })[]) {
      finish(delivery, { outcome: 'released' })
    }
  }

  async function take(limit: number, awakeMs: number | null): Promise<ClaimedBatch> {
    const beginUntil = now() + options.beginWithinMs // counted from before the lease begins
    const claimed = await claimDeliveries(db, leaseToken, limit, awakeMs)
    const { deliveries, bodies } = claimed
    share.spend({ calls: 1, deliveries: deliveries.length })
    if (deliveries.length === 0) return claimed
    workedAt = now()
    try {
      await endpoints.learn(deliveries)
    } catch (error) {
      for (const delivery of deliveries) {
        held.set(delivery.position, delivery)
        finish(delivery, { outcome: 'released' }) // no call was made, so no attempt is counted
      }
      throw error
    }
    const bytes = new Map(
      Object.entries(bodies).map(([id, text]) => [id, Buffer.from(text)] as const),
    )
    for (const body of bytes.values()) share.spend({ bytes: body.byteLength })
    slots.add(
      deliveries.flatMap((delivery) =>
        callable(delivery, bytes.get(delivery.event_id), beginUntil)
      ),
    )
    return claimed
  }

  /** Claims, naps and waits until the share is spent or nothing is left to do. */
  async function work(): Promise<void> {
    let napMs = NAP_MS.first
    let mayBeMore = false // as soon as something is finished
    while (!share.isSpent && writer.failure === undefined) {
      giveBack(slots.takeBack({ now: now() }))
      if (share.isNearlySpent) await ringForSuccessor()
      if (writer.isStuck) {
        await written.wait(NAP_MS.longest)
        continue
      }
      const room = slots.room()
      if (room < Math.min(LEAST_ROOM, options.slots.atOnce)) {
        if (mayBeMore) await ringForMore()
        await freed.wait(NAP_MS.longest)
        continue
      }
      const isOver = slots.underWay === 0 && now() - workedAt >= options.lingerMs &&
        !await isNearlyDue()
      const { deliveries, more, limited } = isOver
        ? await lastLook()
        : await take(Math.min(BATCH_SIZE, room), hasRungForSuccessor ? null : options.lingerMs)
      if (deliveries.length > 0) napMs = NAP_MS.first
      else if (isOver && !await isNearlyDue()) return
      if (more) {
        mayBeMore = true
        continue
      }
      if (deliveries.length > 0) mayBeMore = limited
      else if (slots.underWay === 0) mayBeMore = false
      if (mayBeMore) await written.wait(napMs)
      else await clock.sleep(napMs)
      napMs = Math.min(NAP_MS.longest, napMs * NAP_MS.growth)
    }
    if (share.isSpent) await handOver()
  }

  /**
   * A call that ends now may leave a retry, or a place at an endpoint that was full, when the successor, who had nothing
   * else to do, is gone again: then another is rung for.
   */
  async function handOver(): Promise<void> {
    await ringForSuccessor()
    giveBack(slots.takeBack({ now: Infinity }))
    while (slots.underWay > 0) {
      await freed.wait(NAP_MS.longest)
      if (now() - rungAt < RING_PAUSE_MS) continue
      rungAt = now()
      await ringForDueDeliveries(db, options.lingerMs)
    }
    await writer.settled()
    await ringForDueDeliveries(db, options.lingerMs)
  }

  /** Says that it leaves, so that commits ring again, and looks once more for those that did not. */
  async function lastLook(): Promise<ClaimedBatch> {
    const claimed = await take(BATCH_SIZE, 0)
    if (claimed.deliveries.length > 0) return claimed
    await clock.sleep(LAST_LOOK_MS)
    return await take(BATCH_SIZE, 0)
  }

  /**
   * A retry that is due soon is worth waiting for; the schedule sees to those that are not. Asked once more by one that
   * has said that it leaves: whoever wrote a retry before that has rung nobody.
   */
  async function isNearlyDue(): Promise<boolean> {
    const nextAt = await db.call<string | null>('next_webhook_delivery_at', {})
    share.spend({ calls: 1 })
    return nextAt !== null && Date.parse(nextAt) - now() < options.lingerMs
  }

  /** One that has had nothing to do for a while only says that it leaves, so that commits ring again. */
  async function ringForSuccessor(): Promise<void> {
    if (hasRungForSuccessor) return
    hasRungForSuccessor = true
    if (slots.underWay === 0 && now() - workedAt >= options.lingerMs) {
      await claimDeliveries(db, leaseToken, 0, 0)
      return
    }
    await ringDeliveryWorker(db, WORKERS_AT_ONCE + 1, true)
  }

  /** Rings for one more beside this one. */
  async function ringForMore(): Promise<void> {
    if (hasRungForSuccessor || now() - rungAt < RING_PAUSE_MS) return
    rungAt = now()
    await ringDeliveryWorker(db, WORKERS_AT_ONCE, false)
  }

  try {
    await work()
  } finally {
    giveBack(slots.takeBack({ now: Infinity }))
    while (slots.underWay > 0) await freed.wait(NAP_MS.longest)
    await writer.settled()
  }
  if (writer.failure !== undefined) throw writer.failure
  return callCount
}
