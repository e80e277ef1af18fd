// Webhooks that outside platforms and business apps send, on the wire: what came, how a door is set up, and the replay after a fix.
import { z } from 'zod'
import { contract, ErrorSummary, Timestamp } from './contract.ts'

/**
 * `received`: it waits for its turn, or its next try. `ignored`: nobody was left whom it concerns. `failed`: tried often
 * enough, or hopeless; `error` says why.
 */
export const WebhookEventStatus = z.enum(['received', 'processed', 'ignored', 'failed'])
export type WebhookEventStatus = z.infer<typeof WebhookEventStatus>

/** One webhook that came: a row of `webhook_events`, without its body. */
export const WebhookEvent = z.object({
  id: z.uuid(),
  // null where it came for our app and is about several accounts: only the secret key reads those
  organization_id: z.uuid().nullable(),
  integration_id: z.uuid().nullable(), // null also where a business app sent it
  app_instance_id: z.uuid().nullable(), // of the business app that sent it
  connector: z.string().nullable(), // connectors.slug; null where a business app sent it
  type: z.string(), // the sender's own word for what happened
  status: WebhookEventStatus,
  error: ErrorSummary.nullable(), // why it failed, or what the next try waits for
  received_at: Timestamp,
  processed_at: Timestamp.nullable(), // null while it waits
})
export type WebhookEvent = z.infer<typeof WebhookEvent>

/** As the Data API writes `bytea`: `\x` and two hex digits a byte. */
const HexBytes = z.string().regex(/^\\x([0-9a-f]{2})*$/).transform((text) =>
  Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16))
)

/** The same with the bytes as they were sent. */
export const WebhookEventWithBody = z.object({ ...WebhookEvent.shape, body: HexBytes })
export type WebhookEventWithBody = z.infer<typeof WebhookEventWithBody>

/** Where a platform's webhooks come in, and what is known to check them with. */
export const WebhookReceiver = z.object({
  connector: z.string(), // connectors.slug
  doors: z.array(z.object({
    at: z.enum(['app', 'integration']), // app: one address for our app, whatever the account
    address: z.url(), // what to enter at the platform; of a path token without its last part
    setup: z.string(), // Markdown: what to do at the platform
  })),
  secrets: z.array(z.object({ created_at: Timestamp, expires_at: Timestamp.nullable() })), // newest first
  path_token_created_at: Timestamp.nullable(),
})
export type WebhookReceiver = z.infer<typeof WebhookReceiver>

/** Shows where an integration's webhooks come in, and which secrets are set; never the secrets. */
export const describeWebhookReceiver = contract({
  method: 'POST',
  path: '/integrations/webhook',
  auth: 'user-or-secret',
  request: z.strictObject({ integration_id: z.uuid() }),
  response: WebhookReceiver,
  errors: ['integration_not_found', 'not_a_manager', 'connector_not_found', 'webhooks_not_offered'],
})

/**
 * Keeps the secret with which the platform signs. The ones before it count for `overlap_hours` more, 24 when left out, so
 * that nothing is refused that was signed before the platform has the new one.
 */
export const setWebhookSecret = contract({
  method: 'POST',
  path: '/integrations/set-webhook-secret',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    secret: z.string().trim().min(8).max(1_000).regex(
      /^[\x20-\x7e]+$/,
      'has to be printable ASCII',
    ),
    overlap_hours: z.int().min(0).max(168).optional(),
  }),
  response: WebhookReceiver,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'integration_disconnected',
    'connector_not_found',
    'webhooks_not_offered',
    'invalid_webhook_secret',
  ],
})

/**
 * Makes an address with another unguessable end. It is shown this once; the one before counts no more from then on. Null
 * where Plugboard subscribes by itself: the platform is then given an address that nobody has to know.
 */
export const rotateWebhookPath = contract({
  method: 'POST',
  path: '/integrations/rotate-webhook-path',
  auth: 'user-or-secret',
  request: z.strictObject({ integration_id: z.uuid() }),
  response: z.object({ address: z.url().nullable() }),
  errors: [
    'integration_not_found',
    'not_a_manager',
    'integration_disconnected',
    'connector_not_found',
    'webhooks_not_offered',
  ],
})

