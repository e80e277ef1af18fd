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
/** Reads and takes contacts, deletions too; takes products, and neither shows nor deletes them. */
export const sampleCrm = 'sample-crm'

async function ensureSampleConnectors({ owner: sql }: TestDatabase): Promise<void> {
  const read = (names: string[], incremental = true): object[] =>
    names.map((name) => ({ name, direction: 'pull', incremental, detects_deletes: true }))
  const push = { columns: [], deletes: true, key: 'email' }
  const connectors = [
    { slug: sampleStore, streams: read(['products']) },
    { slug: sampleFeed, streams: read(['products'], false) },
    { slug: sampleSuite, streams: read(Object.keys(STREAMS)) },
    {
      slug: sampleCrm,
      streams: [
        { ...read(['contacts'])[0], direction: 'both', push },
        { ...read(['products'])[0], direction: 'push', push: { ...push, deletes: false } },
      ],
    },
  ]
  for (const { slug, streams } of connectors) {
    await sql`
      insert into public.connectors (
        slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams
      )
      values (
        ${slug}, ${slug}, 'For tests.', 'pos', 'https://example.com', '{api_key}', '{"type": "object"}', '{"type": "object"}',
        ${sql.json(streams as never)}
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
    /** What this account lets us write, by stream. */
    pushColumns?: Record<string, string[]>
    /** Its owner signed in to our app, as every platform with such an app has it. */
    signedIn?: boolean
  } = {},
): Promise<IntegrationRow> {
  await ensureSampleConnectors(database)
  const integration = await database.call<IntegrationRow>('service_role', 'connect_integration', {
    p_organization_id: organizationId,
    p_connector: options.connector ?? sampleStore,
    p_external_account_id: options.account ?? randomUUID(),
    p_name: options.name ?? 'Main street',
    p_settings: { store: 'main-street' },
    p_credentials: options.credentials ?? { api_key: randomUUID() },
    p_sync_interval_minutes: options.syncIntervalMinutes ?? null,
    p_actor_id: options.actorId ?? null,
    p_push_columns: options.pushColumns ?? {},
  })
  if (options.signedIn) await keepGrant(database, integration.id)
  return integration
}

/** As if the account had been connected by a sign-in. */
export async function keepGrant({ owner }: TestDatabase, integrationId: string): Promise<void> {
  await owner`insert into private.oauth_grants (integration_id) values (${integrationId})`
}

/** An integration in an organization of its own, for tests in which nobody else takes part. */
export async function createIntegration(
  database: TestDatabase,
  options: Parameters<typeof connectIntegration>[2] = {},
): Promise<IntegrationRow> {
  const owner = await createPerson(database)
  return await connectIntegration(database, await createOrganization(database, owner), options)
}
