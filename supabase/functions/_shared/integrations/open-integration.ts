// From an integration's row to an account that can be called, within the account's shared budget.
import {
  type Account,
  type OAuthGrant,
  openAccount,
  type TokenCache,
} from '../connectors/account.ts'
import type { Connector } from '../connectors/define-connector.ts'
import type { AccountFacts, AccountValues } from '../connectors/vocabulary/auth.ts'
import { findConnector } from '../connectors/index.ts'
import type { Integration } from '../contracts/integrations.ts'
import { databaseBudget } from '../http/budget.ts'
import { createHttpClient, type HttpClient } from '../http/client.ts'
import type { Database } from '../platform/database.ts'
import { AppError } from '../platform/errors.ts'
import { signInAuth } from '../oauth/sign-in-client.ts'
import { type GrantToken, storedGrant } from '../oauth/stored-grant.ts'
import type { Outside } from '../platform/outside.ts'

/** What `public.open_integration` answers. */
export type OpenIntegration = {
  integration: Integration
  /** Changes when other credentials are entered; null without any. */
  credentials_id: string | null
  credentials: Record<string, unknown> | null
  /** Of a sign-in: {@link GrantToken}. */
  token: { access_token: string; expires_at: string } | GrantToken | null
}

/**
 * Reads an integration with its credentials.
 *
 * @param options.toUnsubscribe Also those of a disconnected one that are kept for nothing else.
 * @throws AppError `integration_not_found`
 */
export async function readIntegration(
  db: Database,
  integrationId: string,
  { toUnsubscribe = false } = {},
): Promise<OpenIntegration> {
  const open = await db.call<OpenIntegration | null>('open_integration', {
    p_integration_id: integrationId,
    ...(toUnsubscribe ? { p_to_unsubscribe: true } : {}),
  })
  if (!open) throw new AppError('integration_not_found')
  return open
}

/** @throws AppError `connector_not_found` */
export function requireConnector(slug: string): Connector {
  const connector = findConnector(slug)
  if (!connector) {
    throw new AppError('connector_not_found', {
      detail: `There is no connector "${slug}".`,
    })
  }
  return connector
}

/** An account ready to be called. */
export function openIntegration(
  open: OpenIntegration,
  outside: Outside,
  signal?: AbortSignal,
): {
  connector: Connector
  account: Account
  settings: Record<string, unknown>
  facts: AccountFacts
} {
  const { integration } = open
  const connector = requireConnector(integration.connector)
  if (!open.credentials) {
    throw new AppError('integration_disconnected', {
      detail: `${integration.name} has no credentials: connect the account again.`,
    })
  }
  const values = connector.readAccount({
    settings: integration.settings,
    credentials: open.credentials,
    account: integration.account,
  })
  const account = openAccount({
    connector,
    ...values,
    http: accountHttp(connector, values.settings, connector.budgetKey(values), outside, signal),
    clock: outside.clock,
    overrides: outside.environment.CONNECTOR_OVERRIDES,
    tokens: keptInVault(outside.db, open),
    grant: grantOf(outside, open, connector, values, signal),
  })
  return { connector, account, settings: values.settings, facts: values.account }
}

/** What one answer may hold: as many records as a worker can map in its CPU time. */
const MAX_RESPONSE_BYTES = 10 * 1024 * 1024

/**
 * The HTTP client for one account: its budget, its guard.
 *
 * @param budgetKey Who shares the budget.
 */
export function accountHttp(
  connector: Connector,
  settings: Record<string, unknown>,
  budgetKey: string,
  outside: Outside,
  signal?: AbortSignal,
): HttpClient {
  const { rateLimit, limits } = connector.paceOf(settings)
  return createHttpClient({
    clock: outside.clock,
    fetch: outside.fetch,
    log: outside.log,
    signal,
    timeoutMs: outside.timeoutMs,
    maxResponseBytes: MAX_RESPONSE_BYTES,
    allowPrivateNetworks: outside.environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS,
    budget: databaseBudget(
      outside.db,
      { account: budgetKey, app: `${connector.slug}:app` },
      rateLimit,
      limits,
    ),
  })
}

/** The stored tokens of an account whose owner has signed in; undefined where credentials are typed in. */
export function grantOf(
  outside: Outside,
  open: OpenIntegration,
  connector: Connector,
  values: AccountValues,
  signal?: AbortSignal,
): OAuthGrant | undefined {
  const isSignedIn = open.token !== null && 'generation' in open.token
  if (!isSignedIn || !signInAuth(connector, values.settings)) return undefined
  return storedGrant(outside, open, connector, values, signal)
}

type Exchanged = { access_token: string; expires_at: string } | null

/** Access tokens are shared by all workers of an integration: exchanged once, kept until they expire. */
function keptInVault(db: Database, open: OpenIntegration): TokenCache {
  let given: Exchanged = open.token as Exchanged
  const save = async (token: Exchanged) => {
    await db.call('save_integration_token', {
      p_integration_id: open.integration.id,
      p_access_token: token?.access_token ?? null,
      p_expires_at: token?.expires_at ?? null,
      p_credentials_id: open.credentials_id, // not over a token made from newer credentials
    })
  }
  return {
    // The first time it is the one we were opened with; later another worker may have renewed it.
    async read() {
      const token = given ?? (await readIntegration(db, open.integration.id)).token as Exchanged
      given = null
      return token
    },
    write: save,
    clear: () => save(null),
  }
}
