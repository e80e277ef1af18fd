// A Stripe account on loopback: customers, payments and events in its lists, its limits, and a way to bend it.
import {
  answerVerbs,
  type CommonControl,
  commonControl,
  commonVerbs,
  recordVerbs,
} from './parts/control-verbs.ts'
import { faults } from './parts/faults.ts'
import {
  type SimulatorAnswer,
  type SimulatorRequest,
  startSimulatorServer,
} from './parts/http-server.ts'
import type { Records } from './parts/records.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'
import { windowLimit } from './parts/window-limit.ts'
import { listPage, stripeError } from './stripe/lists.ts'
import {
  type StripeCustomer,
  type StripeObjects,
  stripeObjects,
  type StripePayment,
} from './stripe/objects.ts'
import { type WebhookEndpoint, webhookEndpoints } from './stripe/webhook-endpoints.ts'

export type StripeSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  customers?: number
  payments?: number
  apiKey?: string
  /** What a restricted key may use; by default all but whose it is. A secret key may use everything. */
  permissions?: readonly Endpoint[]
  /** In one second to one endpoint, as in a sandbox; 0 switches the limit off. Default 25. */
  requestsPerSecond?: number
  now?: () => Date
}

type Changes<Item extends object> = Pick<Records<Item>, 'change' | 'add' | 'remove'>

export type StripeControl = CommonControl & {
  customers: Changes<StripeCustomer>
  payments: Changes<StripePayment>
  refund: StripeObjects['refund']
  rateLimit(requestsPerSecond: number): void
  revokeCredentials(): void
}

export type StripeSimulator = {
  /** Origin, without a slash at the end: what `CONNECTOR_OVERRIDES` takes as `baseUrl`. */
  url: string
  baseUrl: string
  control: StripeControl
  /** What an owner types into the connect form. */
  credentials: { api_key: string }
  settings: { account_id: string }
  customers(): StripeCustomer[]
  payments(): StripePayment[]
  /** The account's endpoints, with their secrets. */
  webhooks: (WebhookEndpoint & { secret: string })[]
  /** What was sent to them. */
  sent: WebhookSender['sent']
  requests: LoggedRequest[]
  /** `Stripe-Version` of the newest request. */
  version(): string | undefined
  /** The most requests one endpoint got through in a second, and how many it refused. */
  load(): { most: number; refused: number }
  stop(): Promise<void>
}

const LISTS = ['customers', 'payment_intents', 'events'] as const
const DEFAULT_PERMISSIONS = [...LISTS, 'webhook_endpoints'] as const
const ENDPOINTS = [...DEFAULT_PERMISSIONS, 'account'] as const
type Endpoint = (typeof ENDPOINTS)[number]
const ACCOUNT_ID = 'acct_1Demo'

