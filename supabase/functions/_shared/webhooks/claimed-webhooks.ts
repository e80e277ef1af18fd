// What a worker gets when it takes webhooks, and what it says became of them.
import { Buffer } from 'node:buffer'
import type { ErrorSummary } from '../contracts/contract.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import type { DrainState } from '../connectors/vocabulary/webhooks.ts'
import type { Database } from '../platform/database.ts'
import type { Batch } from '../sync/write-batch.ts'
import type { ReceivedWebhook } from './read-webhook.ts'

/** One webhook under our lease. */
export type ClaimedWebhook = ReceivedWebhook & {
  id: string
  /** Null: it is a business app's, or came for our app and is about several accounts. */
  integration_id: string | null
  /** Null: a platform's. */
  app_instance_id: string | null
  /** Null: a business app's. */
  connector: string | null
  type: string
  /** `integrations.external_account_id`; null where the integration or the app is known. */
  accounts: string[] | null
}

/** An integration that webhooks concern. */
export type ConcernedIntegration = {
  id: string
  organization_id: string
  connector: string
  external_account_id: string
  settings: Record<string, unknown>
  account: AccountFacts
  /** Where the last drain ended. */
  state: DrainState | null
  /** Those that are synced by themselves. */
  streams: string[]
}

/** Records of one stream of one integration. */
export type Write = Pick<Batch, 'deletions' | 'refused'> & {
  integration_id: string
  stream: string
  records: Batch['rows']
}

/** As `public.finish_webhook_events` takes it; the lists may be empty. */
export type Outcome = {
  id: string
  status?: 'processed' | 'ignored'
  /** There is more to be had: this webhook is due again at once. */
  again?: true
  /** What it comes to for one of several accounts: it stays under the lease. */
  is_part?: true
  error?: ErrorSummary
  /** Trying again cannot help. */
  is_final?: boolean
  retry_after_ms?: number
  writes?: Write[]
  /** To be read from the platform. */
  syncs?: { integration_id: string; stream: string }[]
  /** Integrations to check at once. */
  checks?: string[]
  /** Events `webhook.received`. */
  emitted?: { organization_id: string; subject: string; data: Record<string, unknown> }[]
  /** As a business app sent it. */
  app_event?: { type: unknown; data: unknown; subject: unknown }
  state?: { integration_id: string; before: DrainState | null; after: DrainState }
}

export type ClaimedWebhooks = {
  lease_token: string
  webhooks: ClaimedWebhook[]
  integrations: ConcernedIntegration[]
}

type Answer = {
  events: (Omit<ClaimedWebhook, 'headers' | 'body' | 'received_at'> & {
    headers: Record<string, string>
    body: string
    received_at: string
  })[]
  integrations: ConcernedIntegration[]
}

/** @param awakeMs How long the worker will look by itself; 0 when it is about to leave. */
export async function claimWebhooks(db: Database, awakeMs: number): Promise<ClaimedWebhooks> {
  // ours from the start: should the answer be lost, the same claim is answered again
  const lease_token = crypto.randomUUID()
  const { events, integrations } = await db.call<Answer>('claim_webhook_events', {
    p_lease_token: lease_token,
    p_awake_ms: awakeMs,
  })
  const webhooks = events.map(({ headers, body, received_at, ...event }) => ({
    ...event,
    headers: new Headers(headers),
    body: new Uint8Array(Buffer.from(body.replaceAll('\n', ''), 'base64')),
    received_at: new Date(received_at),
  }))
  return { lease_token, webhooks, integrations }
}

export async function finishWebhooks(
  db: Database,
  leaseToken: string,
  outcomes: Outcome[],
  handOver: boolean,
): Promise<void> {
  await db.call('finish_webhook_events', {
    p_lease_token: leaseToken,
    p_outcomes: outcomes,
    p_hand_over: handOver,
  })
}
