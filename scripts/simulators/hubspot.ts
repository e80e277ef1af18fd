// A HubSpot account on loopback: sign-in, contacts by list and by search, batches, and its limits, which count.
import { createCrm, type Crm } from './hubspot/crm.ts'
import { answerHubSpot } from './hubspot/routes.ts'
import { controlOf } from './parts/control-verbs.ts'
import { type Faults, faults } from './parts/faults.ts'
import { startSimulatorServer } from './parts/http-server.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { rollingLimit } from './parts/rolling-limit.ts'

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
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  /** For `auth: private_app`. */
  credentials: { access_token: string }
  crm: Crm
  faults: Faults
  /** The most requests in ten seconds and searches in one, and what is refused from now on. */
  limits: { most(): { requests: number; searches: number } }
  /** Changes show in the search so much later. */
  setSearchLag(ms: number): void
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const SCOPES = ['oauth', 'crm.objects.contacts.read', 'crm.objects.contacts.write']
const HUB = '62515'
const PRIVATE_TOKEN = 'pat-na1-demo-token-of-a-private-app'

/** Starts the simulator on 127.0.0.1. */
export async function startHubSpotSimulator(
  options: HubSpotSimulatorOptions = {},
): Promise<HubSpotSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const perTenSeconds = options.requestsPerTenSeconds ?? 100
  const crm = createCrm({ seed: options.seed ?? 1, contacts: options.contacts ?? 250, now })
  const log = requestLog()
  const injected = faults()
  const limit = rollingLimit(perTenSeconds, 10_000, now)
  const searchLimit = rollingLimit(perTenSeconds === 0 ? 0 : 5, 1_000, now)
  const client = { client_id: 'plugboard-hubspot', client_secret: 'hubspot-demo-secret' }
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
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      answerHubSpot(request, {
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
    control: controlOf({
      oauth,
      log,
      faults: injected,
      verbs: {
        change: ({ ids, properties }) =>
          crm.change(ids as string[], properties as Record<string, string | null>),
        archive: ({ ids }) => crm.archive(ids as string[]),
        merge: ({ loser, survivor }) => crm.merge(String(loser), String(survivor)),
        add: ({ properties }) => crm.add(properties as Record<string, string>),
      },
    }),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client,
    oauth,
    credentials: { access_token: PRIVATE_TOKEN },
    crm,
    faults: injected,
    limits: { most: () => ({ requests: limit.most(), searches: searchLimit.most() }) },
    setSearchLag: (ms) => void (searchLag = ms),
    requests: log.entries,
    stop: server.stop,
  }
}
