// An app's webhooks at X: made with the app-only token, looked at by CRC, and what each account's subscriptions bring.
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import {
  formOf,
  jsonOf,
  type SimulatorAnswer,
  type SimulatorRequest,
} from '../parts/http-server.ts'
import type { WebhookSender } from '../parts/webhook-sender.ts'
import type { Activity, Person } from './network.ts'
import { problem } from './problems.ts'

export type AppWebhook = { id: string; url: string; valid: boolean; created_at: string }
export type ActivitySubscription = {
  subscription_id: string
  event_type: string
  filter: { user_id: string }
  webhook_id: string
  tag?: string
}

export type AppWebhooks = {
  webhooks: AppWebhook[]
  subscriptions: ActivitySubscription[]
  /** Answers the token's and the webhooks' addresses; null for everything else. */
  answer(request: SimulatorRequest): Promise<SimulatorAnswer> | SimulatorAnswer | null
  /** Asks each address whether it is still ours, as X does each hour. */
  check(): Promise<void>
  tell(activity: Activity): void
}

const EVENTS = ['post.create', 'post.delete', 'post.mention.create', 'follow.follow']
const MOST_WEBHOOKS = 5

const Creation = z.object({ url: z.url() })
const Subscribing = z.object({
  event_type: z.enum(EVENTS),
  filter: z.object({ user_id: z.string().regex(/^\d+$/) }),
  webhook_id: z.string(),
  tag: z.string().min(1).max(200).optional(),
})

type App = { apiKey: string; signingSecret: string; people: Person[]; now(): number }

