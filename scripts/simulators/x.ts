// X on loopback: posts, mentions and their limits over API v2, behind a real sign-in.
import { z } from 'zod'
import { type Fault, type Faults, faults } from './parts/faults.ts'
import { type FixedWindows, fixedWindows, type WindowLimit } from './parts/fixed-windows.ts'
import { jsonOf, type SimulatorAnswer, startSimulatorServer } from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'
import { type ActivitySubscription, type AppWebhook, appWebhooks } from './x/app-webhooks.ts'
import { createNetwork, type Network, type Person } from './x/network.ts'
import { answerX, type XRoutes } from './x/routes.ts'

export type XSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** The same seed gives the same posts, but for the times, which lie before `now`. */
  seed?: number
  /** Own posts of each account, and posts that mention it. Default 40 and 25. */
  posts?: number
  mentions?: number
  now?: () => Date
}

/** Requests of one user in a quarter of an hour. */
const LIMITS: Record<string, WindowLimit> = Object.fromEntries(
  Object.entries({ me: 75, tweets: 900, mentions: 300, lookup: 5000, post: 100, delete: 50 })
    .map(([endpoint, requests]) => [endpoint, { requests, seconds: 900 }]),
)

const ACCOUNTS: Person[] = [
  { id: '2244994945', name: 'Acme', username: 'acme' },
  { id: '783214', name: 'Fieldnotes', username: 'fieldnotes' },
]

export type XControl = {
  setFault(fault: Fault): void
  clearFaults(): void
  /** Requests of one user to an endpoint: `tweets`, `mentions`, `lookup`, `post`, `delete`, `me`. */
  limit(endpoint: string, limit: WindowLimit): void
  /** Refuses every call until told otherwise. */
  refuse(why: XRoutes['state']['refusal']): void
  /** X no longer knows the pages it pointed to. */
  forgetPages(): void
  remove(post_id: string): boolean
  /** Looks whether each webhook still answers, as X does each hour. */
  checkWebhooks(): Promise<void>
}

export type XSimulator = {
  /** Origin, without a slash at the end. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "x": { "baseUrl": … } }`. */
  baseUrl: string
  /** What `OAUTH_CLIENTS` takes. */
  client: { client_id: string; client_secret: string; api_key: string; signing_secret: string }
  oauth: OAuthServer
  /** Names to give the consent page. */
  accounts: Person[]
  network: Network
  control: XControl
  /** Our app's, and what it is subscribed to of each account. */
  webhooks: AppWebhook[]
  subscriptions: ActivitySubscription[]
  /** The webhooks that were sent. */
  sent: WebhookSender['sent']
  requests: LoggedRequest[]
  stop(): Promise<void>
}

/** Starts the simulator on 127.0.0.1. */
export async function startXSimulator(options: XSimulatorOptions = {}): Promise<XSimulator> {
  const now = options.now ?? (() => new Date())
  const injected = faults()
  const log = requestLog()
  const client = { client_id: 'plugboard-at-x', client_secret: 'x secret: & +' }
  const consumer = { api_key: 'x-consumer-key', signing_secret: 'x-consumer-secret' }
  const sender = webhookSender()
  const network = createNetwork({
    accounts: ACCOUNTS,
    posts: options.posts ?? 40,
    mentions: options.mentions ?? 25,
    seed: options.seed ?? 1,
    now: () => now().getTime(),
    told: (activity) => app.tell(activity),
  })
  const app = appWebhooks(sender, {
    apiKey: consumer.api_key,
    signingSecret: consumer.signing_secret,
    people: network.people,
    now: () => now().getTime(),
  })
  const oauth = oauthServer({
    platform: 'X',
    authorization_path: '/i/oauth2/authorize',
    token_path: '/2/oauth2/token',
    revocation_path: '/2/oauth2/revoke',
    client: { ...client, token_endpoint_auth_method: 'client_secret_basic' },
    redirect_uris: 'any',
    pkce: 'required',
    scopes: ['tweet.read', 'tweet.write', 'users.read', 'offline.access'],
    rotation: true,
    issues_refresh_token: ({ scopes }) => scopes.includes('offline.access'),
    access_token_seconds: 7200,
    code_seconds: 30,
    accounts: ACCOUNTS.map(({ username }) => username),
    answer: (answer, { grant_type }) =>
      grant_type === 'refresh_token' && answer.body['error'] === 'invalid_grant'
        ? {
          status: 400,
          body: {
            error: 'invalid_request',
            error_description: 'Value passed for the token was invalid.',
          },
        }
        : answer,
    faults: injected,
    now,
  })
  const state: XRoutes['state'] = { refusal: null, forgotten: 0, tokens: [] }
  const windows = fixedWindows(LIMITS, () => now().getTime())
  const routes: XRoutes = { network, windows, state, verify: oauth.verify }
  const control = xControl(injected, windows, routes, app.check)
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) => app.answer(request) ?? answerX(request, routes),
    control: (request) =>
      answerOAuthControl(request, oauth) ??
        answerControl(request.url.pathname, jsonOf(request), control, routes),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client: { ...client, ...consumer },
    oauth,
    accounts: ACCOUNTS,
    network,
    control,
    webhooks: app.webhooks,
    subscriptions: app.subscriptions,
    sent: sender.sent,
    requests: log.entries,
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}

function xControl(
  injected: Faults,
  windows: FixedWindows,
  { network, state }: XRoutes,
  checkWebhooks: XControl['checkWebhooks'],
): XControl {
  return {
    setFault: (fault) => void injected.set(fault),
    clearFaults: injected.clear,
    limit: windows.set,
    refuse: (why) => void (state.refusal = why),
    forgetPages: () => void (state.forgotten = state.tokens.length),
    remove: network.remove,
    checkWebhooks,
  }
}

const NewPost = z.strictObject({ text: z.string().min(1), username: z.string() })
const Refusal = z.strictObject({ why: z.enum(['no_credits', 'usage_capped']).nullable() })

/** `POST /_control/publish {text, username}`, `remove {id}`, `refuse {why}`, `forget-pages`. */
function answerControl(
  path: string,
  body: unknown,
  control: XControl,
  { network }: XRoutes,
): SimulatorAnswer {
  try {
    switch (path.slice('/_control/'.length)) {
      case 'publish': {
        const { text, username } = NewPost.parse(body)
        const author = network.people.find((person) => person.username === username)
        if (!author) throw new Error(`nobody is called ${username}`)
        return { body: network.publish({ text, author_id: author.id }) }
      }
      case 'remove':
        return { body: { ok: control.remove(z.object({ id: z.string() }).parse(body).id) } }
      case 'refuse':
        control.refuse(Refusal.parse(body).why)
        return { body: { ok: true } }
      case 'forget-pages':
        control.forgetPages()
        return { body: { ok: true } }
    }
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } }
  }
  return { status: 404, body: { error: `no such control: ${path}` } }
}
