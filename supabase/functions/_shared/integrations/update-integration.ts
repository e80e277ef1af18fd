// Changes what is given of an integration. New settings or credentials must work, and be the same account's.
import type { z } from 'zod'
import type { Integration, updateIntegration as updateContract } from '../contracts/integrations.ts'
import { pushColumnsOf } from '../connectors/define-connector.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import { signInAuth } from '../oauth/sign-in-client.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import {
  grantOf,
  type OpenIntegration,
  readIntegration,
  requireConnector,
} from './open-integration.ts'
import { proveAccount, type Proved } from './prove-account.ts'
import { revokeGrant } from './revoke-grant.ts'

type Input = z.output<typeof updateContract.request>

/** @throws AppError `integration_not_found`, `integration_disconnected` before the platform is asked */
export async function updateIntegration(
  outside: Outside,
  input: Input,
  actorId: string | null,
): Promise<Integration> {
  const proved = input.settings || input.credentials ? await proveChange(outside, input) : null
  // a token belongs to the credentials it was made with: without new ones the held token stays
  const token = input.credentials ? proved?.token : null
  return await outside.db.call<Integration>('update_integration', {
    p_integration_id: input.integration_id,
    p_name: input.name ?? null,
    p_settings: proved?.settings ?? null,
    p_credentials: input.credentials ?? null,
    p_sync_interval_minutes: input.sync_interval_minutes ?? null,
    p_paused: input.paused ?? null,
    p_actor_id: actorId,
    p_access_token: token?.access_token ?? null,
    p_token_expires_at: token?.expires_at ?? null,
    p_account: proved?.account ?? null,
    p_streams: proved?.streams ?? null,
    p_push_columns: proved?.push_columns ?? {},
    p_webhooks: input.webhooks ?? null,
    p_revoked: input.credentials && proved ? await revokeGrant(outside, proved.open) : null,
  })
}

/** What the account has, and what can be written there. */
type StreamsOfAccount = { streams: string[]; push_columns: Record<string, string[]> }

/** How the account was before. */
type Before = { open: OpenIntegration }

async function proveChange(
  outside: Outside,
  input: Input,
): Promise<Proved & StreamsOfAccount & Before & { settings: Record<string, unknown> }> {
  const open = await readIntegration(outside.db, input.integration_id)
  const { integration, credentials } = open
  if (integration.status === 'disconnected') {
    throw new AppError('integration_disconnected', { detail: 'Connect the account again first.' })
  }
  const connector = requireConnector(integration.connector)
  const values = connector.readAccount({
    settings: input.settings ?? integration.settings,
    credentials: input.credentials ?? credentials ?? {},
    account: integration.account,
  })
  if (input.credentials && signInAuth(connector, values.settings)) {
    throw new AppError('sign_in_required', {
      detail: `${integration.name} is connected by a sign-in: let its owner sign in again.`,
    })
  }
  const refuseOther = (account: AccountFacts) => {
    if (connector.accountId({ ...values, account }) === integration.external_account_id) return
    throw new AppError('invalid_settings', {
      detail: "These settings are another account's: connect that account by itself.",
    })
  }
  refuseOther(integration.account) // before the platform is asked, where the settings already say so
  const proved = await proveAccount(
    outside,
    connector,
    values,
    integration.organization_id,
    grantOf(outside, open, connector, values),
  )
  refuseOther(proved.account)
  const { settings } = values
  const streams = connector.streamsOf(settings)
  return { ...proved, open, settings, streams, push_columns: pushColumnsOf(connector, settings) }
}
