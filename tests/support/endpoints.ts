// Which endpoints are there for people, and what is a request that each of them answers with 200?
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import type { Functions } from './functions.ts'
import { createPerson, createTeam, type Person, type Team } from './people.ts'
import { RETURN_URL } from './sign-in.ts'

/** A team with a connected store and an account that was signed in to, and a person who has nothing to do with them. */
export type World = Team & {
  integrationId: string
  signedInId: string
  store: TreezSimulator
  stranger: Person
}

export type Endpoint = {
  path: string
  /** A request that is answered with 200, as often as it is sent. */
  body(world: World): Record<string, unknown>
  /** The field whose id decides who may call, and what an unknown one is called. */
  owner: { field: 'integration_id' | 'organization_id'; code: string }
}

const integration = { field: 'integration_id', code: 'integration_not_found' } as const

/** Where the database rings for a worker; only with the worker token. */
export const workerEndpoints = ['/sync/work', '/sync-images/work', '/integrations/work']

export const endpoints: Endpoint[] = [
  {
    path: '/sync-products',
    body: ({ integrationId }) => ({ integration_id: integrationId, triggered_by: 'a button' }),
    owner: integration,
  },
  {
    path: '/sync',
    body: ({ integrationId }) => ({
      integration_id: integrationId,
      stream: 'products',
      mode: 'incremental',
      allow_mass_delete: false,
      wait: true,
    }),
    owner: integration,
  },
  {
    path: '/sync/replay',
    body: ({ integrationId }) => ({
      integration_id: integrationId,
      stream: 'products',
      sync_error_ids: ['6b1f3a52-6f0e-4f7e-9d6a-0d5a3f6b7c11'],
      after: '6b1f3a52-6f0e-4f7e-9d6a-0d5a3f6b7c11',
    }),
    owner: integration,
  },
  {
    path: '/sync-images',
    body: ({ organizationId }) => ({ organization_id: organizationId, retry_dead: true }),
    owner: { field: 'organization_id', code: 'organization_not_found' },
  },
  {
    path: '/integrations/connect',
    body: ({ organizationId, store }) => ({
      organization_id: organizationId,
      connector: 'treez',
      name: 'Downtown',
      settings: store.settings,
      credentials: store.credentials.v2,
      sync_interval_minutes: 60,
    }),
    owner: { field: 'organization_id', code: 'organization_not_found' },
  },
  {
    path: '/integrations/update',
    body: ({ integrationId, store }) => ({
      integration_id: integrationId,
      name: 'Uptown',
      settings: store.settings,
      credentials: store.credentials.v2,
      sync_interval_minutes: 30,
      paused: false,
    }),
    owner: integration,
  },
  {
    path: '/integrations/check',
    body: ({ integrationId }) => ({ integration_id: integrationId }),
    owner: integration,
  },
  {
    path: '/integrations/check-all',
    body: ({ organizationId }) => ({ organization_id: organizationId }),
    owner: { field: 'organization_id', code: 'organization_not_found' },
  },
  {
    path: '/integrations/reconnect',
    body: ({ signedInId }) => ({
      integration_id: signedInId,
      return_url: RETURN_URL,
      finish_in: 'callback',
    }),
    owner: integration,
  },
  {
    path: '/integrations/act',
    body: ({ signedInId }) => ({
      integration_id: signedInId,
      action: 'upsert_records',
      input: { table: 'People', merge_on: ['Email'], records: [{ Email: 'ada@example.com' }] },
      dry_run: true,
      idempotency_key: 'the same each time',
    }),
    owner: integration,
  },
  {
    path: '/integrations/disconnect',
    body: ({ integrationId }) => ({ integration_id: integrationId, delete_data: false }),
    owner: integration,
  },
]

/** Makes a world of its own, so that endpoints do not meet each other's changes. */
export async function makeWorld(functions: Functions, store: TreezSimulator): Promise<World> {
  const team = await createTeam(functions.database)
  const { id } = await functions.connect('secret key', team.organizationId, store)
  const signedIn = await functions.database.call<{ id: string }>(
    'service_role',
    'connect_oauth_integration',
    {
      p_organization_id: team.organizationId,
      p_connector: 'airtable',
      p_external_account_id: 'appWORLD',
      p_name: 'Signed in',
      p_settings: { base_id: 'appWORLD', auth: 'oauth', tables: [] },
      p_account: {},
      p_streams: [],
      p_sync_interval_minutes: null,
      p_actor_id: null,
      p_integration_id: null,
      p_access_token: `access-${team.organizationId}`,
      p_expires_in_seconds: 86_400,
      p_refresh_token: `refresh-${team.organizationId}`,
      p_scope: null,
    },
  )
  // left out of checks: there is no such account to ask
  await functions.database.owner`
    update public.integrations set status = 'pending' where id = ${signedIn.id}`
  const stranger = await createPerson(functions.database)
  return { ...team, integrationId: id, signedInId: signedIn.id, store, stranger }
}
