// An organization that has something in every table: a row to read, and to try to change.
import {
  type StreamName,
  STREAMS,
} from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import type { TestDatabase } from './database.ts'
import { connectIntegration, type IntegrationRow } from './integrations.ts'
import { registerAppInstance } from './app-instances.ts'
import { createTeam, type Team } from './people.ts'
import { applyRecords, streamRecord } from './stream-records.ts'
import { createEndpoint } from './webhook-endpoints.ts'
import { finishRun, openRun, product, writePage } from './sync-runs.ts'
import { receiveWebhook } from './webhook-events.ts'

export type SeededOrganization = Team & { integration: IntegrationRow; syncLogId: string }

/**
 * Makes a team, an integration, a finished run with a product and a refused record, a record of every other
 * stream, a conflict, a stored image, a webhook that came in, a business app, an invitation, and an event that was sent to a webhook endpoint.
 */
export async function seedOrganization(database: TestDatabase): Promise<SeededOrganization> {
  const team = await createTeam(database)
  const integration = await connectIntegration(database, team.organizationId)
  const run = await openRun(database, integration.id, { requestedBy: team.manager.id })
  await writePage(database, run, [product('seeded')], {
    refused: [refusedRecord('seeded-refused')],
  })
  await finishRun(database, run, 'partial')
  await keepImage(database, team.organizationId)
  await keepConflict(database, team.organizationId, integration.id)
  await receiveWebhook(database, { integrationId: integration.id })
  await registerAppInstance(database, team.organizationId)
  await database.owner`
    insert into public.webhook_subscriptions (integration_id, organization_id, name)
    values (${integration.id}, ${team.organizationId}, 'seeded')`
  for (const stream of Object.keys(STREAMS) as StreamName[]) {
    if (stream !== 'products') {
      await applyRecords(database, integration.id, stream, [streamRecord(stream, 'seeded')])
    }
  }
  await database.call(team.owner, 'invite_member', {
    organization_id: team.organizationId,
    email: `invited-to-${team.organizationId}@example.com`,
    role: 'member',
  })
  await sendEvent(database, team)
  return { ...team, integration, syncLogId: run.sync_log_id }
}

async function sendEvent(database: TestDatabase, { organizationId, owner }: Team): Promise<void> {
  await createEndpoint(database, 'https://hooks.example/in', {
    organizationId,
    event_types: ['seeded.*'],
  })
  await database.call(owner, 'emit_event', {
    p_organization_id: organizationId,
    p_type: 'seeded.event',
    p_data: { seeded: true },
  })
  await database.owner`
    with sent as (
      delete from private.webhook_queue as queued using public.app_webhooks as endpoint
      where endpoint.id = queued.endpoint_id and endpoint.organization_id = ${organizationId}
      returning queued.*
    ), attempted as (
      insert into public.webhook_attempts (organization_id, endpoint_id, event_id, attempt_number, outcome, finished_at)
      select ${organizationId}, endpoint_id, event_id, 1, 'succeeded', clock_timestamp() from sent
    )
    update public.webhook_deliveries as delivery
    set status = 'succeeded', finished_at = clock_timestamp(), next_attempt_at = null, attempt_count = 1
    from sent where delivery.endpoint_id = sent.endpoint_id and delivery.event_id = sent.event_id`
}

async function keepConflict(
  { owner }: TestDatabase,
  organizationId: string,
  integrationId: string,
): Promise<void> {
  await owner`
    insert into public.sync_conflicts (organization_id, integration_id, stream, record_id, source_id, kind,
      local_changed_at, remote_changed_at, policy, decision)
    values (${organizationId}, ${integrationId}, 'contacts', gen_random_uuid(), 'seeded', 'both_changed', now(), now(),
      'remote_wins', 'remote')`
}

async function keepImage({ owner }: TestDatabase, organizationId: string): Promise<void> {
  const hash = 'a'.repeat(64)
  await owner`
    with asset as (
      insert into public.media_assets (organization_id, content_hash, content_type, byte_size, storage_path)
      values (${organizationId}, ${hash}, 'image/png', 1, ${`${organizationId}/aa/${hash}.png`})
      returning id, organization_id
    )
    insert into public.media_sources (organization_id, url, status, asset_id)
    select organization_id, 'https://images.example/seeded.png', 'stored', id from asset`
}

/** A record that could not be mapped, as a page brings it. */
export function refusedRecord(sourceId: string | null, payload: unknown = { name: null }) {
  return {
    source_id: sourceId,
    payload,
    code: 'invalid_record',
    message: 'name: must be text',
    issues: [{ path: 'name', message: 'must be text' }],
  }
}
