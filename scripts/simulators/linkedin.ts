// LinkedIn on loopback: posts of members and pages, with the API's own ways to answer.
import { type Fault, faults } from './parts/faults.ts'
import { startSimulatorServer } from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import {
  answerLinkedIn,
  type LinkedInMember,
  type LinkedInPost,
  type LinkedInRoutes,
} from './linkedin/routes.ts'

export type LinkedInSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  /** Whether LinkedIn has approved our app for refresh tokens; default false, as for most. */
  refreshTokens?: boolean
  /** Whether LinkedIn lets our app ask who administers which page; default true. */
  pagesMayBeAsked?: boolean
  /** Months of the API that are served. */
  versions?: string[]
  now?: () => Date
}

const MEMBERS: LinkedInMember[] = [
  { sub: 'yrZCpj2Z12', name: 'Ada Lovelace', email: 'ada@acme.example', administers: ['2414183'] },
  { sub: 'q3k5Lm9X07', name: 'Grace Hopper', email: 'grace@acme.example', administers: [] },
]

export type LinkedInSimulator = {
  /** Origin, without a slash at the end. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "linkedin": { "baseUrl": … } }`. */
  baseUrl: string
  /** What `OAUTH_CLIENTS` takes. */
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  /** Their `email` is the name to give the consent page. */
  members: LinkedInMember[]
  /** Newest first, with the text as a reader sees it. */
  posts: LinkedInPost[]
  control: {
    setFault(fault: Fault): void
    clearFaults(): void
    /** Posts that may still be published on this day. */
    postsLeft(count: number): void
  }
  requests: LoggedRequest[]
  stop(): Promise<void>
}

/** Starts the simulator on 127.0.0.1. */
export async function startLinkedInSimulator(
  options: LinkedInSimulatorOptions = {},
): Promise<LinkedInSimulator> {
  const injected = faults()
  const log = requestLog()
  const client = { client_id: 'plugboard-at-linkedin', client_secret: 'linkedin secret' }
  const oauth = oauthServer({
    platform: 'LinkedIn',
    authorization_path: '/oauth/v2/authorization',
    token_path: '/oauth/v2/accessToken',
    client: { ...client, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: 'any',
    pkce: 'ignored',
    scopes: ['openid', 'profile', 'email', 'w_member_social', 'w_organization_social'],
    rotation: false,
    issues_refresh_token: () => options.refreshTokens ?? false,
    access_token_seconds: 5_184_000,
    refresh_token_seconds: 31_536_000,
    accounts: MEMBERS.map(({ email }) => email),
    faults: injected,
    ...(options.now ? { now: options.now } : {}),
  })
  let lastId = 7_234_567_890_123_456_000n
  const routes: LinkedInRoutes = {
    members: MEMBERS,
    posts: [],
    versions: new Set(options.versions ?? ['202606', '202607', '202608']),
    verify: oauth.verify,
    pagesMayBeAsked: options.pagesMayBeAsked ?? true,
    quota: { left: 150 },
    nextId: () => `urn:li:share:${++lastId}`,
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) => answerLinkedIn(request, routes),
    control: (request) =>
      answerOAuthControl(request, oauth) ??
        (request.url.pathname === '/_control/posts'
          ? { body: routes.posts }
          : { status: 404, body: { error: `no such control: ${request.url.pathname}` } }),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client,
    oauth,
    members: MEMBERS,
    posts: routes.posts,
    control: {
      setFault: (fault) => void injected.set(fault),
      clearFaults: injected.clear,
      postsLeft: (count) => void (routes.quota.left = count),
    },
    requests: log.entries,
    stop: server.stop,
  }
}
