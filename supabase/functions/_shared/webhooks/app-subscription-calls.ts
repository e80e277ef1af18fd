// The calls by which our app's own webhook and its parts are listed, made, repaired and ended at its platform.
import { addresses } from '../connectors/addresses.ts'
import { openAuthentication } from '../connectors/authenticate.ts'
import { platformCaller } from '../connectors/call-platform.ts'
import type { Connector } from '../connectors/define-connector.ts'
import type {
  AppSubscriptions,
  ListedAppWebhook,
  ListedPart,
  WantedPart,
} from '../connectors/vocabulary/app-subscriptions.ts'
import type { AccountValues } from '../connectors/vocabulary/auth.ts'
import type { PlatformAnswer, PlatformCall } from '../connectors/vocabulary/platform-call.ts'
import type { HttpClient } from '../http/client.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import type { AppSecrets } from './scheme.ts'

const MOST_PAGES = 1_000

export type AppSubscriptionCalls = {
  listWebhooks(): Promise<ListedAppWebhook[]>
  /** Sent once only, as all that make something: what became of a lost answer is for the next list to say. */
  createWebhook(address: string): Promise<string>
  repairWebhook(id: string): Promise<void>
  removeWebhook(id: string): Promise<void>
  listParts(webhookId: string): Promise<ListedPart[]>
  createPart(part: WantedPart, webhookId: string): Promise<string>
  repairPart(id: string): Promise<void>
  removePart(id: string): Promise<void>
}

type Parts = {
  connector: Connector
  declared: AppSubscriptions
  app: AppSecrets
  http: HttpClient
  outside: Pick<Outside, 'clock' | 'environment'>
}

export function appSubscriptionCalls(
  { connector, declared, app, http, outside: { clock, environment } }: Parts,
): AppSubscriptionCalls {
  const { webhook, parts } = declared
  const account: AccountValues = {
    settings: connector.settings.parse({}), // what an owner signs in with who chooses nothing
    credentials: { ...app },
    account: app.app_id === undefined ? {} : { app_id: app.app_id },
  }
  const address = addresses(connector, account, environment.CONNECTOR_OVERRIDES)
  const ofApp: Connector = { ...connector, auth: () => declared.auth, accountId: () => '' }
  const authentication = openAuthentication({
    connector: ofApp,
    account,
    http,
    clock,
    // for one look
    tokens: {
      read: () => Promise.resolve(null),
      write: () => Promise.resolve(),
      clear: () => Promise.resolve(),
    },
    address: address.of,
  })
  const send = platformCaller({ connector: ofApp, account, http, clock, authentication })
  const call = ({ path, ...rest }: PlatformCall, repeatable = true) =>
    send({ ...rest, url: address.of(path) }, { repeatable })

  async function all<Item>(
    list: (after: string | null) => PlatformCall,
    read: (answer: PlatformAnswer) => { items: Item[]; next: string | null },
  ): Promise<Item[]> {
    const found: Item[] = []
    let after: string | null = null
    for (let page = 0; page < MOST_PAGES; page++) {
      const { items, next } = read(await call(list(after)))
      found.push(...items)
      if (next === null) return found
      if (next === after) break
      after = next
    }
    throw new AppError('provider_bad_answer', {
      detail: 'The list of webhook subscriptions has no end.',
    })
  }

  return {
    listWebhooks: () =>
      all(webhook.list, (answer) => {
        const { webhooks, next } = webhook.readList(answer)
        return { items: webhooks, next }
      }),
    async createWebhook(to) {
      return webhook.readCreated((await call(webhook.create(to), false)).body)
    },
    async repairWebhook(id) {
      if (webhook.repair) await call(webhook.repair(id))
    },
    async removeWebhook(id) {
      await call(webhook.remove(id))
    },
    listParts: (webhookId) =>
      all(parts.list, (answer) => {
        const { parts: items, next } = parts.readList(answer, webhookId)
        return { items, next }
      }),
    async createPart(part, webhookId) {
      return parts.readCreated((await call(parts.create(part, webhookId), false)).body)
    },
    async repairPart(id) {
      if (parts.repair) await call(parts.repair(id))
    },
    async removePart(id) {
      await call(parts.remove(id))
    },
  }
}
