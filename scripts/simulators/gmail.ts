// Gmail on loopback: mailboxes with a history that is forgotten, quota units a minute, sign-in with Google.
import { z } from 'zod'
import { createMailbox, type Mailbox, type NewMail } from './gmail/mailbox.ts'
import { makeMail } from './gmail/make-mail.ts'
import { answerGmail } from './gmail/routes.ts'
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
import { type UnitLimit, unitLimit } from './parts/unit-limit.ts'

export type GmailSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  /** Messages in each mailbox, default 120, one an hour back from `now`. */
  messages?: number
  accounts?: readonly string[]
  /** For each user; 0 switches the limit off. Default 6000. */
  unitsPerMinute?: number
  redirectUris?: readonly string[]
  now?: () => Date
}

export type GmailControl = CommonControl & {
  /** Puts a mail into the mailbox; answers its id. */
  deliver(email: string, mail?: Partial<NewMail>): string
  label(email: string, id: string, add: string[], remove?: string[]): void
  trash(email: string, id: string): void
  /** For good. */
  remove(email: string, id: string): void
  forgetHistory(email: string): void
}

export type GmailSimulator = {
  /** Origin, without a slash at the end. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "gmail": { "baseUrl": … } }`. */
  baseUrl: string
  settings: Record<string, never>
  /** Our app at Google. */
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  accounts: readonly string[]
  mailbox(email: string): Mailbox
  units: UnitLimit
  control: GmailControl
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const SCOPE = 'https://www.googleapis.com/auth/gmail'
const SCOPES = ['readonly', 'send', 'modify', 'metadata'].map((name) => `${SCOPE}.${name}`)
const CLIENT = {
  client_id: 'plugboard.apps.googleusercontent.example',
  client_secret: 'gmail-app-secret',
}

/** Starts the simulator on 127.0.0.1. */
export async function startGmailSimulator(
  options: GmailSimulatorOptions = {},
): Promise<GmailSimulator> {
  const now = options.now ?? (() => new Date())
  const accounts = options.accounts ?? ['ada@acme.example', 'ben@acme.example']
  const random = seededRandom(options.seed ?? 1)
  const start = now().getTime()
  const mailboxes = new Map(
    accounts.map((email, box) => {
      const mailbox = createMailbox(email, box << 20)
      for (let index = options.messages ?? 120; index > 0; index--) {
        const at = new Date(start - index * 3_600_000).toISOString()
        mailbox.deliver(makeMail(random, email, at, index))
      }
      return [email, mailbox]
    }),
  )
  const need = (email: string) => {
    const mailbox = mailboxes.get(email)
    if (!mailbox) throw new Error(`nobody is ${email}`)
    return mailbox
  }
  const log = requestLog()
  const injected = faults()
  const units = unitLimit(options.unitsPerMinute ?? 6_000, 60_000, () => now().getTime())
  const oauth = oauthServer({
    platform: 'Google',
    authorization_path: '/o/oauth2/v2/auth',
    token_path: '/token',
    revocation_path: '/revoke',
    client: { ...CLIENT, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: options.redirectUris ?? 'any',
    pkce: 'optional',
    scopes: SCOPES,
    rotation: false,
    issues_refresh_token: ({ parameters }) => parameters['access_type'] === 'offline',
    access_token_seconds: 3599,
    more_parameters: ['access_type', 'include_granted_scopes'],
    accounts,
    // a refresh is answered without the refresh token, which stays as it is
    answer({ status, body }, { grant_type }) {
      if (grant_type !== 'refresh_token') return { status, body }
      const { refresh_token: _, ...rest } = body
      return { status, body: rest }
    },
    faults: injected,
    now,
  })

  let delivered = 0
  const control: GmailControl = {
    ...commonControl({ faults: injected, log }),
    deliver(email, mail = {}) {
      delivered += 1
      const made = makeMail(random, email, now().toISOString(), 1_000_000 + delivered)
      return need(email).deliver({ ...made, ...mail }).id
    },
    label: (email, id, add, remove = []) => need(email).label(id, add, remove),
    trash: (email, id) => need(email).label(id, ['TRASH'], ['INBOX']),
    remove: (email, id) => need(email).remove(id),
    forgetHistory: (email) => need(email).forgetHistory(),
  }
  const verbs = answerVerbs({
    ...commonVerbs(control, log.entries),
    'GET messages': (_, url) => need(url.searchParams.get('email') ?? accounts[0]!).list(),
    'POST deliver': (body) => ({ id: control.deliver(Whose.parse(body).email ?? accounts[0]!) }),
    'POST label': (body) => {
      const { email, id, add, remove } = Labels.parse(body)
      control.label(email, id, add, remove)
    },
    'POST trash': (body) => control.trash(...which(body)),
    'POST remove': (body) => control.remove(...which(body)),
    'POST forget-history': (body) => control.forgetHistory(Whose.parse(body).email ?? accounts[0]!),
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      answerGmail(request, {
        verify: oauth.verify,
        mailbox: (email) => mailboxes.get(email),
        units,
        now,
      }),
    control: (request) => answerOAuthControl(request, oauth) ?? verbs(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    settings: {},
    client: CLIENT,
    oauth,
    accounts,
    mailbox: need,
    units,
    control,
    requests: log.entries,
    stop: server.stop,
  }
}

const Whose = z.object({ email: z.string().optional() })
const Which = z.object({ email: z.string(), id: z.string() })
const which = (body: unknown): [string, string] => {
  const { email, id } = Which.parse(body)
  return [email, id]
}
const Labels = Which.extend({
  add: z.array(z.string()).default([]),
  remove: z.array(z.string()).default([]),
})
