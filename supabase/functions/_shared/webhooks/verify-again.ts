// Is what is kept still what its sender signed? Asked of the code, and of the secrets, that are there now.
import { Buffer } from 'node:buffer'
import type { z } from 'zod'
import type { verifyWebhookEvents, WebhookRefusal } from '../contracts/webhook-events.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import type { Outside } from '../platform/outside.ts'
import { type AppInstance, findAppInstance, readEnvelope, verifyAppEvent } from './app-events.ts'
import {
  hasOwnDoor,
  type Receiver,
  receiverOfApp,
  receiverOfIntegration,
  secretsOf,
} from './receiver.ts'
import type { InboundRequest, Proof, Verification } from './scheme.ts'
import { refused } from './schemes/scheme-definition.ts'
import { lacksUrl, publishedKeys, verifyWebhook } from './verify-webhook.ts'

type Request = z.output<typeof verifyWebhookEvents.request>
type Answer = z.output<typeof verifyWebhookEvents.response>

type KeptWebhook = {
  id: string
  connector: string | null
  headers: Record<string, string>
  proof: Proof
  /** Base64. */
  body: string
}

const keys = publishedKeys(fetch)

/** @throws AppError `integration_not_found`, `app_instance_not_found`, `connector_not_found` */
export async function verifyAgain(outside: Outside, request: Request): Promise<Answer> {
  const { integration_id, app_instance_id, connector } = request
  if (connector !== undefined) requireConnector(connector)
  const { db } = outside
  const integration = integration_id === undefined
    ? null
    : await receiverOfIntegration(db, integration_id)
  const instance = app_instance_id === undefined ? null : await findAppInstance(db, app_instance_id)
  const left = new Set(request.webhook_event_ids)
  const answer: Answer = []
  while (left.size > 0) {
    const kept = await db.call<KeptWebhook[]>('read_webhook_events', {
      p_ids: [...left],
      p_integration_id: integration_id,
      p_app_instance_id: app_instance_id,
      p_connector: connector,
    })
    if (kept.length === 0) break
    for (const webhook of kept) {
      const isOfIntegration = integration_id !== undefined
      const reason = await whyNotVerified(outside, webhook, isOfIntegration, integration, instance)
      answer.push({ webhook_event_id: webhook.id, verified: reason === null, reason })
      left.delete(webhook.id)
    }
  }
  return answer
}

async function whyNotVerified(
  { environment }: Outside,
  webhook: KeptWebhook,
  isOfIntegration: boolean,
  integration: Receiver | null,
  instance: AppInstance | null,
): Promise<WebhookRefusal | null> {
  const { connector, proof } = webhook
  if (connector === null) return reasonOf(await verifyOfApp(webhook, instance))
  // one about a single account is kept as its integration's, whichever door it came to
  const receivers = [integration, receiverOfApp(connector, environment)]
    .filter((receiver) => receiver !== null)
  const now = new Date(proof.verified_at)
  const reasons = await Promise.all(receivers.map(async (receiver) => {
    const secrets = secretsOf(receiver, proof.path_token_hash ?? null, environment, now)
    return reasonOf(await verifyWebhook(proof.scheme, callOf(webhook), secrets, now, keys))
  }))
  if (reasons.includes(null)) return null
  // disconnected: that our app's secret did not sign it says nothing of it
  if (isOfIntegration && integration === null && hasOwnDoor(connector)) return 'no_secret'
  return lacksUrl(proof) ? 'url_not_kept' : reasons[0] ?? 'no_secret'
}

async function verifyOfApp(
  webhook: KeptWebhook,
  instance: AppInstance | null,
): Promise<Verification> {
  if (instance === null) return refused('no_secret')
  const call = callOf(webhook)
  const envelope = readEnvelope(call.body)
  return envelope?.app_instance_id === instance.appInstanceId
    ? await verifyAppEvent(call, envelope, instance, new Date(webhook.proof.verified_at), keys)
    : refused('wrong_signature')
}

/** What is kept was a POST: nothing else is taken in. */
const callOf = ({ headers, proof, body }: KeptWebhook): InboundRequest => ({
  method: 'POST',
  url: proof.url ?? '',
  headers: new Headers(headers),
  body: new Uint8Array(Buffer.from(body.replaceAll('\n', ''), 'base64')),
})

const reasonOf = (verification: Verification) =>
  verification.kind === 'refused' ? verification.reason : null
