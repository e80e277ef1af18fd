// Outbound webhooks on the wire: endpoints, deliveries and their attempts, and the calls that manage them.
import { z } from 'zod'
import { Condition } from './conditions.ts'
import { contract, Timestamp } from './contract.ts'

const count = z.int().nonnegative()

/** What went wrong, in words. */
const Reason = z.object({ code: z.string(), message: z.string() })

/** Exact (`order.created`), a beginning (`order.*`), or all (`*`). */
const EventPattern = z.string().max(100).regex(
  /^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.([a-z0-9_]+|\*))$/,
  'must be a type such as order.created, a beginning such as order.*, or *',
)

/** `v1`: HMAC-SHA256 with the secret. `v1a`: ed25519, which receivers verify with `public_key`. */
export const WebhookSignature = z.enum(['v1', 'v1a'])
export type WebhookSignature = z.infer<typeof WebhookSignature>

/** `paused` by a person. `disabled` by Plugboard, with a reason. Both hold what comes; nothing is dropped. */
export const WebhookEndpointStatus = z.enum(['active', 'paused', 'disabled'])
export type WebhookEndpointStatus = z.infer<typeof WebhookEndpointStatus>

/** Where an organization wants its events sent: a row of `app_webhooks`. */
export const WebhookEndpoint = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  url: z.string(),
  description: z.string().nullable(),
  event_types: z.array(z.string()),
  filter: Condition.nullable(), // about { type, subject, data }; null: all
  header_names: z.array(z.string()), // of the custom headers; their values never come back
  signatures: z.array(WebhookSignature),
  public_key: z.string().nullable(), // whpk_…, to verify v1a with
  hex_signature: z.boolean(),
  ordered_by_subject: z.boolean(),
  max_concurrency: count,
  rate_limit_per_second: z.number().nullable(),
  retry_pauses_s: z.array(count), // seconds after the first, second, … attempt
  api_version: z.string(),
  status: WebhookEndpointStatus,
  disabled_reason: Reason.nullable(),
  disabled_at: Timestamp.nullable(),
  failing_since: Timestamp.nullable(), // the first failure since the last success
  created_by: z.uuid().nullable(),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type WebhookEndpoint = z.infer<typeof WebhookEndpoint>

/** With its signing secret `whsec_…`, which is shown this once. */
export const WebhookEndpointWithSecret = z.object({ ...WebhookEndpoint.shape, secret: z.string() })
export type WebhookEndpointWithSecret = z.infer<typeof WebhookEndpointWithSecret>

/** `queued`: waits for its first or next attempt. `failed`: its attempts are used up; replay sends it again. */
export const WebhookDeliveryStatus = z.enum(['queued', 'succeeded', 'failed'])
export type WebhookDeliveryStatus = z.infer<typeof WebhookDeliveryStatus>

/** One event on its way to one endpoint: a row of `webhook_deliveries`, kept 30 days. */
export const WebhookDelivery = z.object({
  organization_id: z.uuid(),
  endpoint_id: z.uuid(),
  event_id: z.uuid(), // the webhook-id, the same in every attempt
  event_created_at: Timestamp,
  event_type: z.string(),
  status: WebhookDeliveryStatus,
  attempt_count: count,
  next_attempt_at: Timestamp.nullable(), // while queued
  last_response_status: z.int().nullable(),
  last_error: Reason.nullable(),
  finished_at: Timestamp.nullable(),
})
export type WebhookDelivery = z.infer<typeof WebhookDelivery>

/** One HTTP call of a delivery: a row of `webhook_attempts`, kept 30 days. */
export const WebhookAttempt = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  endpoint_id: z.uuid(),
  event_id: z.uuid(),
  attempt_number: count, // since the delivery was queued, or replayed
  outcome: z.enum(['succeeded', 'failed', 'unknown']).nullable(), // null: under way; unknown: its worker died
  response_status: z.int().nullable(),
  response_body: z.string().nullable(), // its first 16 KB
  error: Reason.nullable(),
  latency_ms: count.nullable(),
  created_at: Timestamp, // before the call
  finished_at: Timestamp.nullable(),
})
export type WebhookAttempt = z.infer<typeof WebhookAttempt>

const settings = {
  /** https; also http where private networks are allowed and it leads to this machine. */
  url: z.string().min(1).max(2_048),
  description: z.string().max(500),
  event_types: z.array(EventPattern).min(1).max(50), // left out: `*`
  filter: Condition,
  /** Sent with each webhook: `{ name: value }`. */
  headers: z.record(z.string(), z.string()),
  signatures: z.array(WebhookSignature).min(1).max(2) // left out: v1
    .refine((all) => new Set(all).size === all.length, 'must not name one twice'),
  hex_signature: z.boolean(), // true: X-Webhook-Signature too, over the body alone
  ordered_by_subject: z.boolean(), // true: one subject's events, of those emitted from then on, arrive one after the other
  max_concurrency: z.int().min(1).max(100), // calls under way at once; left out: 10
  rate_limit_per_second: z.number().min(0.01).max(10_000),
  retry_pauses_s: z.array(z.int().min(1).max(86_400)).max(20), // ±20 %; left out: up to 75 hours in all
  /** The shape of what is sent, which stays as it is for this endpoint; left out: the newest. */
  api_version: z.enum(['2026-11-28']),
}

