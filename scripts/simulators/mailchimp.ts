// A Mailchimp account on loopback: sign-in and its metadata, one audience and its activity by day.
import { z } from 'zod'
import { type Audience, createAudience, type Member } from './mailchimp/audience.ts'
import { answerMailchimp, refuseConnection } from './mailchimp/routes.ts'
import { type AudienceWebhook, audienceWebhooks, type MemberEvent } from './mailchimp/webhooks.ts'
import { type Connections, connections } from './parts/connections.ts'
import {
  answerVerbs,
  type CommonControl,
  commonControl,
  commonVerbs,
} from './parts/control-verbs.ts'
import { faults } from './parts/faults.ts'
import { type SimulatorAnswer, startSimulatorServer } from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'

export type MailchimpSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  /** Default 300. */
  members?: number
  now?: () => Date
}

export type MailchimpSimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes. */
  baseUrl: string
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  /** For `auth: api_key`. */
  credentials: { api_key: string }
  settings: { list_id: string }
  audience: Audience
  /** Of the account, whichever of its audiences is asked for. */
  connections: Pick<Connections, 'hold' | 'most'>
  control: CommonControl & {
    /** Where the account is said to live from now on. */
    move(api_endpoint: string): void
    /** People subscribe, change their details or leave; webhooks tell. */
    add(email: string): string
    change(ids: readonly string[], fields?: Partial<Member>): void
    erase(ids: readonly string[]): void
  }
  /** Of the audience. */
  webhooks: AudienceWebhook[]
  /** What was sent to them. */
  sent: WebhookSender['sent']
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const Some = z.object({ ids: z.array(z.string()) })
const Change = Some.extend({
  status: z.string().optional(),
  merge_fields: z.record(z.string(), z.unknown()).optional(),
})

const LIST = { id: 'abc123def4', name: 'Newsletter' }
const ACCOUNT = '8d3a3db4d97663a9074efcc16'
const MOST_CONNECTIONS = 10
const API_KEY = '0123456789abcdef0123456789abcdef-us21'

/** Starts the simulator on 127.0.0.1. */
export async function startMailchimpSimulator(
  options: MailchimpSimulatorOptions = {},
): Promise<MailchimpSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const audience = createAudience({
    seed: options.seed ?? 1,
    members: options.members ?? 300,
    now,
  })
  const sender = webhookSender()
  const webhooks = audienceWebhooks(sender, { listId: LIST.id, now })
  const tell = (type: MemberEvent, ids: readonly string[], more?: Record<string, string>) => {
    for (const id of ids) webhooks.tell(type, audience.members.get(id)!, 'user', more)
  }
  const log = requestLog()
  const injected = faults()
  const open = connections(MOST_CONNECTIONS)
  const client = { client_id: 'plugboard-mailchimp', client_secret: 'mailchimp-demo-secret' }
  let apiEndpoint = 'https://us21.api.mailchimp.com'
  const oauth = oauthServer({
    platform: 'Mailchimp',
    authorization_path: '/oauth2/authorize',
    token_path: '/oauth2/token',
    client: { ...client, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: 'any',
    pkce: 'ignored',
    scopes: [],
    rotation: false,
    issues_refresh_token: () => false,
    access_token_seconds: null,
    accounts: ['ada@acme.example'],
    answer: ({ status, body }, { consent }) =>
      consent
        ? { status, body: { access_token: body.access_token, expires_in: 0, scope: null } }
        : { status, body },
    faults: injected,
    ...(options.now ? { now: options.now } : {}),
  })
  const isTokenGood = (token: string) => oauth.verify(token) !== null
  const isKnown = (authorization: string) => {
    const [scheme = '', value = ''] = authorization.split(' ')
    if (scheme === 'Basic') return atob(value).endsWith(`:${API_KEY}`)
    return value === API_KEY || isTokenGood(value)
  }
  const control: MailchimpSimulator['control'] = {
    ...commonControl({ faults: injected, log }),
    move: (url) => void (apiEndpoint = url),
    add(email) {
      const id = audience.add(email)
      tell('subscribe', [id])
      return id
    },
    change(ids, fields) {
      audience.change(ids, fields)
      tell(fields?.status === 'unsubscribed' ? 'unsubscribe' : 'profile', ids)
    },
    erase(ids) {
      tell('unsubscribe', ids, { 'data[action]': 'delete' })
      audience.erase(ids)
    },
  }
  const answerControl = answerVerbs({
    ...commonVerbs(control, log.entries),
    'GET members': () =>
      [...audience.members.values()].map((member) => ({ ...member, tags: [...member.tags] })),
    'POST members/add': (body) => ({
      id: control.add(z.object({ email: z.email() }).parse(body).email),
    }),
    'POST members/change': (body) => {
      const { ids, ...fields } = Change.parse(body)
      control.change(ids, fields as Partial<Member>)
    },
    'POST members/erase': (body) => control.erase(Some.parse(body).ids),
    'POST move': (body) =>
      control.move(z.object({ api_endpoint: z.string() }).parse(body).api_endpoint),
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      open.during<SimulatorAnswer>(() =>
        answerMailchimp(request, {
          audience,
          webhooks,
          list: LIST,
          accountId: ACCOUNT,
          apiEndpoint,
          isKnown,
          isTokenGood,
        }), refuseConnection),
    control: (request) => answerOAuthControl(request, oauth) ?? answerControl(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client,
    oauth,
    credentials: { api_key: API_KEY },
    settings: { list_id: LIST.id },
    audience,
    connections: open,
    webhooks: webhooks.all,
    sent: sender.sent,
    control,
    requests: log.entries,
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}
