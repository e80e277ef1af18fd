// What a worker asks the queue of deliveries: what is due, where it goes, and what became of it.
import type { Database } from '../platform/database.ts'

/** One event for one endpoint, under the worker's lease. */
export type ClaimedDelivery = {
  /** Its place in the queue. */
  position: number
  /** Of this claim: what is said of an older one does not count. */
  attempt_id: string
  endpoint_id: string
  /** Of the endpoint's settings: a higher one than is known means that they were changed. */
  endpoint_version: number
  event_id: string
}

export type ClaimedBatch = {
  deliveries: ClaimedDelivery[]
  /** The body of each event, as it is signed and sent; none of one that is past its retention. */
  bodies: Record<string, string>
  /** As many as were asked for: there may be more. */
  more: boolean
  /** An endpoint got all that it may have at once: there may be more when some of it is finished. */
  limited: boolean
}

/** An endpoint as `open_webhook_endpoints` tells it, with its secrets. */
export type EndpointSettings = {
  id: string
  version: number
  url: string
  api_version: string
  headers: Record<string, string>
  signatures: ('v1' | 'v1a')[]
  /** `whsec_…`, the newest first. */
  signing_secrets: string[]
  /** `whsk_…`, the newest first. */
  signing_keys: string[]
  hex_signature: boolean
  max_concurrency: number
  /** When one of the secrets stops being sent with. */
  expires_at: string | null
}

/** For one try of a call of the database: one that hangs must not outlast the leases that it is about. */
export const DATABASE_TIMEOUT_MS = 10_000

/** Which attempt it is about, and what became of it. */
export type DeliveryOutcome = Pick<ClaimedDelivery, 'position' | 'attempt_id'> & CallOutcome

export type CallOutcome = {
  /** `gone`: 410. `released`: not sent, due again at once. `expired`: not sent, its event is past its retention. */
  outcome: 'succeeded' | 'failed' | 'gone' | 'released' | 'expired'
  status?: number
  latency_ms?: number
  /** The beginning of the answer. */
  body?: string
  /** Why it failed: a stable code, and words for people. */
  code?: string
  message?: string
  retry_after_s?: number
}

/**
 * Takes due deliveries for 60 s. An endpoint gives up to twice its concurrency to the one worker it has, which keeps
 * to the concurrency itself: the next call begins when one ends, not when Postgres has heard of it.
 *
 * @param leaseToken One a worker.
 * @param awakeMs How long this worker will look for work by itself, so that nobody need ring; 0: it leaves;
 *   null: it has rung for its successor.
 */
export function claimDeliveries(
  db: Database,
  leaseToken: string,
  limit: number,
  awakeMs: number | null,
): Promise<ClaimedBatch> {
  return db.call('claim_webhook_deliveries', {
    p_lease_token: leaseToken,
    p_limit: limit,
    p_awake_ms: awakeMs,
    p_ahead: true,
  })
}

/** Says what became of deliveries. What was claimed again since is left alone. */
export function finishDeliveries(
  db: Database,
  leaseToken: string,
  outcomes: DeliveryOutcome[],
): Promise<number> {
  return db.call('finish_webhook_deliveries', { p_lease_token: leaseToken, p_outcomes: outcomes })
}

export function openEndpoints(db: Database, ids: string[]): Promise<EndpointSettings[]> {
  return db.call('open_webhook_endpoints', { p_endpoint_ids: ids })
}

/**
 * Rings for one more worker, unless `atMost` have deliveries already, or it would find nothing that it could send now:
 * a successor comes all the same, for what the calling one is about to leave.
 */
export function ringDeliveryWorker(
  db: Database,
  atMost: number,
  asSuccessor: boolean,
): Promise<void> {
  return db.call('ring_delivery_worker', { p_at_most: atMost, p_as_successor: asSuccessor })
}

/** Rings for a worker where nobody is awake and a delivery that may be sent is due, or will be so soon. */
export function ringForDueDeliveries(db: Database, withinMs: number): Promise<void> {
  return db.call('ring_for_due_deliveries', { p_within_ms: withinMs })
}