/** Postgres knows no year 0. */
const moment = Timestamp.refine((text) => !text.startsWith('0000'), { error: 'has no such year' })

/** Whose webhooks: exactly one of them is given. */
const sender = {
  integration_id: z.uuid().optional(),
  app_instance_id: z.uuid().optional(), // what a business app sent
  connector: z.string().min(1).max(100).optional(), // connectors.slug: those of our app about several accounts
}
const isOneSender = (
  { integration_id, app_instance_id, connector }: { [Field in keyof typeof sender]?: unknown },
) =>
  [integration_id, app_instance_id, connector].filter((given) => given !== undefined).length === 1
const oneSender = { error: 'give one of integration_id, app_instance_id and connector' }

// with a connector, all but the secret key are told that there is no such connector
const senderErrors = [
  'integration_not_found',
  'app_instance_not_found',
  'not_a_manager',
  'connector_not_found',
] as const

/**
 * Works on webhooks once more, 10,000 at most in one call: the named ones whatever became of them, or all of a span of time
 * with one of `statuses` (`failed` when left out). Where `next` is not null, go on with `after: next`.
 */
export const replayWebhookEvents = contract({
  method: 'POST',
  path: '/integrations/replay-webhooks',
  auth: 'user-or-secret',
  request: z.strictObject({
    ...sender,
    webhook_event_ids: z.array(z.uuid()).min(1).max(1000).optional(),
    statuses: z.array(WebhookEventStatus).min(1).max(4).optional(),
    from: moment.optional(),
    to: moment.optional(), // exclusive
    after: z.uuid().optional(), // `next` of the answer before: only webhooks not come to yet
  }).refine(
    ({ webhook_event_ids, statuses, from, to, after }) =>
      webhook_event_ids === undefined ||
      [statuses, from, to, after].every((given) => given === undefined),
    { error: 'give webhook_event_ids, or a choice by statuses, from and to' },
  ).refine(isOneSender, oneSender),
  response: z.object({
    replayed: z.int().nonnegative(), // put back into the queue
    next: z.uuid().nullable(), // where to go on; null when nothing remains
  }),
  errors: [...senderErrors],
})

/** Why a webhook is not believed: at the door for our log alone, and afterwards for whoever has it verified again. */
export const WebhookRefusal = z.enum([
  'wrong_method',
  'no_secret', // nothing to check against is set up, or not any more
  'missing_signature', // afterwards: none was asked for then, or it is not kept, as a token that Google signs
  'malformed_signature',
  'missing_timestamp',
  'malformed_timestamp',
  'timestamp_out_of_tolerance', // more than 300 s before or after our time
  'wrong_signature', // afterwards: or the secret was replaced
  'wrong_path_token',
  'malformed_challenge',
  'keys_unavailable', // the platform's public keys could not be read: it may be right, and is not taken
  'url_not_kept', // afterwards only: the address is signed, and more than ours was called
])
export type WebhookRefusal = z.infer<typeof WebhookRefusal>

/**
 * Verifies webhooks that are kept once more, as the door does it, as of the time they came, with the secrets that count now.
 * Nothing is changed.
 */
export const verifyWebhookEvents = contract({
  method: 'POST',
  path: '/integrations/verify-webhooks',
  auth: 'user-or-secret',
  request: z.strictObject({
    ...sender,
    webhook_event_ids: z.array(z.uuid()).min(1).max(100),
  }).refine(isOneSender, oneSender),
  // left out are those that are not kept, or are of somebody else
  response: z.array(z.object({
    webhook_event_id: z.uuid(),
    verified: z.boolean(),
    reason: WebhookRefusal.nullable(), // null where it is verified
  })),
  errors: [...senderErrors],
})

/** Wakes a worker, which works on webhooks that came in. Called by the database, not by people. */
export const workWebhookEvents = contract({
  method: 'POST',
  path: '/webhook-receive/work',
  auth: 'worker',
  request: z.strictObject({ reason: z.string().max(200).optional() }),
  response: z.object({ accepted: z.literal(true) }), // the work itself goes on after the answer
  errors: [],
})
