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

/** Makes a team, an integration, a finished run with a product and a refused record, a record of every other
 * stream, and an invitation. */
export async function seedOrganization(database: TestDatabase): Promise<SeededOrganization> {
  const team = await createTeam(database)
  const integration = await connectIntegration(database, team.organizationId)
  const run = await openRun(database, integration.id, { requestedBy: team.manager.id })
  await writePage(database, run, [product('seeded')], {
    refused: [refusedRecord('seeded-refused')],
  })
  await finishRun(database, run, 'partial')
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
