// Connects an account: settings and credentials are proved against the platform before anything is kept.
import type { z } from 'zod'
import { pushColumnsOf } from '../connectors/define-connector.ts'
import type { Authorization, connectIntegration, Integration } from '../contracts/integrations.ts'
import { beginSignIn } from '../oauth/begin-sign-in.ts'
import { signInAuth } from '../oauth/sign-in-client.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { readIntegration, requireConnector } from './open-integration.ts'
import { proveAccount } from './prove-account.ts'
import { revokeGrant } from './revoke-grant.ts'

/** Connects the account, or connects it again: the same account keeps its integration. */
export async function connectAccount(
  outside: Outside,
  input: z.output<typeof connectIntegration.request>,
  actorId: string | null,
): Promise<Integration | Authorization> {
  const connector = requireConnector(input.connector)
  const values = connector.readAccount({
    settings: input.settings,
    credentials: input.credentials ?? {},
  })
  const isSignIn = signInAuth(connector, values.settings) !== null
  if (isSignIn !== (input.return_url !== undefined)) {
    throw isSignIn
      ? new AppError('sign_in_required', {
        detail: `${connector.name} wants the owner to sign in: give a return_url.`,
      })
      : new AppError('invalid_credentials', {
        detail: `${connector.name} wants credentials instead of a return_url.`,
        errors: [{ path: 'credentials', message: 'are missing' }],
      })
  }
  if (input.return_url !== undefined) {
    const { credentials: _, return_url, ...signIn } = input
    return await beginSignIn(outside, { ...signIn, return_url }, actorId)
  }
  const proved = await proveAccount(outside, connector, values, input.organization_id)
  const account = {
    p_organization_id: input.organization_id,
    p_connector: connector.slug,
    p_external_account_id: connector.accountId({ ...values, account: proved.account }),
  }
  const known = await outside.db.call<string | null>('find_integration', account)
  return await outside.db.call<Integration>('connect_integration', {
    ...account,
    p_name: input.name ?? proved.account_name ?? connector.name,
    p_settings: values.settings,
    p_credentials: values.credentials,
    p_sync_interval_minutes: input.sync_interval_minutes ?? null,
    p_actor_id: actorId,
    p_access_token: proved.token?.access_token ?? null,
    p_token_expires_at: proved.token?.expires_at ?? null,
    p_account: proved.account,
    p_streams: connector.streamsOf(values.settings),
    p_push_columns: pushColumnsOf(connector, values.settings),
    // a sign-in in whose place these credentials are
    p_revoked: known === null ? null : await revokeGrant(
      outside,
      await readIntegration(outside.db, known, { toUnsubscribe: true }),
    ),
  })
}
