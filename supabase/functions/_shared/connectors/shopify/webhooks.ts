// What does a webhook of Shopify say? Which product changed or is gone; the shop and the topic are in its headers.
import { readPath } from '../vocabulary/read-path.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import type { Subscriptions } from '../vocabulary/subscriptions.ts'
import {
  givenToUs,
  type InboundWebhook,
  inOrder,
  orByHand,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'

/** The newer kind of webhooks leaves the `X-` out. */
const header = ({ headers }: InboundWebhook, name: string): string | null =>
  headers.get(`x-shopify-${name}`) ?? headers.get(`shopify-${name}`)

const HEADERS = ['topic', 'shop-domain', 'triggered-at']
const TOPICS = '`products/create`, `products/update` and `products/delete`'

const KINDS: Record<string, WebhookNotice['kind']> = {
  'products/create': 'changed',
  'products/update': 'changed',
  'products/delete': 'deleted',
}

/** @param isShop Whether this is the address of a shop at Shopify. */
export const webhooks = (
  isShop: (domain: string) => boolean,
  subscriptions: Subscriptions,
): Webhooks => {
  const shopOf = (webhook: InboundWebhook): string | null => {
    const shop = header(webhook, 'shop-domain')?.trim().toLowerCase() ?? ''
    return isShop(shop) ? shop : null
  }
  return {
    scheme: 'shopify',
    subscriptions,
    headers: HEADERS.flatMap((name) => [`x-shopify-${name}`, `shopify-${name}`]),
    doors: [
      {
        at: 'app',
        setup: inOrder(
          'Set `OAUTH_CLIENTS` with the app’s `client_secret`, as for sign-ins.',
          `In our app at Shopify (shopify.app.toml, or by the API), subscribe {address} to the topics ${TOPICS}, as JSON.`,
        ),
      },
      {
        at: 'integration',
        setup: orByHand(
          'After a sign-in Plugboard subscribes by itself; with an admin token once it has the ' +
            'API secret key of the custom app, with which its webhooks are signed: ' +
            '`integrations.setWebhookSecret({ integration_id, secret })`',
          `In the shop’s admin, under Settings, Notifications, Webhooks, create one for each of ${TOPICS}, as JSON, with ` +
            'the address {address}.',
          givenToUs('the secret that is shown there'),
        ),
      },
    ],
    accounts: (webhook) => [shopOf(webhook)].filter((shop) => shop !== null),
    type: (webhook) => header(webhook, 'topic'),
    isFarewell: (webhook) => header(webhook, 'topic') === 'app/uninstalled',
    // The signature is over the body alone: with another header, what somebody has caught would be another webhook. Of several
    // in the same words one is enough, since the product is read anew.
    dedupeKey: (webhook) => [shopOf(webhook), header(webhook, 'topic'), webhook.hash].join(':'),
    notices(webhook) {
      const topic = header(webhook, 'topic') ?? ''
      const source_id = productId(webhook.body)
      if (!Object.hasOwn(KINDS, topic) || source_id === null) return []
      // a deletion has the id alone: with the topic changed on its way, a product would not
      const kind = isIdAlone(webhook.body) ? KINDS[topic]! : 'changed'
      // the time that Shopify sent it, which is after what happened
      const sent = timestampText(header(webhook, 'triggered-at'))
      const updated = timestampText(readPath(webhook.body, 'updated_at'))
      return [{
        account: shopOf(webhook),
        stream: 'products',
        source_id,
        kind,
        occurred_at: updated ?? sent ?? webhook.received_at,
        dedupe_key: `${topic}:${source_id}:${webhook.hash}`,
      }]
    },
  }
}

const isIdAlone = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && Object.keys(body).join() === 'id'

/** As GraphQL has it; a deletion brings the number only. */
function productId(body: unknown): string | null {
  const gid = readPath(body, 'admin_graphql_api_id')
  if (typeof gid === 'string' && /^gid:\/\/shopify\/Product\/\d+$/.test(gid)) return gid
  const id = readPath(body, 'id')
  return Number.isSafeInteger(id) && Number(id) > 0 ? `gid://shopify/Product/${id}` : null
}