export function appWebhooks(
  sender: WebhookSender,
  { apiKey, signingSecret, people, now }: App,
): AppWebhooks {
  const webhooks: AppWebhook[] = []
  const subscriptions: ActivitySubscription[] = []
  let made = 0
  const token = `AAAAAAAAAAAA${randomBytes(12).toString('hex')}`
  const sign = (text: string) =>
    `sha256=${createHmac('sha256', signingSecret).update(text).digest('base64')}`

  async function isOurs(url: string): Promise<boolean> {
    const crc_token = randomBytes(16).toString('base64url')
    const asked = new URL(url)
    asked.searchParams.set('crc_token', crc_token)
    const answer = await fetch(asked, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    const body = await answer?.json().catch(() => null) as { response_token?: string } | null
    return answer?.status === 200 && body?.response_token === sign(crc_token)
  }

  function exchange(request: SimulatorRequest): SimulatorAnswer {
    const pair = Buffer.from(`${apiKey}:${signingSecret}`).toString('base64')
    const isApp = request.headers['authorization'] === `Basic ${pair}`
    return isApp && formOf(request)['grant_type'] === 'client_credentials'
      ? { body: { token_type: 'bearer', access_token: token } }
      : {
        status: 403,
        body: { errors: [{ code: 99, message: 'Unable to verify your credentials' }] },
      }
  }

  async function create(request: SimulatorRequest): Promise<SimulatorAnswer> {
    const parsed = Creation.safeParse(jsonOf(request))
    const { protocol, hostname, port } = new URL(parsed.data?.url ?? 'http:none')
    // an address of this machine is let through, as it cannot be any other way
    if (hostname !== '127.0.0.1' && (protocol !== 'https:' || port !== '')) {
      return problem(400, 'Invalid Request', 'The url must be https, without a port.')
    }
    const { url } = parsed.data!
    if (webhooks.some((other) => other.url === url)) {
      return problem(409, 'Conflict', 'DuplicateUrl: this url is a webhook already.')
    }
    if (webhooks.length >= MOST_WEBHOOKS) {
      return problem(400, 'Invalid Request', 'WebhookConfigLimitExceeded')
    }
    if (!await isOurs(url)) {
      return problem(400, 'Invalid Request', 'CrcValidationFailed: the CRC was not answered.')
    }
    const webhook = {
      id: String(1_960_000_000_000_000_001n + BigInt(made++)),
      url,
      valid: true,
      created_at: new Date(now()).toISOString(),
    }
    webhooks.push(webhook)
    return { status: 200, body: { data: webhook } }
  }

  async function change(request: SimulatorRequest, id: string): Promise<SimulatorAnswer> {
    const at = webhooks.findIndex((webhook) => webhook.id === id)
    if (at < 0) return problem(404, 'Not Found', 'There is no such webhook.')
    if (request.method === 'DELETE') {
      webhooks.splice(at, 1)
      return { body: { data: { deleted: true } } }
    }
    webhooks[at]!.valid = await isOurs(webhooks[at]!.url)
    return { body: { data: { attempted: true } } }
  }

  function subscribe(request: SimulatorRequest): SimulatorAnswer {
    const parsed = Subscribing.safeParse(jsonOf(request))
    if (!parsed.success) return problem(400, 'Invalid Request', 'Not a subscription.')
    const { tag, ...wanted } = parsed.data
    if (!webhooks.some(({ id }) => id === wanted.webhook_id)) {
      return problem(400, 'Invalid Request', 'There is no such webhook.')
    }
    const subscription = {
      subscription_id: String(1_970_000_000_000_000_001n + BigInt(made++)),
      ...wanted,
      ...(tag === undefined ? {} : { tag }),
    }
    subscriptions.push(subscription) // the same one twice brings everything twice
    return { body: { data: { subscription } } }
  }

  function list({ url }: SimulatorRequest): SimulatorAnswer {
    const size = Number(url.searchParams.get('max_results') ?? 100)
    const from = Number(url.searchParams.get('pagination_token') ?? 0)
    const page = subscriptions.slice(from, from + size)
    const meta = {
      total_subscriptions: subscriptions.length,
      ...(from + size < subscriptions.length ? { next_token: String(from + size) } : {}),
    }
    return { body: { ...(page.length > 0 ? { data: page } : {}), meta } }
  }

  function unsubscribe(id: string): SimulatorAnswer {
    const at = subscriptions.findIndex(({ subscription_id }) => subscription_id === id)
    if (at < 0) return problem(404, 'Not Found', 'There is no such subscription.')
    subscriptions.splice(at, 1)
    return { body: { data: { deleted: true } } }
  }

  return {
    webhooks,
    subscriptions,
    answer(request) {
      const { method, url: { pathname }, headers } = request
      if (pathname === '/oauth2/token') return exchange(request)
      const [, what, id] = /^\/2\/(webhooks|activity\/subscriptions)(?:\/(\d+))?$/
        .exec(pathname) ?? []
      if (what === undefined) return null
      // nobody's own token will do
      if (headers['authorization'] !== `Bearer ${token}`) {
        return problem(
          403,
          'Unsupported Authentication',
          'Use the OAuth 2.0 Application-Only token.',
        )
      }
      if (what === 'webhooks') {
        if (id !== undefined) return change(request, id)
        return method === 'POST'
          ? create(request)
          : { body: { data: webhooks, meta: { result_count: webhooks.length } } }
      }
      if (id !== undefined) return unsubscribe(id)
      return method === 'POST' ? subscribe(request) : list(request)
    },
    async check() {
      for (const webhook of webhooks) webhook.valid = await isOurs(webhook.url)
    },
    tell({ event_type, user_id, payload }) {
      const author = people.find(({ id }) => id === payload['author_id'])
      for (const subscription of subscriptions) {
        const isMeant = subscription.event_type === event_type &&
          subscription.filter.user_id === user_id
        const webhook = webhooks.find(({ id }) => id === subscription.webhook_id)
        if (!isMeant || !webhook?.valid) continue
        const body = JSON.stringify({
          data: {
            event_uuid: randomUUID(),
            filter: subscription.filter,
            event_type,
            ...(subscription.tag === undefined ? {} : { tag: subscription.tag }),
            payload,
            ...(author ? { includes: { users: [author] } } : {}),
          },
        })
        const headers = {
          'content-type': 'application/json',
          'x-twitter-webhooks-signature': sign(body),
        }
        sender.send({ url: webhook.url, body, headers: () => headers })
      }
    },
  }
}
