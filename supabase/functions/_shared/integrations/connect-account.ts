// Connects an account: settings and credentials are proved against the platform before anything is kept.
import { openAccount } from '../connectors/account.ts'
import { contentHash } from '../connectors/content-hash.ts'
import type { Connector } from '../connectors/define-connector.ts'
import { memoryTokenCache } from '../connectors/token-cache.ts'
import type { Integration } from '../contracts/integrations.ts'
import { systemClock } from '../platform/clock.ts'
import { AppError } from '../platform/errors.ts'
import { accountHttp, type Outside, readIntegration, requireConnector } from './open-integration.ts'

type Values = {
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
}

export type ConnectAccount = {
  organization_id: string
  connector: string
  name?: string
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
  sync_interval_minutes?: number
}

/** Connects the account, or connects it again: the same account keeps its integration. */
export async function connectAccount(
  outside: Outside,
  input: ConnectAccount,
  actorId: string | null,
): Promise<Integration> {
  const connector = requireConnector(input.connector)
  const values = connector.readAccount(input)
  const proved = await prove(outside, connector, values)
  const integration = await outside.db.call<Integration>(
    'connect_integration',
    {
      p_organization_id: input.organization_id,
      p_connector: connector.slug,
      p_external_account_id: connector.accountId(values),
      p_name: input.name ?? proved.account_name ?? connector.name,
      p_settings: values.settings,
      p_credentials: values.credentials,
      p_sync_interval_minutes: input.sync_interval_minutes ?? null,
      p_actor_id: actorId,
    },
  )
  await keepToken(outside, integration.id, proved.token)
  return integration
}

export type ChangeIntegration = {
  integration_id: string
  name?: string
  settings?: Record<string, unknown>
  credentials?: Record<string, unknown>
  sync_interval_minutes?: number
  paused?: boolean
}

/** Changes what is given. New settings or credentials must work, and must be the same account's. */
export async function changeIntegration(
  outside: Outside,
  input: ChangeIntegration,
  actorId: string | null,
): Promise<Integration> {
  let settings: Values['settings'] | null = null
  let token: Proved['token'] = null
  if (input.settings || input.credentials) {
    const open = await readIntegration(outside.db, input.integration_id)
    const connector = requireConnector(open.integration.connector)
    const values = connector.readAccount({
      settings: input.settings ?? open.integration.settings,
      credentials: input.credentials ?? open.credentials ?? {},
    })
    if (connector.accountId(values) !== open.integration.external_account_id) {
      throw new AppError('invalid_settings', {
        detail: "These settings are another account's: connect that account by itself.",
      })
    }
    token = (await prove(outside, connector, values)).token
    settings = values.settings
  }
  const integration = await outside.db.call<Integration>('update_integration', {
    p_integration_id: input.integration_id,
    p_name: input.name ?? null,
    p_settings: settings,
    p_credentials: input.credentials ?? null,
    p_sync_interval_minutes: input.sync_interval_minutes ?? null,
    p_paused: input.paused ?? null,
    p_actor_id: actorId,
  })
  await keepToken(outside, integration.id, token)
  return integration
}

/** Forgets the account's credentials and stops its syncs. */
export async function disconnectIntegration(
  { db }: Outside,
  input: { integration_id: string; delete_data?: boolean },
  actorId: string | null,
): Promise<Integration> {
  return await db.call<Integration>('disconnect_integration', {
    p_integration_id: input.integration_id,
    p_delete_data: input.delete_data ?? false,
    p_actor_id: actorId,
  })
}

type Proved = {
  account_name?: string
  token: { access_token: string; expires_at: string } | null
}

/** Makes the connector's cheap call with what the person typed. */
async function prove(
  outside: Outside,
  connector: Connector,
  values: Values,
): Promise<Proved> {
  const tokens = memoryTokenCache()
  const account = openAccount({
    connector,
    ...values,
    http: accountHttp(connector, unprovedKey(connector, values), outside),
    clock: outside.clock ?? systemClock,
    overrides: outside.environment.CONNECTOR_OVERRIDES,
    tokens,
  })
  try {
    return { ...await account.check(), token: await tokens.read() }
  } catch (error) {
    throw asInputError(error, connector)
  }
}

/** A stranger who names somebody's account must not use up that account's turns, nor open its circuit. */
function unprovedKey({ slug }: Connector, values: Values): string {
  return `${slug}:unproved:${contentHash(values.settings, values.credentials)}`
}

/** What the platform refuses while connecting is what the person typed. */
function asInputError(error: unknown, { name }: Connector): unknown {
  if (!(error instanceof AppError)) return error
  if (
    error.code === 'provider_unauthorized' ||
    error.code === 'provider_forbidden'
  ) {
    return new AppError('invalid_credentials', {
      detail: `${name} refused these credentials.`,
      cause: error,
    })
  }
  if (error.code === 'provider_not_found') {
    return new AppError('invalid_settings', {
      detail: `${name} knows nothing at this address.`,
      cause: error,
    })
  }
  return error
}

async function keepToken(
  { db }: Outside,
  integrationId: string,
  token: Proved['token'],
): Promise<void> {
  if (!token) return
  await db.call('save_integration_token', {
    p_integration_id: integrationId,
    p_access_token: token.access_token,
    p_expires_at: token.expires_at,
  })
}
