// Whose door was called, and what is a call to it checked with?
import { Buffer } from 'node:buffer'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Connector } from '../connectors/define-connector.ts'
import { findConnector } from '../connectors/index.ts'
import type { Values } from '../connectors/vocabulary/auth.ts'
import { schemeOf, type WebhookDoor, type Webhooks } from '../connectors/vocabulary/webhooks.ts'
import type { Database } from '../platform/database.ts'
import type { Environment } from '../platform/environment.ts'
import type { ReceiverSecrets, WebhookScheme } from './scheme.ts'

/** What comes after the function's name in the address that was called. */
export type WebhookAddress =
  | { integrationId: string; pathToken: string | null }
  | { slug: string }
  | 'apps'

export type Receiver = {
  connector: Connector
  webhooks: Webhooks
  scheme: WebhookScheme
  /** Null: the door of our app, for all accounts. */
  integrationId: string | null
  /** Changes with each change of the secrets; null where nothing was ever set. */
  version: string | null
  /** SHA-256 in hex. */
  pathTokenHash: string | null
  /** Its owner let our app in: what our app's secret signed may be about it. */
  hearsOurApp: boolean
  /** Newest first. */
  secrets: HeldSecret[]
}

export type HeldSecret = { secret: string; expires_at: string | null }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Null for an address that nobody was ever given. */
export function readAddress(pathname: string): WebhookAddress | null {
  const [, first, pathToken = null, ...rest] = pathname.split('/').filter(Boolean)
  if (first === undefined || rest.length > 0) return null
  if (UUID.test(first)) return { integrationId: first.toLowerCase(), pathToken }
  if (pathToken !== null) return null
  return first === 'apps' ? 'apps' : { slug: first }
}

/** Null where it does not end in a token. */
export const tokenHashOf = (address: WebhookAddress | null): string | null =>
  address !== null && typeof address === 'object' && 'pathToken' in address &&
    address.pathToken !== null
    ? hashOfToken(address.pathToken)
    : null

/** The door of our app at a platform. Null where there is no such app, or the platform has no such door. */
export function receiverOfApp(
  slug: string,
  { OAUTH_CLIENTS }: Pick<Environment, 'OAUTH_CLIENTS'>,
): Receiver | null {
  if (!Object.hasOwn(OAUTH_CLIENTS, slug)) return null
  const connector = withDoor(slug, 'app')
  return connector &&
    {
      ...connector,
      integrationId: null,
      version: null,
      pathTokenHash: null,
      hearsOurApp: true,
      secrets: [],
    }
}

type OpenReceiver = {
  connector: string
  settings: Values
  version: string | null
  path_token_hash: string | null
  hears_our_app: boolean
  secrets: Receiver['secrets']
}

/** The door of an integration. Null when it is unknown or disconnected, or its platform has no such door. */
export async function receiverOfIntegration(
  db: Database,
  integrationId: string,
): Promise<Receiver | null> {
  const open = await db.call<OpenReceiver | null>('open_webhook_receiver', {
    p_integration_id: integrationId,
  })
  const connector = open && withDoor(open.connector, 'integration', open.settings)
  if (!open || !connector) return null
  const { version, path_token_hash, hears_our_app, secrets } = open
  return {
    ...connector,
    integrationId,
    version,
    pathTokenHash: path_token_hash,
    hearsOurApp: hears_our_app,
    secrets,
  }
}

/** Whether an integration has a door of its own at this platform. */
export const hasOwnDoor = (slug: string): boolean => withDoor(slug, 'integration') !== null

function withDoor(slug: string, at: WebhookDoor['at'], settings: Values = {}) {
  const connector = findConnector(slug)
  const webhooks = connector?.webhooks
  if (!connector || !webhooks?.doors.some((door) => door.at === at)) return null
  return { connector, webhooks, scheme: schemeOf(webhooks, settings) }
}

/** @param tokenHash Of the token that was called, as `hashOfToken` makes it. */
export function secretsOf(
  receiver: Receiver,
  tokenHash: string | null,
  { OAUTH_CLIENTS }: Pick<Environment, 'OAUTH_CLIENTS'>,
  now: Date,
): ReceiverSecrets {
  const { connector, secrets, pathTokenHash, hearsOurApp } = receiver
  return {
    signing: liveSecrets(secrets, now),
    app: hearsOurApp && Object.hasOwn(OAUTH_CLIENTS, connector.slug)
      ? OAUTH_CLIENTS[connector.slug]!
      : null,
    pathTokenMatches: tokenHash !== null && pathTokenHash !== null &&
      timingSafeEqual(Buffer.from(tokenHash, 'hex'), Buffer.from(pathTokenHash, 'hex')),
  }
}

/** Those that have not expired. */
export const liveSecrets = (secrets: HeldSecret[], now: Date): string[] =>
  secrets
    .filter(({ expires_at }) => expires_at === null || Date.parse(expires_at) > now.getTime())
    .map(({ secret }) => secret)

export const hashOfToken = (token: string): string =>
  createHash('sha256').update(token).digest('hex')
