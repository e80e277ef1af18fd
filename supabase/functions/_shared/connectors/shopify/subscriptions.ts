// How does Shopify come to send webhooks? By a subscription of our app at the shop for each topic.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import { platformWords } from '../vocabulary/platform-words.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { Subscriptions } from '../vocabulary/subscriptions.ts'

const TOPICS = ['PRODUCTS_CREATE', 'PRODUCTS_DELETE', 'PRODUCTS_UPDATE']
const FORMAT = 'JSON'

const LIST = `query subscriptions($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    nodes { id topic uri format }
    pageInfo { hasNextPage endCursor }
  }
}`
const CREATE =
  `mutation subscribe($topic: WebhookSubscriptionTopic!, $to: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $to) {
    webhookSubscription { id }
    userErrors { field message }
  }
}`
const REMOVE = `mutation unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}`

const Subscription = z.object({
  id: z.string().min(1),
  topic: z.string(),
  uri: z.string(),
  format: z.string(),
})
const Page = z.object({
  nodes: z.array(z.unknown()),
  pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullish() }),
})

/** @param graphql A call with a query and its variables. */
export const subscriptions = (
  graphql: (query: string, variables: Record<string, unknown>) => PlatformCall,
): Subscriptions => ({
  proof: 'known',
  // what a custom app of the shop subscribes is signed with that app's secret, which only its owner knows
  wanted: ({ settings, hasSecret }) =>
    settings.auth === 'oauth' || hasSecret
      ? TOPICS.map((topic) => ({ name: topic, spec: { format: FORMAT } }))
      : [],
  list: (after) => graphql(LIST, { after }),
  readList(body) {
    const page = Page.safeParse(readPath(body, 'data.webhookSubscriptions')).data
    if (!page) throw badAnswer('without its webhook subscriptions')
    const found = page.nodes.flatMap((node) => Subscription.safeParse(node).data ?? [])
    const { hasNextPage, endCursor } = page.pageInfo
    return {
      subscriptions: found.map(({ id, topic, uri, format }) => ({
        id,
        address: uri,
        name: TOPICS.includes(topic) ? topic : null,
        spec: { format },
        works: true, // one that fails for long is taken away
        expires_at: null,
      })),
      next: hasNextPage ? endCursor ?? null : null,
    }
  },
  create: ({ name }, uri) => graphql(CREATE, { topic: name, to: { uri, format: FORMAT } }),
  readCreated(body) {
    const answer = readPath(body, 'data.webhookSubscriptionCreate')
    const message = platformWords(readPath(answer, 'userErrors.0.message'))
    if (message !== '') {
      throw new AppError('provider_rejected', { detail: `Shopify subscribed nothing: ${message}` })
    }
    const id = readPath(answer, 'webhookSubscription.id')
    if (typeof id !== 'string') throw badAnswer('without the id of a new webhook subscription')
    return { id, secret: null, expires_at: null }
  },
  // one that is gone already is a user error, and no failure
  remove: (id) => graphql(REMOVE, { id }),
})

const badAnswer = (how: string) =>
  new AppError('provider_bad_answer', { detail: `Shopify answered ${how}.` })