/** Starts the simulator on 127.0.0.1. */
export async function startStripeSimulator(
  options: StripeSimulatorOptions = {},
): Promise<StripeSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const key = options.apiKey ?? 'rk_test_demo-restricted-key'
  const permissions = key.startsWith('sk_') ? ENDPOINTS : options.permissions ?? DEFAULT_PERMISSIONS
  const sender = webhookSender()
  const webhooks = webhookEndpoints(sender, now)
  const objects = stripeObjects({
    seed: options.seed ?? 1,
    customers: options.customers ?? 250,
    payments: options.payments ?? 250,
    now,
    told: webhooks.tell,
  })
  const limit = windowLimit(options.requestsPerSecond ?? 25, 1000, now)
  const injected = faults()
  const log = requestLog()
  let revoked = false
  let version: string | undefined

  function answer(request: SimulatorRequest): SimulatorAnswer {
    const { method, url, headers, fault } = request
    version = headers['stripe-version']
    const [, api, name, id] = url.pathname.split('/')
    const endpoint = ENDPOINTS.find((known) => known === name)
    if (api !== 'v1' || !endpoint || method !== 'GET' && endpoint !== 'webhook_endpoints') {
      return stripeError(404, { message: `Unrecognized request URL (${method}: ${url.pathname})` })
    }
    if (limit.take(endpoint) > 0) {
      return {
        ...stripeError(429, { code: 'rate_limit', message: 'Too many requests' }),
        headers: { 'stripe-rate-limited-reason': 'endpoint-rate' },
      }
    }
    if (revoked || headers['authorization'] !== `Bearer ${key}`) {
      return stripeError(401, { message: 'Invalid API Key provided' })
    }
    if (!permissions.includes(endpoint)) {
      const permission = {
        customers: 'customer',
        payment_intents: 'payment_intent',
        events: 'event',
        account: 'accounts_kyc_basic',
        webhook_endpoints: 'webhook',
      }
      return stripeError(403, {
        message:
          `The provided key 'rk_test_***' does not have the required permissions for this endpoint. ` +
          `Having the 'rak_${permission[endpoint]}_${
            method === 'GET' ? 'read' : 'write'
          }' permission would allow this request to continue.`,
      })
    }
    if (endpoint === 'webhook_endpoints') return webhooks.answer(request, id)
    if (endpoint === 'account') return { body: { id: ACCOUNT_ID, object: 'account' } }
    if (fault?.kind === 'empty') return { body: listPage(endpoint, [], url, () => ({})) }
    const expanded = url.searchParams.getAll('expand[]').some((path) =>
      /(^|\.)latest_charge$/.test(path)
    )
    const shown = (payment: StripePayment) =>
      expanded ? payment : { ...payment, latest_charge: payment.latest_charge?.id ?? null }
    if (id !== undefined) return one(endpoint, decodeURIComponent(id), shown)
    try {
      switch (endpoint) {
        case 'customers':
          return { body: listPage(endpoint, objects.customers.list().reverse(), url) }
        case 'payment_intents':
          return { body: listPage(endpoint, objects.payments.list().reverse(), url, shown) }
        case 'events':
          return { body: listPage(endpoint, objects.events(), url) }
      }
    } catch {
      return stripeError(400, {
        code: 'resource_missing',
        param: 'starting_after',
        message: `No such ${endpoint}: '${url.searchParams.get('starting_after')}'`,
      })
    }
  }

  function one(
    endpoint: Endpoint,
    id: string,
    shown: (payment: StripePayment) => object,
  ): SimulatorAnswer {
    if (endpoint === 'customers' && objects.deleted.has(id)) {
      return { body: { id, object: 'customer', deleted: true } }
    }
    const payment = endpoint === 'payment_intents' ? objects.payments.find(id) : undefined
    const found = payment ? shown(payment) : objects.customers.find(id)
    return found ? { body: found } : stripeError(404, {
      code: 'resource_missing',
      param: 'id',
      message: `No such ${endpoint}: '${id}'`,
    })
  }

  const control: StripeControl = {
    ...commonControl({ faults: injected, log }),
    customers: objects.customers,
    payments: objects.payments,
    refund: objects.refund,
    rateLimit: limit.set,
    revokeCredentials: () => void (revoked = true),
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer(request) {
      const answered = answer(request)
      // the platform's clock, which may be a test's
      return { ...answered, headers: { ...answered.headers, date: new Date(now()).toUTCString() } }
    },
    control: answerVerbs({
      ...commonVerbs(control, log.entries),
      ...recordVerbs('customers', objects.customers),
      ...recordVerbs('payments', objects.payments),
      'GET events': objects.events,
      'POST revoke-credentials': () => control.revokeCredentials(),
      'POST refund': (body) => {
        const { id, amount } = body as { id: string; amount?: number }
        control.refund(id, amount)
      },
    }),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    control,
    credentials: { api_key: key },
    settings: { account_id: ACCOUNT_ID },
    customers: objects.customers.list,
    payments: objects.payments.list,
    webhooks: webhooks.all,
    sent: sender.sent,
    requests: log.entries,
    version: () => version,
    load: () => ({
      most: Math.max(...ENDPOINTS.map(limit.most)),
      refused: ENDPOINTS.reduce((sum, endpoint) => sum + limit.refused(endpoint), 0),
    }),
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}
