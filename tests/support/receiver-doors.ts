// Doors for webhooks, as tests set them up and call them: integrations of a team, their secrets, and our own apps.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Functions } from './functions.ts'
import { keepGrant } from './integrations.ts'
import type { Team } from './people.ts'
import { sharedStack } from './shared-stack.ts'
import { type Sender, type SenderName, SENDERS } from './webhook-senders.ts'

const { functionsUrl } = sharedStack

/** Our apps at platforms that send all accounts' webhooks to one address. */
export const APPS = {
  hubspot: { client_id: 'hubspot-app', client_secret: randomBytes(16).toString('hex') },
  linkedin: { client_id: 'linkedin-app', client_secret: randomBytes(16).toString('hex') },
  shopify: { client_id: 'shopify-app', client_secret: randomBytes(16).toString('hex') },
  slack: {
    client_id: 'slack-app',
    client_secret: randomBytes(16).toString('hex'),
    signing_secret: randomBytes(16).toString('hex'),
  },
  x: {
    client_id: 'x-app',
    client_secret: randomBytes(16).toString('hex'),
    signing_secret: randomBytes(16).toString('hex'),
  },
}

/** Sends to a door and answers what a platform sees. */
export async function sendToDoor(path: string, init: RequestInit) {
  const response = await fetch(`${functionsUrl}/webhook-receive/${path}`, init)
  const headers = Object.fromEntries(
    [...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)),
  )
  return { status: response.status, headers, text: await response.text() }
}

export const postToDoor = (
  path: string,
  { headers, body }: { headers: Record<string, string>; body: BodyInit },
) => sendToDoor(path, { method: 'POST', headers, body })

/** @param team Asked when a door is set up: it is made before the tests. */
export function useDoors(functions: Functions, team: () => Team) {
  const { call, database } = functions
  const { owner } = database

  /** For a `beforeAll`. */
  async function registerApps(): Promise<void> {
    await functions.remote.setFunctionsEnv({ OAUTH_CLIENTS: JSON.stringify(APPS) })
    for (const app of Object.values(APPS)) {
      functions.keepSecret(app.client_secret)
      if ('signing_secret' in app) functions.keepSecret(app.signing_secret)
    }
  }

  async function connect(
    connector: string,
    account: string = randomUUID(),
    organizationId = team().organizationId,
    settings: Record<string, unknown> = {},
  ): Promise<string> {
    const { id } = await database.call<{ id: string }>('service_role', 'connect_integration', {
      p_organization_id: organizationId,
      p_connector: connector,
      p_external_account_id: account,
      p_name: 'Main street',
      p_settings: settings,
      p_credentials: {},
    })
    if (Object.hasOwn(APPS, connector)) await keepGrant(database, id)
    // nothing is asked of platforms that are not there
    await owner`update public.sync_streams set enabled = false where integration_id = ${id}`
    return id
  }

  async function setSecret(
    integrationId: string,
    secret: string,
    options: Record<string, unknown> = {},
  ): Promise<void> {
    functions.keepSecret(secret)
    const answer = await call(team().manager, '/integrations/set-webhook-secret', {
      integration_id: integrationId,
      secret,
      ...options,
    })
    if (answer.status !== 200) throw new Error(answer.text)
  }

  async function newPath(integrationId: string): Promise<string> {
    const { body } = await call<{ address: string }>(
      team().manager,
      '/integrations/rotate-webhook-path',
      { integration_id: integrationId },
    )
    return body.address.split('/webhook-receive/')[1]!
  }

  /** An integration whose door is set up, its path and its secret. */
  async function door(name: SenderName) {
    const id = await connect(name)
    const secret = (SENDERS[name] as Sender).newSecret?.() ?? ''
    if (secret !== '') await setSecret(id, secret)
    const path = secret === '' ? await newPath(id) : id
    return { id, path, secret, url: `${functionsUrl}/webhook-receive/${path}` }
  }

  return { registerApps, connect, setSecret, newPath, door }
}
