// Which endpoints are there for people, and what is a request that each of them answers with 200?
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import type { Functions } from './functions.ts'
import { createPerson, createTeam, type Person, type Team } from './people.ts'
import { RETURN_URL } from './sign-in.ts'
import { createEndpoint } from './webhook-endpoints.ts'

/** A team with a connected store and an account that was signed in to, and a person who has nothing to do with them. */
export type World = Team & {
  integrationId: string
  signedInId: string
  /** Its webhooks are signed with a secret of its own. Paused. */
  feedId: string
  webhookEndpointId: string
  appInstanceId: string
  /** To be deleted, each once. */
  spareEndpointIds: string[]
  spareAppInstanceIds: string[]
  store: TreezSimulator
  stranger: Person
}

export type Endpoint = {
  path: string
  /** A request that is answered with 200, as often as it is sent. */
  body(world: World): Record<string, unknown>
  /** A larger body is refused; a megabyte when not said. */
  maxBodyBytes?: number
  /** The field whose id decides who may call, and what an unknown one is called. */
  owner: {
    field: 'integration_id' | 'organization_id' | 'endpoint_id' | 'app_instance_id'
    code: string
  }
}

const integration = { field: 'integration_id', code: 'integration_not_found' } as const

const webhookEndpoint = { field: 'endpoint_id', code: 'webhook_endpoint_not_found' } as const

const appInstance = { field: 'app_instance_id', code: 'app_instance_not_found' } as const

/** Where the database rings for a worker; only with the worker token. */
export const workerEndpoints = [
  '/sync/work',
  '/sync-images/work',
  '/integrations/work',
  '/webhook-deliver/work',
  '/webhook-receive/work',
]

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
    maxBodyBytes: 10_000_000,
    owner: integration,
  },
  {
    path: '/integrations/webhook',
    body: ({ integrationId }) => ({ integration_id: integrationId }),
    owner: integration,
  },
  {
    path: '/integrations/set-webhook-secret',
    body: ({ feedId }) => ({
      integration_id: feedId,
      secret: 'whsec_dGhlIHNhbWUgc2VjcmV0IGVhY2ggdGltZSwgbG9uZw==',
      overlap_hours: 1,
    }),
    owner: integration,
  },
  {
    path: '/integrations/rotate-webhook-path',
    body: ({ integrationId }) => ({ integration_id: integrationId }),
    owner: integration,
  },
  {
    path: '/integrations/replay-webhooks',
    body: ({ integrationId }) => ({
      integration_id: integrationId,
      statuses: ['failed'],
      from: '2026-01-01T00:00:00Z',
      to: '2026-01-02T00:00:00Z',
    }),
    owner: integration,
  },
  {
    path: '/integrations/replay-webhooks',
    body: ({ appInstanceId }) => ({ app_instance_id: appInstanceId, statuses: ['failed'] }),
    owner: appInstance,
  },
  {
    path: '/integrations/verify-webhooks',
    body: ({ integrationId }) => ({
      integration_id: integrationId,
      webhook_event_ids: ['0b8d5c0e-8c4f-4d4b-9d0f-2f3a1a0c9b77'],
    }),
    owner: integration,
  },
  {
    path: '/integrations/verify-webhooks',
    body: ({ appInstanceId }) => ({
      app_instance_id: appInstanceId,
      webhook_event_ids: ['0b8d5c0e-8c4f-4d4b-9d0f-2f3a1a0c9b77'],
    }),
    owner: appInstance,
  },
  {
    path: '/integrations/disconnect',
    body: ({ integrationId }) => ({ integration_id: integrationId, delete_data: false }),
    owner: integration,
  },
  {
    path: '/webhooks/create',
    body: ({ organizationId }) => ({
      organization_id: organizationId,
      url: HOOK_URL,
      description: 'The till',
      event_types: ['order.*', 'sync.failed'],
      filter: { field: 'data.stream', operator: 'eq', value: 'orders' },
      headers: { 'x-till': '7' },
      signatures: ['v1', 'v1a'],
      hex_signature: true,
      ordered_by_subject: true,
      max_concurrency: 5,
      rate_limit_per_second: 2.5,
      retry_pauses_s: [5, 300],
    }),
    owner: { field: 'organization_id', code: 'organization_not_found' },
  },
  {
    path: '/webhooks/update',
    body: ({ webhookEndpointId }) => ({
      endpoint_id: webhookEndpointId,
      url: HOOK_URL,
      description: 'The other till',
      event_types: ['order.*'],
      filter: { not: { field: 'data.stream', operator: 'eq', value: 'orders' } },
      headers: { 'x-till': '8' },
      signatures: ['v1'],
      hex_signature: false,
      ordered_by_subject: false,
      max_concurrency: 6,
      rate_limit_per_second: 3,
      retry_pauses_s: [5],
      paused: false,
    }),
    owner: webhookEndpoint,
  },
  {
    path: '/webhooks/rotate-secret',
    body: ({ webhookEndpointId }) => ({ endpoint_id: webhookEndpointId, overlap_hours: 1 }),
    owner: webhookEndpoint,
  },
  {
    path: '/webhooks/ping',
    body: ({ webhookEndpointId }) => ({ endpoint_id: webhookEndpointId }),
    owner: webhookEndpoint,
  },
  {
    path: '/webhooks/replay',
    body: ({ webhookEndpointId }) => ({
      endpoint_id: webhookEndpointId,
      event_ids: ['6b1f3a52-6f0e-4f7e-9d6a-0d5a3f6b7c11'],
      what: 'failed',
      since: '2026-11-01T00:00:00Z',
      until: '2026-12-01T00:00:00+01:00',
    }),
    owner: webhookEndpoint,
  },
  {
    path: '/webhooks/delete',
    body: ({ spareEndpointIds }) => ({ endpoint_id: spareEndpointIds.pop() }),
    owner: webhookEndpoint,
  },
  {
    path: '/apps/create',
    body: ({ organizationId }) => ({
      organization_id: organizationId,
      app: 'booking',
      name: 'Bookings of the east',
    }),
    owner: { field: 'organization_id', code: 'organization_not_found' },
  },
  {
    path: '/apps/update',
    body: ({ appInstanceId }) => ({
      app_instance_id: appInstanceId,
      name: 'Bookings of the west',
      enabled: true,
    }),
    owner: appInstance,
  },
  {
    path: '/apps/rotate-secret',
    body: ({ appInstanceId }) => ({ app_instance_id: appInstanceId, overlap_hours: 1 }),
    owner: appInstance,
  },
  {
    path: '/apps/delete',
    body: ({ spareAppInstanceIds }) => ({ app_instance_id: spareAppInstanceIds.pop() }),
    owner: appInstance,
  },
]

