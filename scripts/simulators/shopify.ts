// A Shopify shop on loopback: its GraphQL API with a bucket of points, its sign-in, and a way to bend it.
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import {
  answerVerbs,
  type CommonControl,
  commonControl,
  commonVerbs,
  recordVerbs,
} from './parts/control-verbs.ts'
import { type Fault, faults } from './parts/faults.ts'
import { jsonOf, type SimulatorAnswer, startSimulatorServer } from './parts/http-server.ts'
import type { Records } from './parts/records.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'
import { productNode, shopifyCatalog, type ShopifyProduct } from './shopify/catalog.ts'
import { type CostBucket, costBucket } from './shopify/cost-bucket.ts'
import { connection, execute, type Node, requestedCost } from './shopify/execute.ts'
import { parseQuery, QueryError } from './shopify/query.ts'
import { signCallback } from './shopify/signed-callback.ts'
import { type WebhookSubscription, webhookSubscriptions } from './shopify/webhook-subscriptions.ts'

export type ShopifySimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** The same seed gives the same catalog, but for the dates, which lie before `now`. */
  seed?: number
  products?: number
  shop?: { domain: string; name: string; currencyCode: string }
  /** The points of the shop's plan; by default a standard one's. */
  plan?: { maximum: number; restoreRate: number }
  adminToken?: string
  client?: { client_id: string; client_secret: string }
  now?: () => Date
}

export type ShopifyControl =
  & CommonControl
  & Pick<Records<ShopifyProduct>, 'change' | 'add' | 'remove'>
  & {
    /** The points of another plan, all of them there. */
    setPlan: CostBucket['set']
    /** The custom app is taken off the shop: its admin token ends. */
    uninstall(): void
  }

export type ShopifySimulator = {
  /** Origin, without a slash at the end: what `CONNECTOR_OVERRIDES` takes as `baseUrl`. */
  url: string
  baseUrl: string
  control: ShopifyControl
  oauth: OAuthServer
  /** Our app at Shopify: what `OAUTH_CLIENTS` takes. */
  client: { client_id: string; client_secret: string }
  /** What an owner types into the connect form for the mode `admin_token`. */
  credentials: { access_token: string }
  settings: { shop: string }
  /** Of our app and of the custom app. */
  subscriptions: WebhookSubscription[]
  /** What was sent to them. */
  sent: WebhookSender['sent']
  catalog(): ShopifyProduct[]
  ids(): string[]
  requests: LoggedRequest[]
  /** Queries that were paid for, those refused for want of points, and the points that were spent. */
  load: CostBucket['counts']
  stop(): Promise<void>
}

const VERSIONS = ['2026-01', '2026-04', '2026-07', '2026-10']
const MOST_POINTS_A_QUERY = 1000

