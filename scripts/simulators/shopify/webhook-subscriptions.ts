// An app's webhook subscriptions at the shop: made, listed and deleted in GraphQL, and products that change told to them.
import { createHmac, randomUUID } from 'node:crypto'
import type { WebhookSender } from '../parts/webhook-sender.ts'
import type { ShopifyProduct } from './catalog.ts'
import { connection, type Node } from './execute.ts'

export type WebhookSubscription = {
  id: string
  topic: string
  uri: string
  format: string
  /** Whose it is: one app neither sees nor deletes another one's. */
  app: string
}

export type WebhookSubscriptions = {
  all: WebhookSubscription[]
  /** The fields of the API's root that an app has. */
  fields(app: string): Record<string, unknown>
  /** An app leaves the shop, and its subscriptions with it. */
  leave(app: string): void
  tell(topic: string, product: ShopifyProduct): void
}

const TOPICS = ['PRODUCTS_CREATE', 'PRODUCTS_DELETE', 'PRODUCTS_UPDATE', 'APP_UNINSTALLED']

type Change = { topic: string; webhookSubscription: { uri?: string; format?: string } }

/** @param shop `secrets` are those the apps' webhooks are signed with, by app. */
export function webhookSubscriptions(
  sender: WebhookSender,
  shop: { domain: string; secrets: Record<string, string>; now(): number },
): WebhookSubscriptions {
  const all: WebhookSubscription[] = []
  let made = 0
  const nodeOf = ({ app: _, ...subscription }: WebhookSubscription): Node => ({
    __typename: 'WebhookSubscription',
    ...subscription,
  })
  const userError = (field: string[], message: string) => ({
    __typename: 'UserError',
    field,
    message,
  })

  function create(app: string, { topic, webhookSubscription: { uri, format } }: Change): Node {
    const refused = (field: string[], message: string): Node => ({
      __typename: 'WebhookSubscriptionCreatePayload',
      webhookSubscription: null,
      userErrors: [userError(field, message)],
    })
    if (!TOPICS.includes(topic)) return refused(['topic'], 'Topic is invalid')
    if (!URL.canParse(uri ?? '')) {
      return refused(['webhookSubscription', 'uri'], 'Address is not a valid URL')
    }
    const isTaken = all.some((other) =>
      other.app === app && other.topic === topic && other.uri === uri
    )
    if (isTaken) {
      return refused(
        ['webhookSubscription', 'uri'],
        'Address for this topic has already been taken',
      )
    }
    const id = `gid://shopify/WebhookSubscription/${1_200_000_000_000 + ++made}`
    const subscription = { id, topic, uri: uri!, format: format ?? 'JSON', app }
    all.push(subscription)
    return {
      __typename: 'WebhookSubscriptionCreatePayload',
      webhookSubscription: nodeOf(subscription),
      userErrors: [],
    }
  }

  function remove(app: string, id: string): Node {
    const at = all.findIndex((subscription) => subscription.id === id && subscription.app === app)
    if (at >= 0) all.splice(at, 1)
    return {
      __typename: 'WebhookSubscriptionDeletePayload',
      deletedWebhookSubscriptionId: at >= 0 ? id : null,
      userErrors: at >= 0
        ? []
        : [userError(['id'], 'Webhook subscription does not exist or could not be found')],
    }
  }

  return {
    all,
    fields: (app) => ({
      webhookSubscriptions: (args: { first: number; after: string | null }) =>
        connection(all.filter((subscription) => subscription.app === app).map(nodeOf), args),
      webhookSubscriptionCreate: (change: Change) => create(app, change),
      webhookSubscriptionDelete: ({ id }: { id: string }) => remove(app, id),
    }),
    leave: (app) =>
      void all.splice(0, all.length, ...all.filter((subscription) => subscription.app !== app)),
    tell(topic, product) {
      const name = topic.toLowerCase().replace('_', '/')
      const body = bodyOf(topic, product)
      const event = randomUUID() // one for the merchant's action, whoever hears of it
      for (const subscription of all.filter((subscription) => subscription.topic === topic)) {
        const hmac = createHmac('sha256', shop.secrets[subscription.app]!).update(body)
        const headers = {
          'content-type': 'application/json',
          'x-shopify-topic': name,
          'x-shopify-hmac-sha256': hmac.digest('base64'),
          'x-shopify-shop-domain': shop.domain,
          'x-shopify-api-version': '2026-10',
          'x-shopify-webhook-id': randomUUID(),
          'x-shopify-event-id': event,
          'x-shopify-triggered-at': new Date(shop.now()).toISOString(),
        }
        sender.send({ url: subscription.uri, body, headers: () => headers })
      }
    },
  }
}

/** As the older REST API has products; of a deletion the number alone. Numbers are written out: they may pass 2^53. */
function bodyOf(topic: string, { id, title, vendor, updatedAt, status }: ShopifyProduct): string {
  const number = id.split('/').at(-1)!
  if (topic === 'PRODUCTS_DELETE') return `{"id":${number}}`
  const rest = JSON.stringify({
    admin_graphql_api_id: id,
    title,
    vendor,
    updated_at: updatedAt,
    status: status.toLowerCase(),
  })
  return `{"id":${number},${rest.slice(1)}`
}
