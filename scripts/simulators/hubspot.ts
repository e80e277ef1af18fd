// A HubSpot account on loopback: sign-in, contacts by list and by search, batches, and its limits, which count.
import { z } from 'zod'
import { type AppSubscription, appWebhooks } from './hubspot/app-webhooks.ts'
import { createCrm, type Crm } from './hubspot/crm.ts'
import { answerHubSpot } from './hubspot/routes.ts'
import {
  answerVerbs,
  type CommonControl,
  commonControl,
  commonVerbs,
} from './parts/control-verbs.ts'
import { faults } from './parts/faults.ts'
import { startSimulatorServer } from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'
import { type WindowLimit, windowLimit } from './parts/window-limit.ts'

export type HubSpotSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  /** Default 250. */
  contacts?: number
  /** In ten seconds, as HubSpot counts; 0 switches this and the search's limit off. Default 100. */
  requestsPerTenSeconds?: number
  /** The most results of a search; default 10,000. */
  searchResults?: number
  now?: () => Date
}

export type HubSpotSimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes. */
  baseUrl: string
  /** Our app there, for `OAUTH_CLIENTS`. */
  client: { client_id: string; client_secret: string; app_id: string; developer_key: string }
  oauth: OAuthServer
  /** For `auth: private_app`. */
  credentials: { access_token: string }
  crm: Crm
  control: CommonControl & {
    /** Changes show in the search so much later. */
    setSearchLag(ms: number): void
    /** On our app's page at HubSpot: everything goes to this address; null: nothing. */
    setWebhookTarget(url: string | null): void
  }
  /** Of our app: where its webhooks go, and what they are about. */
  webhooks: { target(): string | null; subscriptions: AppSubscription[] }
  /** The webhooks that were sent. */
  sent: WebhookSender['sent']
  /** How many came in a window, by hub: in ten seconds, and searches in one. */
  load: { requests: WindowLimit; searches: WindowLimit }
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const Some = z.object({ ids: z.array(z.string()) })
const Pair = z.object({ loser: z.string(), survivor: z.string() })
const Properties = z.object({ properties: z.record(z.string(), z.string().nullable()) })

const SCOPES = ['oauth', 'crm.objects.contacts.read', 'crm.objects.contacts.write']
const HUB = '62515'
const APP_ID = 1_160_452
const PRIVATE_TOKEN = 'pat-na1-demo-token-of-a-private-app'

/** Starts the simulator on 127.0.0.1. */
export async function startHubSpotSimulator(
  options: HubSpotSimulatorOptions = {},
): Promise<HubSpotSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const perTenSeconds = options.requestsPerTenSeconds ?? 100
  const client = { client_id: 'plugboard-hubspot', client_secret: 'hubspot-demo-secret' }
  const developer = { app_id: String(APP_ID), developer_key: 'hubspot-demo-developer-key' }
  const sender = webhookSender()
  const webhooks = appWebhooks(sender, {
    id: APP_ID,
    clientSecret: client.client_secret,
    developerKey: developer.developer_key,
    hub: HUB,
    now,
  })
  const crm = createCrm({
    seed: options.seed ?? 1,
    contacts: options.contacts ?? 250,
    now,
    told: webhooks.tell,
  })
  const log = requestLog()
  const injected = faults()
  const limit = windowLimit(perTenSeconds, 10_000, now)
  const searchLimit = windowLimit(perTenSeconds === 0 ? 0 : 5, 1_000, now)
  let searchLag = 0
  const oauth = oauthServer({
    platform: 'HubSpot',
    authorization_path: '/oauth/authorize',
    token_path: '/oauth/2026-03/token',
    revocation_path: '/oauth/2026-03/token/revoke',
    client: { ...client, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: 'any',
    pkce: 'optional',
    scopes: SCOPES,
    rotation: false,
    access_token_seconds: 1800,
    accounts: [HUB],
    answer: ({ status, body }, { consent }) => {
      if (!consent) {
        const { error, error_description } = body
        const status_ = error === 'invalid_grant' ? 'BAD_REFRESH_TOKEN' : 'BAD_CLIENT_ID'
        return { status, body: { status: status_, message: String(error_description), error } }
      }
      const { scope: _, ...rest } = body
      return { status, body: { ...rest, hub_id: Number(consent.account), scopes: consent.scopes } }
    },
    faults: injected,
    ...(options.now ? { now: options.now } : {}),
  })
  const control: HubSpotSimulator['control'] = {
    ...commonControl({ faults: injected, log }),
    setSearchLag: (ms) => void (searchLag = ms),
    setWebhookTarget: webhooks.setUp,
  }
  const answerControl = answerVerbs({
    ...commonVerbs(control, log.entries),
    'POST webhook-target': (body) =>
      control.setWebhookTarget(z.object({ url: z.url().nullable() }).parse(body).url),
    'GET contacts': () => crm.list(),
    'POST contacts/add': (body) => crm.add(Properties.parse(body).properties),
    'POST contacts/change': (body) => {
      const { ids, properties } = Some.extend(Properties.partial().shape).parse(body)
      crm.change(ids, properties)
    },
    'POST contacts/archive': (body) => crm.archive(Some.parse(body).ids),
    'POST contacts/merge': (body) => {
      const { loser, survivor } = Pair.parse(body)
      crm.merge(loser, survivor)
    },
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      webhooks.answer(request) ?? answerHubSpot(request, {
        crm,
        limit,
        searchLimit,
        now,
        mostResults: options.searchResults ?? 10_000,
        searchLagMs: () => searchLag,
        identify(token) {
          if (token === PRIVATE_TOKEN) return { hub: HUB, scopes: SCOPES }
          const consent = oauth.verify(token)
          return consent && { hub: consent.account, scopes: consent.scopes }
        },
      }),
    control: (request) => answerOAuthControl(request, oauth) ?? answerControl(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client: { ...client, ...developer },
    oauth,
    webhooks,
    credentials: { access_token: PRIVATE_TOKEN },
    crm,
    control,
    load: { requests: limit, searches: searchLimit },
    sent: sender.sent,
    requests: log.entries,
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}
