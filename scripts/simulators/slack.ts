// Slack on loopback: workspaces with channels and threads, errors at status 200, limits by method, sign-in.
import { z } from 'zod'
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
import { seededRandom } from './parts/seeded-random.ts'
import { type WindowLimit, windowLimit } from './parts/window-limit.ts'
import { answerSlack } from './slack/routes.ts'
import { createWorkspace, type Workspace } from './slack/workspace.ts'

export type SlackSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  /** Of each workspace, default 3. */
  channels?: number
  /** In each channel, default 40, one an hour back from `now`. */
  messages?: number
  /** `none` switches the limits off; `restricted` is for apps outside the Marketplace. Default `standard`. */
  limits?: 'standard' | 'restricted' | 'none'
  /** Whether the app has token rotation turned on. Default false. */
  rotation?: boolean
  redirectUris?: readonly string[]
  now?: () => Date
}

export type SlackControl = CommonControl & {
  post: (team: string, ...message: Parameters<Workspace['post']>) => string
  edit: (team: string, ...edit: Parameters<Workspace['edit']>) => void
  remove: (team: string, ...which: Parameters<Workspace['remove']>) => void
  /** Puts the bot out of a channel, or into it again. */
  setMembership(team: string, channel: string, isIn: boolean): void
}

export type SlackSimulator = {
  /** Origin, without a slash at the end. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "slack": { "baseUrl": … } }`. */
  baseUrl: string
  settings: Record<string, never>
  /** Our app at Slack. */
  client: { client_id: string; client_secret: string }
  /** For `auth: bot_token`, by team. */
  credentials(team: string): { bot_token: string }
  oauth: OAuthServer
  /** Names under which the consent page knows the workspaces. */
  teams: readonly string[]
  workspace(team: string): Workspace
  /** By method. */
  limits: Record<string, WindowLimit>
  control: SlackControl
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const CLIENT = { client_id: '1234567890.0987654321', client_secret: 'slack-app-secret' }
const SCOPES = [
  'channels:read',
  'channels:history',
  'groups:read',
  'groups:history',
  'im:history',
  'users:read',
  'chat:write',
]
/** Calls a minute for a method and workspace; posts a second for a channel. */
const TIERS = {
  'users.conversations': 20,
  'conversations.history': 50,
  'conversations.replies': 50,
  'users.info': 100,
}

/** Starts the simulator on 127.0.0.1. */
export async function startSlackSimulator(
  options: SlackSimulatorOptions = {},
): Promise<SlackSimulator> {
  const now = options.now ?? (() => new Date())
  const time = () => now().getTime()
  const random = seededRandom(options.seed ?? 1)
  const teams = ['acme', 'north']
  const workspaces = new Map(teams.map((name, index) => [
    name,
    createWorkspace(random, {
      team_id: `T0${index + 1}`,
      name,
      channels: options.channels ?? 3,
      messages: options.messages ?? 40,
      now: time,
    }),
  ]))
  const need = (team: string) => {
    const workspace = workspaces.get(team)
    if (!workspace) throw new Error(`there is no workspace ${team}`)
    return workspace
  }
  const kind = options.limits ?? 'standard'
  const limits: Record<string, WindowLimit> = {
    ...Object.fromEntries(
      Object.entries(TIERS).map(([method, requests]) => {
        const reads = method.startsWith('conversations.')
        const allowed = kind === 'none' ? 0 : kind === 'restricted' && reads ? 1 : requests
        return [method, windowLimit(allowed, 60_000, time)]
      }),
    ),
    'chat.postMessage': windowLimit(kind === 'none' ? 0 : 1, 1_000, time),
  }
  const botToken = (team: string) => `xoxb-${team}-0123456789`
  const issued = new Set<string>()
  const log = requestLog()
  const injected = faults()
  const rotation = options.rotation ?? false
  const oauth = oauthServer({
    platform: 'Slack',
    authorization_path: '/oauth/v2/authorize',
    token_path: '/api/oauth.v2.access',
    client: { ...CLIENT, token_endpoint_auth_method: 'client_secret_post', secret_anywhere: true },
    redirect_uris: options.redirectUris ?? 'any',
    pkce: 'ignored',
    scopes: SCOPES,
    scope_separator: ',',
    rotation,
    issues_refresh_token: () => rotation,
    access_token_seconds: rotation ? 43_200 : null,
    accounts: teams,
    answer({ status, body }, { consent }) {
      if (status !== 200 || !consent) {
        const error = body['error'] === 'invalid_grant'
          ? 'invalid_code'
          : body['error'] === 'invalid_client'
          ? 'bad_client_secret'
          : body['error']
        return { status: 200, body: { ok: false, error } }
      }
      const workspace = need(consent.account)
      issued.add(String(body['access_token']))
      return {
        status: 200,
        body: {
          ok: true,
          ...body,
          token_type: 'bot',
          bot_user_id: workspace.bot.user_id,
          app_id: 'A01PLUGBOARD',
          team: { id: workspace.team_id, name: workspace.name },
          enterprise: null,
          is_enterprise_install: false,
          authed_user: { id: 'U01ADA' },
        },
      }
    },
    faults: injected,
    now,
  })
  const control: SlackControl = {
    ...commonControl({ faults: injected, log }),
    post: (team, ...message) => need(team).post(...message),
    edit: (team, ...edit) => need(team).edit(...edit),
    remove: (team, ...which) => need(team).remove(...which),
    setMembership(team, channel, isIn) {
      need(team).channels.get(channel)!.botIsIn = isIn
    },
  }
  const verbs = answerVerbs({
    ...commonVerbs(control, log.entries),
    'GET channels': (_, url) => [
      ...need(url.searchParams.get('team') ?? teams[0]!).channels.values(),
    ],
    'POST post': (body) => {
      const { team, channel, ...message } = Said.parse(body)
      return { ts: control.post(team, channel, message) }
    },
    'POST edit': (body) => {
      const { team, channel, ts, text } = Edited.parse(body)
      control.edit(team, channel, ts, text)
    },
    'POST remove': (body) => {
      const { team, channel, ts } = Which.parse(body)
      control.remove(team, channel, ts)
    },
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      answerSlack(request, {
        caller(token) {
          const team = teams.find((team) => botToken(team) === token)
          if (team !== undefined) return { workspace: need(team), scopes: SCOPES }
          const consent = oauth.verify(token)
          if (consent) return { workspace: need(consent.account), scopes: consent.scopes }
          if (!issued.has(token)) return { error: 'invalid_auth' }
          return { error: rotation ? 'token_expired' : 'token_revoked' }
        },
        revoke: (access_token) => oauth.control.revokeGrants({ access_token }),
        limits,
        mostMessages: () => kind === 'restricted' ? 15 : 999,
      }),
    control: (request) => answerOAuthControl(request, oauth) ?? verbs(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    settings: {},
    client: CLIENT,
    credentials: (team) => ({ bot_token: botToken(team) }),
    oauth,
    teams,
    workspace: need,
    limits,
    control,
    requests: log.entries,
    stop: server.stop,
  }
}

const Which = z.object({ team: z.string().default('acme'), channel: z.string(), ts: z.string() })
const Edited = Which.extend({ text: z.string() })
const Said = z.object({
  team: z.string().default('acme'),
  channel: z.string(),
  text: z.string(),
  user: z.string().optional(),
  thread_ts: z.string().optional(),
})