/** Nobody listens there. */
const HOOK_URL = 'https://127.0.0.1:4/hook'

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
  const feed = await functions.database.call<{ id: string }>(
    'service_role',
    'connect_integration',
    {
      p_organization_id: team.organizationId,
      p_connector: 'json-feed',
      p_external_account_id: 'https://feed.example/products',
      p_name: 'Feed',
      p_settings: { url: 'https://feed.example/products' },
      p_credentials: {},
    },
  )
  await functions.database.owner`
    update public.integrations set status = 'paused' where id = ${feed.id}`
  const stranger = await createPerson(functions.database)
  const { id: webhookEndpointId } = await createEndpoint(functions.database, HOOK_URL, {
    organizationId: team.organizationId,
    event_types: ['order.*'],
  })
  const spare = await functions.database.owner`
    insert into public.app_webhooks (organization_id, url, event_types, status)
    select ${team.organizationId}, ${HOOK_URL}, '{spare.none}', 'paused' from generate_series(1, 40)
    returning id`
  const instances = await functions.database.owner`
    insert into public.app_instances (organization_id, app, name, status)
    select ${team.organizationId}, 'booking', 'Bookings', 'disabled' from generate_series(0, 20)
    returning id`
  const [appInstanceId = '', ...spareAppInstanceIds] = instances.map(({ id }) => id as string)
  return {
    ...team,
    integrationId: id,
    signedInId: signedIn.id,
    feedId: feed.id,
    webhookEndpointId,
    spareEndpointIds: spare.map((endpoint) => endpoint.id),
    appInstanceId,
    spareAppInstanceIds,
    store,
    stranger,
  }
}
