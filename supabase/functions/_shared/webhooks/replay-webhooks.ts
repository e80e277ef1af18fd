// Works on webhooks again that came before a fix.
import type { z } from 'zod'
import type { replayWebhookEvents } from '../contracts/webhook-events.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import type { Outside } from '../platform/outside.ts'

/** @throws AppError `integration_not_found`, `app_instance_not_found`, `connector_not_found` */
export async function replayWebhooks(
  { db }: Outside,
  request: z.output<typeof replayWebhookEvents.request>,
  actorId: string | null,
): Promise<z.output<typeof replayWebhookEvents.response>> {
  if (request.connector !== undefined) requireConnector(request.connector)
  return await db.call('replay_webhook_events', {
    p_integration_id: request.integration_id,
    p_app_instance_id: request.app_instance_id,
    p_connector: request.connector,
    p_ids: request.webhook_event_ids,
    p_statuses: request.statuses,
    p_from: request.from,
    p_to: request.to,
    p_after: request.after,
    p_actor_id: actorId,
  })
}
