// What is connected? Sample connectors, and integrations made the way the functions make them.
import { randomUUID } from 'node:crypto'
import { STREAMS } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import type { TestDatabase } from './database.ts'
import { createOrganization, createPerson } from './people.ts'

/** `integrations` as SQL functions answer it. */
export type IntegrationRow = {
  id: string
  organization_id: string
  connector: string
  name: string
  status: string
  settings: Record<string, unknown>
  sync_interval_minutes: number
  consecutive_failures: number
  last_error: { code: string; message: string; next: string } | null
  connected_at: string | null
  disconnected_at: string | null
}

/** Reads products; asks for what changed. */
export const sampleStore = 'sample-store'
/** Reads products; can only read everything. */
export const sampleFeed = 'sample-feed'
/** Reads every stream there is. */
export const sampleSuite = 'sample-suite'

async function ensureSampleConnectors({ owner: sql }: TestDatabase): Promise<void> {
  const connectors = [
    { slug: sampleStore, incremental: true, streams: ['products'] },
    { slug: sampleFeed, incremental: false, streams: ['products'] },
    { slug: sampleSuite, incremental: true, streams: Object.keys(STREAMS) },
  ]
  for (const { slug, incremental, streams } of connectors) {
    await sql`
      insert into public.connectors (
        slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams
      )
      values (
        ${slug}, ${slug}, 'For tests.', 'pos', 'https://example.com', '{api_key}', '{"type": "object"}', '{"type": "object"}',
        ${
      sql.json(
        streams.map((name) => ({ name, direction: 'in', incremental, detects_deletes: true })),
      )
    }
      )
      on conflict do nothing`
  }
}

/** Connects an account of the sample store to an organization. */
export async function connectIntegration(
  database: TestDatabase,
  organizationId: string,
  options: {
    connector?: string
    account?: string
    name?: string
    credentials?: Record<string, unknown>
    syncIntervalMinutes?: number
    actorId?: string
  } = {},
): Promise<IntegrationRow> {
  await ensureSampleConnectors(database)
  return await database.call<IntegrationRow>('service_role', 'connect_integration', {
    p_organization_id: organizationId,
    p_connector: options.connector ?? sampleStore,
    p_external_account_id: options.account ?? randomUUID(),
    p_name: options.name ?? 'Main street',
    p_settings: { store: 'main-street' },
    p_credentials: options.credentials ?? { api_key: randomUUID() },
    p_sync_interval_minutes: options.syncIntervalMinutes ?? null,
    p_actor_id: options.actorId ?? null,
  })
}

/** An integration in an organization of its own, for tests in which nobody else takes part. */
export async function createIntegration(
  database: TestDatabase,
  options: Parameters<typeof connectIntegration>[2] = {},
): Promise<IntegrationRow> {
  const owner = await createPerson(database)
  return await connectIntegration(database, await createOrganization(database, owner), options)
}
