// Lets the owner of an account that is connected already sign in again.
import type { z } from 'zod'
import type {
  Authorization,
  reconnectIntegration as reconnectContract,
} from '../contracts/integrations.ts'
import { beginSignIn } from '../oauth/begin-sign-in.ts'
import { signInAuth } from '../oauth/sign-in-client.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { readIntegration, requireConnector } from './open-integration.ts'

/** @throws AppError `credentials_required` where there is nothing to sign in to */
export async function reconnectIntegration(
  outside: Outside,
  input: z.output<typeof reconnectContract.request>,
  actorId: string | null,
): Promise<Authorization> {
  const { integration } = await readIntegration(outside.db, input.integration_id)
  const connector = requireConnector(integration.connector)
  if (!signInAuth(connector, integration.settings)) {
    throw new AppError('credentials_required', {
      detail: `${integration.name} is connected with credentials: enter new ones there.`,
    })
  }
  return await beginSignIn(outside, {
    ...input,
    organization_id: integration.organization_id,
    connector: integration.connector,
    settings: integration.settings,
  }, actorId)
}
