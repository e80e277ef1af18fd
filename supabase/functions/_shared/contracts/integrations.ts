// Integrations on the wire: an organization's connected accounts and the calls that manage them.
import { z } from 'zod'
import { contract, ErrorSummary, PROVIDER_ERRORS, Timestamp } from './contract.ts'

export const IntegrationStatus = z.enum([
  'pending',
  'connected',
  'paused',
  'error', // it keeps trying
  'needs_reconnect', // only a new sign-in by the owner helps
  'disconnected',
])
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
  webhooks: z.boolean().nullable(), // subscribed at the platform? null: where its webhooks can reach us
  consecutive_failures: z.int().nonnegative(), // three put the integration into `error`
  last_error: ErrorSummary.nullable(),
  last_synced_at: Timestamp.nullable(),
  last_checked_at: Timestamp.nullable(),
  connected_at: Timestamp.nullable(),
  disconnected_at: Timestamp.nullable(),
  credentials_kept_until: Timestamp.nullable(), // disconnected, and kept only to end its webhooks at the platform
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

/** Where the owner signs in at the platform: open `authorization_url` in the browser. */
export const Authorization = z.object({
  authorization_url: z.url(),
  expires_at: Timestamp, // ten minutes from now
})
export type Authorization = z.infer<typeof Authorization>

/** Where a sign-in comes back to, and who finishes it. */
const signIn = {
  /**
   * The app's own page, one of those in the secret PLUGBOARD_RETURN_URLS. It gets `integration_id`, or `error` with one of
   * the codes of {@link finishSignIn} and `error_description`.
   */
  return_url: z.url().max(2_000),
  /**
   * `callback` (the default): our Edge Function is the redirect URI, and proves that the same browser comes back.
   * `app`: the page itself is the redirect URI and hands on what it got to `finishSignIn`, as the same user.
   */
  finish_in: z.enum(['callback', 'app']),
}

/**
 * Connects an account. With `credentials`: they are checked at the platform, then kept in Vault. With
 * `return_url`, for platforms where the owner signs in: answers where.
 */
export const connectIntegration = contract({
  method: 'POST',
  path: '/integrations/connect',
  auth: 'user-or-secret',
  request: z.strictObject({
    organization_id: z.uuid(),
    connector: z.string().min(1).max(100),
    name: name.optional(), // left out: what the platform calls the account
    settings,
    credentials: credentials.optional(),
    sync_interval_minutes: syncIntervalMinutes.optional(),
    return_url: signIn.return_url.optional(),
    finish_in: signIn.finish_in.optional(),
  }).refine(
    ({ credentials, return_url }) => (credentials === undefined) !== (return_url === undefined),
    { error: 'give credentials, or return_url where the owner signs in' },
  ),
  response: z.union([Authorization, Integration]),
  errors: [
    'organization_not_found',
    'not_a_manager',
    'connector_not_found',
    'sign_in_required', // these settings want a return_url
    'oauth_client_missing',
    'return_url_refused',
    'invalid_settings', // also: the platform knows nothing at this address
    'invalid_credentials', // also: the platform refused them
    ...PROVIDER_ERRORS,
  ],
})

/** Lets the owner sign in again: the integration keeps its id, settings, cursors and data. */
export const reconnectIntegration = contract({
  method: 'POST',
  path: '/integrations/reconnect',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    return_url: signIn.return_url,
    finish_in: signIn.finish_in.optional(),
  }),
  response: Authorization,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'connector_not_found',
    'credentials_required', // it is connected with credentials: update them
    'oauth_client_missing',
    'return_url_refused',
    'invalid_settings',
  ],
})

/** Ends a sign-in that came back to the app's own page (`finish_in: 'app'`). */
export const finishSignIn = contract({
  method: 'POST',
  path: '/oauth-callback',
  auth: 'user-or-secret',
  /** The whole query the page was opened with, as it came. */
  request: z.strictObject({
    parameters: z.record(z.string().max(200), z.string().max(10_000)).refine(
      (parameters) => Object.keys(parameters).length <= 50,
      { error: 'has more than 50 parameters' },
    ),
  }),
  response: Integration,
  errors: [
    'oauth_state_unknown',
    'oauth_state_expired',
    'oauth_state_used',
    'oauth_state_not_yours',
    'not_a_manager',
    'organization_not_found',
    'connector_not_found',
    'integration_not_found',
    'oauth_client_missing',
    'oauth_denied',
    'oauth_response_invalid',
    'oauth_exchange_failed',
    'oauth_account_disconnected', // meanwhile
    'oauth_scope_missing',
    'oauth_account_mismatch',
    'invalid_settings',
    'invalid_credentials',
    ...PROVIDER_ERRORS,
  ],
})