/** Starts the simulator on 127.0.0.1. */
export async function startShopifySimulator(
  options: ShopifySimulatorOptions = {},
): Promise<ShopifySimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const shop = options.shop ??
    { domain: 'demo-shop.myshopify.com', name: 'Demo Shop', currencyCode: 'EUR' }
  const adminToken = options.adminToken ?? 'shpat_demo-admin-token'
  const client = options.client ??
    { client_id: 'demo-shopify-client', client_secret: 'demo-shopify-secret' }
  const sender = webhookSender()
  const subscriptions = webhookSubscriptions(sender, {
    domain: shop.domain,
    secrets: { ours: client.client_secret, custom: 'demo-custom-app-secret' },
    now,
  })
  const catalog = shopifyCatalog({
    seed: options.seed ?? 1,
    count: options.products ?? 200,
    now,
    told: subscriptions.tell,
  })
  const bucket = costBucket(options.plan ?? { maximum: 2000, restoreRate: 100 }, now)
  const injected = faults()
  const log = requestLog()
  let installed = true

  const oauth = oauthServer({
    platform: 'Shopify',
    authorization_path: '/admin/oauth/authorize',
    token_path: '/admin/oauth/access_token',
    client: { ...client, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: 'any',
    pkce: 'ignored',
    scopes: ['read_products', 'write_products', 'read_inventory'],
    scope_separator: ',',
    rotation: true,
    access_token_seconds: 3600,
    refresh_token_seconds: 90 * 86_400,
    accounts: [`owner@${shop.domain}`],
    faults: injected,
    ...(options.now === undefined ? {} : { now: options.now }),
  })
  const mayRead = (token: string) =>
    installed && token === adminToken ||
    (oauth.verify(token)?.scopes.some((scope) => /^(read|write)_products$/.test(scope)) ?? false)

  const root = (fault: Fault | null, app: string): Node => ({
    __typename: 'QueryRoot',
    ...subscriptions.fields(app),
    shop: { __typename: 'Shop', ...shop, myshopifyDomain: shop.domain },
    product: ({ id }: { id: string }) => {
      const product = catalog.find(id)
      return product ? productNode(product) : null
    },
    products(args: { first: number; after: string | null; query?: string | null }) {
      const [, since] = /^updated_at:>='([^']+)'$/.exec(args.query ?? '') ?? []
      const shown = catalog.list().filter(({ updatedAt }) =>
        since === undefined || Date.parse(updatedAt) >= Math.floor(Date.parse(since) / 1000) * 1000
      )
      return connection(
        fault?.kind === 'empty' ? [] : shown.map(productNode),
        fault?.kind === 'repeated_page' ? { ...args, after: null } : args,
      )
    },
  })

  function answerQuery(body: unknown, fault: Fault | null, app: string): SimulatorAnswer {
    const { query = '', variables = {} } = (body ?? {}) as {
      query?: string
      variables?: Record<string, unknown>
    }
    const refused = (message: string, code: string, cost?: object): SimulatorAnswer => ({
      body: {
        errors: [{ message, extensions: { code } }],
        ...(cost === undefined ? {} : { extensions: { cost } }),
      },
    })
    if (fault?.kind === 'fail_result') {
      return refused('Something went wrong', fault.reason ?? 'INTERNAL_SERVER_ERROR')
    }
    try {
      const fields = parseQuery(query)
      const requested = requestedCost(fields, variables)
      const cost = (actual: number | null) => ({
        requestedQueryCost: requested,
        actualQueryCost: actual,
        throttleStatus: bucket.status(),
      })
      if (requested > MOST_POINTS_A_QUERY) {
        const message = `Query cost is ${requested}, which exceeds the single query max cost limit`
        return refused(message, 'MAX_COST_EXCEEDED')
      }
      if (!bucket.take(requested)) return refused('Throttled', 'THROTTLED', cost(null))
      const { data, cost: actual } = execute(fields, root(fault, app), variables)
      bucket.giveBack(requested - actual)
      return { body: { data, extensions: { cost: cost(actual) } } }
    } catch (error) {
      if (error instanceof QueryError) return refused(error.message, error.code)
      throw error
    }
  }

  const control: ShopifyControl = {
    ...commonControl({ faults: injected, log }),
    change: catalog.change,
    add: catalog.add,
    remove: catalog.remove,
    setPlan: bucket.set,
    uninstall() {
      installed = false
      subscriptions.leave('custom')
    },
  }
  const verbs = answerVerbs({
    ...commonVerbs(control, log.entries),
    ...recordVerbs('products', { ...control, list: catalog.list }),
    'GET load': bucket.counts,
    'POST uninstall': () => control.uninstall(),
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount(incoming, outgoing) {
      signCallback(outgoing, { ...client, shop: shop.domain, now })
      return oauth.handle(incoming, outgoing)
    },
    answer(request): SimulatorAnswer {
      const { pathname } = request.url
      const [, version] = /^\/admin\/api\/([^/]+)\/graphql\.json$/.exec(pathname) ?? []
      const token = request.headers['x-shopify-access-token'] ?? ''
      const isRevocation = pathname === '/admin/api_permissions/current.json'
      if (!isRevocation && (version === undefined || !VERSIONS.includes(version))) {
        return { status: 404, body: { errors: 'Not Found' } }
      }
      if (!mayRead(token)) {
        return { status: 401, body: { errors: '[API] Invalid API key or access token' } }
      }
      const app = token === adminToken ? 'custom' : 'ours'
      if (!isRevocation) return answerQuery(jsonOf(request), request.fault, app)
      if (request.method !== 'DELETE') return { status: 404, body: { errors: 'Not Found' } }
      // the whole app leaves the shop, with every token it has there
      if (token === adminToken) control.uninstall()
      else oauth.control.revokeGrants()
      subscriptions.leave(app)
      return { status: 200, body: {} }
    },
    control: (request) => answerOAuthControl(request, oauth) ?? verbs(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    control,
    oauth,
    client,
    credentials: { access_token: adminToken },
    settings: { shop: shop.domain },
    subscriptions: subscriptions.all,
    sent: sender.sent,
    catalog: catalog.list,
    ids: catalog.ids,
    requests: log.entries,
    load: bucket.counts,
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}
