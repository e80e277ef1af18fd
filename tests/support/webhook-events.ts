// Webhooks that come in and are worked on, as the door and the worker do it by SQL.
import { randomUUID } from 'node:crypto'
import type { Proof, WebhookScheme } from '../../supabase/functions/_shared/webhooks/scheme.ts'
import type { TestAppInstance } from './app-instances.ts'
import type { TestDatabase } from './database.ts'
import { sampleStore } from './integrations.ts'

export type Received = { accepted: boolean; duplicate: boolean }

export type ClaimAnswer = {
  events: {
    id: string
    integration_id: string | null
    app_instance_id: string | null
    type: string
    body: string
    headers: Record<string, string>
    attempt_count: number
  }[]
  integrations: { id: string; streams: string[]; state: unknown }[]
}

type Webhook = {
  /** One of the two: whose door it came to, or whose accounts it names. */
  integrationId?: string
  accounts?: string[]
  version?: string | null
  connector?: string
  scheme?: WebhookScheme
  key?: string
  type?: string
  body?: string
}

const proofOf = ({ scheme = 'standard-webhooks' }: Webhook): Proof => ({
  scheme,
  verified_at: new Date().toISOString(),
})

/** As the door stores a webhook that it has verified. */
export function receiveWebhook(
  database: Pick<TestDatabase, 'call'>,
  webhook: Webhook,
): Promise<Received> {
  return database.call<Received>('service_role', 'receive_webhook', {
    p_connector: webhook.connector ?? sampleStore,
    p_type: webhook.type ?? 'product.updated',
    p_dedupe_key: webhook.key ?? randomUUID(),
    p_headers: { 'content-type': 'application/json' },
    p_proof: proofOf(webhook),
    p_body: Buffer.from(webhook.body ?? '{}').toString('base64'),
    p_integration_id: webhook.integrationId ?? null,
    p_receiver_version: webhook.version ?? null,
    p_accounts: webhook.accounts ?? null,
  })
}

/** As the door stores what a business app sent. */
export function receiveAppEvent(
  database: Pick<TestDatabase, 'call'>,
  { id, version }: Pick<TestAppInstance, 'id' | 'version'>,
  given: Record<string, unknown> = {},
): Promise<Received> {
  return database.call<Received>('service_role', 'receive_app_event', {
    p_app_instance_id: id,
    p_version: version,
    p_type: 'booking.created',
    p_dedupe_key: randomUUID(),
    p_headers: { 'content-type': 'application/json' },
    p_proof: proofOf({ scheme: 'x-webhook-signature' }),
    p_body: Buffer.from('{"a": 1}\r\n').toString('base64'),
    ...given,
  })
}

/** As the door stores several at once. Answers which of them were accepted. */
export async function receiveWebhooks(
  database: Pick<TestDatabase, 'call'>,
  webhooks: Webhook[],
): Promise<boolean[]> {
  const accepted = await database.call<number[]>('service_role', 'receive_webhooks', {
    p_webhooks: webhooks.map((webhook, number) => ({
      number,
      connector: webhook.connector ?? sampleStore,
      type: webhook.type ?? 'product.updated',
      dedupe_key: webhook.key ?? randomUUID(),
      headers: { 'content-type': 'application/json' },
      proof: proofOf(webhook),
      body: Buffer.from(webhook.body ?? '{}').toString('base64'),
      integration_id: webhook.integrationId,
      receiver_version: webhook.version ?? null,
    })),
  })
  return webhooks.map((_, number) => accepted.includes(number))
}

export function claimWebhooks(
  database: Pick<TestDatabase, 'call'>,
  leaseToken: string = randomUUID(),
  limit = 100,
): Promise<ClaimAnswer> {
  return database.call<ClaimAnswer>('service_role', 'claim_webhook_events', {
    p_lease_token: leaseToken,
    p_limit: limit,
  })
}

export function finishWebhooks(
  database: Pick<TestDatabase, 'call'>,
  leaseToken: string,
  outcomes: Record<string, unknown>[],
): Promise<void> {
  return database.call<void>('service_role', 'finish_webhook_events', {
    p_lease_token: leaseToken,
    p_outcomes: outcomes,
  })
}

/** Nothing of other tests is in the queue. */
export async function emptyWebhookQueue({ owner }: Pick<TestDatabase, 'owner'>): Promise<void> {
  await owner`update private.webhook_event_keys set run_at = null, lease_token = null`
}

/** As if leases and pauses had passed. */
export async function passWebhookWaits({ owner }: Pick<TestDatabase, 'owner'>): Promise<void> {
  await owner`
    update private.webhook_event_keys set run_at = now() - interval '1 second'
    where run_at < 'infinity'`
}
