// An organization that has something in every table: a row to read, and to try to change.
import {
  type StreamName,
  STREAMS,
} from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import type { TestDatabase } from './database.ts'
import { connectIntegration, type IntegrationRow } from './integrations.ts'
import { createTeam, type Team } from './people.ts'
import { applyRecords, streamRecord } from './stream-records.ts'
import { finishRun, openRun, product, writePage } from './sync-runs.ts'

export type SeededOrganization = Team & { integration: IntegrationRow; syncLogId: string }

/**
 * Makes a team, an integration, a finished run with a product and a refused record, a record of every other
 * stream, a stored image and an invitation.
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
  return { ...team, integration, syncLogId: run.sync_log_id }
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
