// POST /webhooks/create, /update, /delete, /rotate-secret, /ping, /replay: where an organization's events are sent.
// Contracts: _shared/contracts/webhooks.ts
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  pingWebhookEndpoint,
  replayWebhookDeliveries,
  rotateWebhookSecret,
  updateWebhookEndpoint,
  type WebhookDelivery,
} from '../_shared/contracts/webhooks.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import {
  actorId,
  requireEndpointManager,
  requireManager,
} from '../_shared/organizations/require-manager.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import {
  createEndpoint,
  rotateSecret,
  updateEndpoint,
} from '../_shared/webhooks/register-endpoint.ts'

export default {
  fetch: routes({
    'POST /create': serve(createWebhookEndpoint, async (context) => {
      await requireManager(context, context.body.organization_id)
      return await createEndpoint(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /update': serve(updateWebhookEndpoint, async (context) => {
      await requireEndpointManager(context, context.body.endpoint_id)
      return await updateEndpoint(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /delete': serve(deleteWebhookEndpoint, async (context) => {
      const { endpoint_id } = context.body
      await requireEndpointManager(context, endpoint_id)
      await outsideFor(context).db.call('delete_webhook_endpoint', {
        p_endpoint_id: endpoint_id,
        p_actor_id: actorId(context.caller),
      })
      return { deleted: true as const }
    }),

    'POST /rotate-secret': serve(rotateWebhookSecret, async (context) => {
      await requireEndpointManager(context, context.body.endpoint_id)
      return await rotateSecret(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /ping': serve(pingWebhookEndpoint, async (context) => {
      const { endpoint_id } = context.body
      await requireEndpointManager(context, endpoint_id)
      return await outsideFor(context).db.call<WebhookDelivery>('ping_webhook_endpoint', {
        p_endpoint_id: endpoint_id,
        p_actor_id: actorId(context.caller),
      })
    }),

    'POST /replay': serve(replayWebhookDeliveries, async (context) => {
      const { endpoint_id, event_ids, what, since, until } = context.body
      await requireEndpointManager(context, endpoint_id)
      const replayed = await outsideFor(context).db.call<number>('replay_webhook_deliveries', {
        p_endpoint_id: endpoint_id,
        p_event_ids: event_ids ?? null,
        p_what: what ?? (event_ids ? 'all' : 'failed'),
        p_since: since ?? '-infinity',
        p_until: until ?? 'infinity',
        p_actor_id: actorId(context.caller),
      })
      return { replayed }
    }),
  }),
}
