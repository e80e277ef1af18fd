// An integration's door, as its managers set it up: the address for the platform, its secret, the address's own secret end.
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import type { Values } from '../connectors/vocabulary/auth.ts'
import { schemeOf } from '../connectors/vocabulary/webhooks.ts'
import type {
  setWebhookSecret as setSecretContract,
  WebhookReceiver,
} from '../contracts/webhook-events.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { hashOfToken } from './receiver.ts'
import { receiverAddress } from './receiver-address.ts'
import { endsInToken, type WebhookScheme } from './scheme.ts'
import { base64Bytes, isVerificationKey } from './signing-keys.ts'

type Described = Pick<WebhookReceiver, 'connector' | 'secrets' | 'path_token_created_at'> & {
  settings: Values
}

/** @throws AppError `integration_not_found`, `connector_not_found`, `webhooks_not_offered` */
export async function describeReceiver(
  outside: Pick<Outside, 'db' | 'environment'>,
  integrationId: string,
): Promise<WebhookReceiver> {
  const { described, doors, scheme } = await receiverOf(outside, integrationId)
  const { connector, secrets, path_token_created_at } = described
  return {
    connector,
    secrets,
    path_token_created_at,
    doors: doors.map(({ at, setup }) => {
      const end = at === 'app' ? connector : integrationId
      const address = receiverAddress(outside.environment, end)
      // the token itself is known to nobody any more
      const whole = at === 'integration' && endsInToken(scheme) ? `${address}/<token>` : address
      return { at, address, setup: setup.replaceAll('{address}', `\`${whole}\``) }
    }),
  }
}

async function receiverOf({ db }: Pick<Outside, 'db'>, integrationId: string) {
  const described = await db.call<Described>('describe_webhook_receiver', {
    p_integration_id: integrationId,
  })
  const { name, webhooks } = requireConnector(described.connector)
  if (!webhooks) {
    throw new AppError('webhooks_not_offered', { detail: `${name} has no webhooks that are read.` })
  }
  return { described, name, doors: webhooks.doors, scheme: schemeOf(webhooks, described.settings) }
}

/** @throws AppError as {@link describeReceiver}, and `integration_disconnected`, `invalid_webhook_secret` */
export async function setWebhookSecret(
  outside: Outside,
  { integration_id, secret, overlap_hours = 24 }: z.output<typeof setSecretContract.request>,
  actorId: string | null,
): Promise<WebhookReceiver> {
  const { scheme, doors, name } = await receiverOf(outside, integration_id)
  if (scheme === 'path-token' || !doors.some(({ at }) => at === 'integration')) {
    throw new AppError('webhooks_not_offered', {
      detail: `Webhooks of ${name} are not signed with a secret of the account’s own.`,
    })
  }
  if (!isSecretOf(scheme, secret)) throw new AppError('invalid_webhook_secret')
  await outside.db.call('set_webhook_secret', {
    p_integration_id: integration_id,
    p_secret: secret,
    p_overlap_seconds: Math.round(overlap_hours * 3600),
    p_actor_id: actorId,
  })
  return await describeReceiver(outside, integration_id)
}

/** @throws AppError as {@link describeReceiver}, and `integration_disconnected` */
export async function rotateWebhookPath(
  outside: Outside,
  integrationId: string,
  actorId: string | null,
): Promise<{ address: string | null }> {
  await receiverOf(outside, integrationId)
  const { token, isSubscribed } = await setPathToken(outside, integrationId, actorId)
  return {
    address: isSubscribed
      ? null
      : receiverAddress(outside.environment, `${integrationId}/${token}`),
  }
}

/**
 * Gives the address another unguessable end, and answers it: it is kept nowhere.
 *
 * @returns `isSubscribed`: the platform is subscribed by itself, and will be anew with yet another one.
 */
export async function setPathToken(
  { db }: Pick<Outside, 'db'>,
  integrationId: string,
  actorId: string | null = null,
): Promise<{ token: string; isSubscribed: boolean }> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const isSubscribed = await db.call<boolean>('set_webhook_path_token', {
    p_integration_id: integrationId,
    p_token_hash: hashOfToken(token),
    p_actor_id: actorId,
  })
  return { token, isSubscribed }
}

/** Makes the end before it count again, unless another one was set since. */
export async function takeBackPathToken(
  { db }: Pick<Outside, 'db'>,
  integrationId: string,
  { token, before }: { token: string; before: string },
): Promise<void> {
  await db.call('set_webhook_path_token', {
    p_integration_id: integrationId,
    p_token_hash: before,
    p_instead_of: hashOfToken(token),
  })
}

const TOKEN_BYTES = 32

/** Whether this can be a secret: with a slip of the pen, every webhook would be refused. */
function isSecretOf(scheme: WebhookScheme, secret: string): boolean {
  switch (scheme) {
    case 'standard-webhooks':
      return isVerificationKey(secret)
    case 'airtable':
      return base64Bytes(secret) !== null && Buffer.from(secret, 'base64').length > 0
    case 'google-oidc':
      return /^[^@\s]+@[^@\s]+$/.test(secret)
    default:
      return true
  }
}
