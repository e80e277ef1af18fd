// How does X come to send webhooks? By a webhook of the app, and for each account a subscription to each kind of activity.
import { z } from 'zod'
import { basicAuthorization } from '../../http/basic-authorization.ts'
import { AppError } from '../../platform/errors.ts'
import type { AppSubscriptions } from '../vocabulary/app-subscriptions.ts'
import { tokenExchange } from '../vocabulary/auth.ts'
import { readPath } from '../vocabulary/read-path.ts'

/** Tells ours from those that somebody made by hand. */
const TAG = 'plugboard'

const id = z.string().regex(/^\d{1,19}$/)
const Webhook = z.object({ id, url: z.string(), valid: z.boolean() })
const Subscription = z.object({
  subscription_id: z.string().min(1),
  event_type: z.string(),
  filter: z.object({ user_id: id, direction: z.undefined().optional() }),
  webhook_id: id,
  tag: z.string().nullish(),
})
const Token = z.object({ token_type: z.literal('bearer'), access_token: z.string().min(1) })

/** The app-only token does not end, and is the same each time. */
const TOKEN_SECONDS = 3600

/** @param events The kinds of activity that are read. */
export const appSubscriptions = (events: string[]): AppSubscriptions => ({
  secrets: ['api_key', 'signing_secret'],
  auth: tokenExchange({
    settings: z.object({}),
    credentials: z.object({ api_key: z.string(), signing_secret: z.string() }),
    request: {
      path: '/oauth2/token',
      form: () => ({ grant_type: 'client_credentials' }),
      headers: ({ credentials: { api_key, signing_secret } }) => ({
        authorization: basicAuthorization(
          encodeURIComponent(api_key),
          encodeURIComponent(signing_secret),
        ),
      }),
    },
    read(body) {
      const token = Token.safeParse(body)
      return token.success
        ? { access_token: token.data.access_token, expires_in: TOKEN_SECONDS }
        : null
    },
    headers: (access_token) => ({ authorization: `Bearer ${access_token}` }),
  }),
  isOfApp: () => true,
  webhook: {
    list: () => ({ path: '/2/webhooks' }),
    readList: ({ body }) => ({
      webhooks: itemsOf(body, 'its webhooks')
        .flatMap((item) => Webhook.safeParse(item).data ?? [])
        .map(({ id, url, valid }) => ({ id, address: url, works: valid })),
      next: null,
    }),
    create: (url) => ({ method: 'POST', path: '/2/webhooks', json: { url } }),
    readCreated(body) {
      const made = Webhook.pick({ id: true }).safeParse(readPath(body, 'data') ?? body)
      if (made.success) return made.data.id
      throw badAnswer('the id of a new webhook')
    },
    repair: (id) => ({ method: 'PUT', path: `/2/webhooks/${id}` }),
    remove: (id) => ({ method: 'DELETE', path: `/2/webhooks/${id}`, accept: [404] }),
  },
  parts: {
    wanted: (accounts) => accounts.flatMap((account) => events.map((name) => ({ name, account }))),
    list: (after) => ({
      path: '/2/activity/subscriptions',
      query: { max_results: '1000', ...(after === null ? {} : { pagination_token: after }) },
    }),
    readList({ body }, webhookId) {
      const next = readPath(body, 'meta.next_token')
      return {
        parts: itemsOf(body, 'its activity subscriptions')
          .flatMap((item) => Subscription.safeParse(item).data ?? [])
          .filter(({ webhook_id }) => webhook_id === webhookId)
          .map(({ subscription_id, event_type, filter, tag }) => ({
            id: subscription_id,
            name: event_type,
            account: filter.user_id,
            works: true,
            isOurs: tag === TAG,
          })),
        next: typeof next === 'string' && next !== '' ? next : null,
      }
    },
    create: ({ name, account }, webhook_id) => ({
      method: 'POST',
      path: '/2/activity/subscriptions',
      json: { event_type: name, filter: { user_id: account }, webhook_id, tag: TAG },
    }),
    readCreated(body) {
      const made = Subscription.pick({ subscription_id: true })
        .safeParse(readPath(body, 'data.subscription') ?? readPath(body, 'data'))
      if (made.success) return made.data.subscription_id
      throw badAnswer('the id of a new activity subscription')
    },
    remove: (id) => ({
      method: 'DELETE',
      path: `/2/activity/subscriptions/${encodeURIComponent(id)}`,
      accept: [404],
    }),
  },
})

/** Where there is nothing, X may leave `data` out and say so beside it. */
function itemsOf(body: unknown, what: string): unknown[] {
  const items = readPath(body, 'data')
  if (Array.isArray(items)) return items
  const count = readPath(body, 'meta.result_count') ?? readPath(body, 'meta.total_subscriptions')
  if (items === undefined && count === 0) return []
  throw badAnswer(what)
}

const badAnswer = (what: string) =>
  new AppError('provider_bad_answer', { detail: `X answered without ${what}.` })