/** Changes what is given and leaves the rest; `paused` stops or resumes its syncs, `webhooks` (un)subscribes. */
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
    /** Whether webhooks are subscribed at the platform, where it lets an account do that. */
    webhooks: z.boolean().optional(),
  }).refine(
    ({ integration_id: _, ...changes }) =>
      Object.values(changes).some((value) => value !== undefined),
    {
      error:
        'give at least one of name, settings, credentials, sync_interval_minutes, paused, webhooks',
    },
  ),
  response: Integration,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'integration_disconnected',
    'connector_not_found', // its connector is no longer in the code
    'sign_in_required',
    'oauth_client_missing',
    'reconnect_required', // its owner has to sign in again first
    'invalid_settings', // also: they are another account's
    'invalid_credentials',
    ...PROVIDER_ERRORS,
  ],
})

/**
 * Forgets the credentials and stops syncing; the synced rows stay unless `delete_data`. Where the platform does not answer
 * when its webhooks are to end, the credentials are kept for that until `credentials_kept_until`, unless
 * `delete_credentials_at_once`.
 */
export const disconnectIntegration = contract({
  method: 'POST',
  path: '/integrations/disconnect',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    delete_data: z.boolean().optional(),
    delete_credentials_at_once: z.boolean().optional(),
  }),
  response: Integration,
  errors: ['integration_not_found', 'not_a_manager'],
})

/** Checks every connected account of an organization, a few at a time. */
export const checkIntegrations = contract({
  method: 'POST',
  path: '/integrations/check-all',
  auth: 'user-or-secret',
  request: z.strictObject({ organization_id: z.uuid() }),
  response: z.object({
    checks: z.array(
      z.object({ integration_id: z.uuid(), name: z.string(), ...IntegrationCheck.shape }),
    ),
    /** Not reached within the time a caller waits; call again for those. */
    unchecked: z.array(z.uuid()),
  }),
  errors: ['organization_not_found', 'not_a_manager'],
})

/** Checks the accounts and compares the webhook subscriptions that are due: the hourly schedule's worker. */
export const workChecks = contract({
  method: 'POST',
  path: '/integrations/work',
  auth: 'worker',
  request: z.strictObject({ reason: z.string().max(200).optional() }),
  response: z.object({ accepted: z.literal(true) }), // the work itself goes on after the answer
  errors: [],
})

/** What an action came to. */
export const ActionResult = z.object({
  action_id: z.uuid().nullable(), // null for a dry run, of which nothing is kept
  /**
   * `success`; `partial`: some items were refused; `failed`: nothing was done; `unknown`: it was sent and no answer
   * came, so it may have been done; `dry_run`: nothing was sent.
   */
  status: z.enum(['success', 'partial', 'failed', 'unknown', 'dry_run']),
  output: z.unknown().optional(), // as the connector's output_schema describes it
  error: ErrorSummary.optional(),
  /** What would be sent, in a dry run. */
  requests: z.array(
    z.object({ method: z.string(), path: z.string(), body: z.unknown().optional() }),
  )
    .optional(),
})
export type ActionResult = z.infer<typeof ActionResult>

/** Does something at the platform. A refusal by the platform is an answer, not an error. */
export const actOnIntegration = contract({
  method: 'POST',
  path: '/integrations/act',
  auth: 'user-or-secret',
  request: z.strictObject({
    integration_id: z.uuid(),
    action: z.string().min(1).max(100),
    /** The whole request holds 10 MB at most. */
    input: z.record(z.string(), z.unknown()),
    dry_run: z.boolean().optional(),
    /** The same key again answers what the first call came to, and does nothing. Kept for 30 days. */
    idempotency_key: z.string().min(1).max(200).optional(),
  }),
  response: ActionResult,
  errors: [
    'integration_not_found',
    'not_a_manager',
    'integration_disconnected',
    'integration_paused',
    'reconnect_required',
    'connector_not_found',
    'action_not_found',
    'invalid_input',
    'invalid_settings',
    'invalid_credentials',
    'action_in_progress',
    'idempotency_key_reused',
    // what a dry run asks the platform first may fail
    'sign_in_required',
    'oauth_client_missing',
    'provider_unauthorized',
    'provider_forbidden',
    'provider_not_found',
    ...PROVIDER_ERRORS,
  ],
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