/** Registers an endpoint. */
export const createWebhookEndpoint = contract({
  method: 'POST',
  path: '/webhooks/create',
  auth: 'user-or-secret',
  request: z.strictObject({
    organization_id: z.uuid(),
    url: settings.url,
    description: settings.description.optional(),
    event_types: settings.event_types.optional(),
    filter: settings.filter.optional(),
    headers: settings.headers.optional(),
    signatures: settings.signatures.optional(),
    hex_signature: settings.hex_signature.optional(),
    ordered_by_subject: settings.ordered_by_subject.optional(),
    max_concurrency: settings.max_concurrency.optional(),
    rate_limit_per_second: settings.rate_limit_per_second.optional(),
    retry_pauses_s: settings.retry_pauses_s.optional(),
    api_version: settings.api_version.optional(),
  }),
  response: WebhookEndpointWithSecret,
  errors: [
    'organization_not_found',
    'not_a_manager',
    'invalid_endpoint',
    'private_network_refused',
    'too_many_webhook_endpoints',
  ],
})

/** Changes what is given. Deliveries that wait are sent as the endpoint then is. */
export const updateWebhookEndpoint = contract({
  method: 'POST',
  path: '/webhooks/update',
  auth: 'user-or-secret',
  request: z.strictObject({
    endpoint_id: z.uuid(),
    url: settings.url.optional(),
    description: settings.description.nullable().optional(),
    event_types: settings.event_types.optional(),
    filter: settings.filter.nullable().optional(),
    headers: settings.headers.optional(), // in the place of all there are; {} for none; needed where url leads to another server
    signatures: settings.signatures.optional(),
    hex_signature: settings.hex_signature.optional(),
    ordered_by_subject: settings.ordered_by_subject.optional(),
    max_concurrency: settings.max_concurrency.optional(),
    rate_limit_per_second: settings.rate_limit_per_second.nullable().optional(),
    retry_pauses_s: settings.retry_pauses_s.optional(),
    api_version: settings.api_version.optional(),
    paused: z.boolean().optional(), // true also stops the tries of what Plugboard has disabled; false enables it
  }).refine(
    ({ endpoint_id: _, ...changes }) => Object.values(changes).some((value) => value !== undefined),
    { error: 'give at least one thing to change' },
  ),
  response: WebhookEndpoint,
  errors: [
    'webhook_endpoint_not_found',
    'not_a_manager',
    'invalid_endpoint',
    'private_network_refused',
  ],
})

/** Deletes an endpoint, its secrets and what still waits for it, and shows its log no more. */
export const deleteWebhookEndpoint = contract({
  method: 'POST',
  path: '/webhooks/delete',
  auth: 'user-or-secret',
  request: z.strictObject({ endpoint_id: z.uuid() }),
  response: z.object({ deleted: z.literal(true) }),
  errors: ['webhook_endpoint_not_found', 'not_a_manager'],
})

/**
 * Puts a new secret (and key pair, where there is one) in the place of the present one, which signs beside it for a while, as
 * do those before it until their own ends. `X-Webhook-Signature` holds one signature: the new secret's, at once.
 */
export const rotateWebhookSecret = contract({
  method: 'POST',
  path: '/webhooks/rotate-secret',
  auth: 'user-or-secret',
  request: z.strictObject({
    endpoint_id: z.uuid(),
    overlap_hours: z.int().min(0).max(168).optional(), // left out: 24; 0: all old ones end at once
  }),
  response: WebhookEndpointWithSecret,
  errors: ['webhook_endpoint_not_found', 'not_a_manager', 'too_many_webhook_secrets'],
})

/** Sends an event `webhook.test` to this endpoint alone. */
export const pingWebhookEndpoint = contract({
  method: 'POST',
  path: '/webhooks/ping',
  auth: 'user-or-secret',
  request: z.strictObject({ endpoint_id: z.uuid() }),
  response: WebhookDelivery,
  errors: ['webhook_endpoint_not_found', 'not_a_manager', 'webhook_endpoint_not_active'],
})

/** Sends deliveries again, with all their attempts before them. What waits for its next attempt becomes due at once. */
export const replayWebhookDeliveries = contract({
  method: 'POST',
  path: '/webhooks/replay',
  auth: 'user-or-secret',
  request: z.strictObject({
    endpoint_id: z.uuid(),
    event_ids: z.array(z.uuid()).min(1).max(1_000).optional(),
    /**
     * `failed`; `all`, also what succeeded; `missing`: events the endpoint wants now and has no delivery of, such as those
     * from before it was made. Left out: `all` of the named events, or else `failed`.
     */
    what: z.enum(['failed', 'all', 'missing']).optional(),
    since: Timestamp.optional(), // by the event's time, inclusive
    until: Timestamp.optional(), // exclusive
  }),
  response: z.object({ replayed: count }), // 10,000 at most in one call, the oldest first: as many mean that there may be more
  errors: ['webhook_endpoint_not_found', 'not_a_manager'],
})
