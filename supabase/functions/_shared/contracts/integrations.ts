// Integrations on the wire: an organization's connected accounts and the calls that manage them.
import { z } from 'zod'
import { contract, ErrorSummary, PROVIDER_ERRORS, Timestamp } from './contract.ts'

export const IntegrationStatus = z.enum(['pending', 'connected', 'paused', 'error', 'disconnected'])
export type IntegrationStatus = z.infer<typeof IntegrationStatus>

/** Settings as a connector's `settings_schema` describes them; the connector checks the inside. */
const settings = z.record(z.string(), z.unknown())

/** Credentials as a connector's `credentials_schema` describes them. They go in and never come out. */
const credentials = z.record(z.string(), z.unknown())

const name = z.string().trim().min(1).max(200)
const syncIntervalMinutes = z.int().min(1).max(10_080) // up to a week

/** One connected account: a row of `integrations`. */
export const Integration = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  connector: z.string(), // connectors.slug
  external_account_id: z.string().nullable(), // the platform's own name of the account
  name: z.string(),
  status: IntegrationStatus,
  settings,
  account: z.record(z.string(), z.string()), // what the platform says of the account: its region, its ids
  sync_interval_minutes: z.int(),
  consecutive_failures: z.int().nonnegative(), // three put the integration into `error`
  last_error: ErrorSummary.nullable(),
  last_synced_at: Timestamp.nullable(),
  last_checked_at: Timestamp.nullable(),
  connected_at: Timestamp.nullable(),
  disconnected_at: Timestamp.nullable(),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type Integration = z.infer<typeof Integration>

/** How an account answered a check call just now. */
export const IntegrationCheck = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  latency_ms: z.number().nonnegative(),
  checked_at: Timestamp,
  error: ErrorSummary.optional(), // there when unhealthy
})
export type IntegrationCheck = z.infer<typeof IntegrationCheck>

/** Connects an account: checks the credentials at the platform, then keeps them in Vault. */
export const connectIntegration = contract({
  method: 'POST',
  path: '/integrations/connect',
  auth: 'user-or-secret',
  request: z.strictObject({
    organization_id: z.uuid(),
    connector: z.string().min(1).max(100),
    name: name.optional(), // left out: what the platform calls the account
    settings,
    credentials,
    sync_interval_minutes: syncIntervalMinutes.optional(),
  }),
  response: Integration,
  errors: [
    'organization_not_found',
    'not_a_manager',
    'connector_not_found',
    'sign_in_required',
    'invalid_settings', // also: the platform knows nothing at this address
    'invalid_credentials', // also: the platform refused them
    ...PROVIDER_ERRORS,
  ],
})

/** Changes what is given and leaves the rest; `paused` stops or resumes its syncs. */
export const updateIntegration = contract({
  method: 'POST',
  path: '/integrations/update',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    name: name.optional(),
    settings: settings.optional(),
    credentials: credentials.optional(),
    sync_interval_minutes: syncIntervalMinutes.optional(),
    paused: z.boolean().optional(),
  }).refine(
    ({ integration_id: _, ...changes }) =>
      Object.values(changes).some((value) => value !== undefined),
    { error: 'give at least one of name, settings, credentials, sync_interval_minutes, paused' },
  ),
  response: Integration,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'integration_disconnected',
    'connector_not_found', // its connector is no longer in the code
    'sign_in_required',
    'invalid_settings', // also: they are another account's
    'invalid_credentials',
    ...PROVIDER_ERRORS,
  ],
})

/** Forgets the credentials and stops syncing; the synced rows stay unless `delete_data`. */
export const disconnectIntegration = contract({
  method: 'POST',
  path: '/integrations/disconnect',
  auth: 'user-or-secret',
  request: z.strictObject({ integration_id: z.uuid(), delete_data: z.boolean().optional() }),
  response: Integration,
  errors: ['integration_not_found', 'not_a_manager'],
})

/** Asks the platform whether the credentials work. An unhealthy account is an answer, not an error. */
export const checkIntegration = contract({
  method: 'POST',
  path: '/integrations/check',
  auth: 'user-or-secret',
  request: z.strictObject({ integration_id: z.uuid() }),
  response: IntegrationCheck,
  errors: ['integration_not_found', 'not_a_manager', 'integration_disconnected'],
})
