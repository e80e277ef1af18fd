// An Airtable base on loopback: two tables, lists that are forgotten, 5 requests a second, sign-in or token.
import { z } from 'zod'
import { baseLimit } from './airtable/base-limit.ts'
import { type Base, createBase } from './airtable/base.ts'
import { iterators } from './airtable/iterators.ts'
import { answerAirtable } from './airtable/routes.ts'
import { type AirtableWebhooks, airtableWebhooks } from './airtable/webhooks.ts'
import { type Fault, FAULT_KINDS, faults } from './parts/faults.ts'
import {
  jsonOf,
  type SimulatorAnswer,
  type SimulatorRequest,
  startSimulatorServer,
} from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { type WebhookSender, webhookSender } from './parts/webhook-sender.ts'

export type AirtableSimulatorOptions = {
  port?: number
  seed?: number
  /** Of the base; default `appSIMULATED00000`. */
  baseId?: string
  /** Rows in the table People, default 250. */
  people?: number
  /** Rows in the table Inventory, default 120. */
  items?: number
  /** For the base; 0 switches the limit off. Default 5. */
  requestsPerSecond?: number
  /** How long a list may rest between two pages. Default 5 minutes. */
  iteratorSeconds?: number
  redirectUris?: readonly string[]
  now?: () => Date
}

export type AirtableControl = {
  /** Changes so many people; answers their ids. */
  change(count: number): string[]
  /** Makes so many people; answers their ids. */
  add(count: number): string[]
  remove(count: number): string[]
  /** Airtable forgets every list that is under way. */
  expireIterators(): void
  rateLimit(requestsPerSecond: number): void
  setFault(fault: Fault): void
  clearFaults(): void
}

export type AirtableSimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "airtable": { "baseUrl": … } }`. */
  baseUrl: string
  settings: {
    base_id: string
    contacts: Record<string, string>
    tables: string[]
    last_modified_field: string
  }
  /** For `auth: personal_access_token`. */
  credentials: { token: string }
  /** Our app, for `auth: oauth`. */
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  base: Base
  /** Those of the base, with their secrets. */
  webhooks: AirtableWebhooks['all']
  /** What was sent to them. */
  sent: WebhookSender['sent']
  control: AirtableControl
  /** The most requests within any second, and how many were refused. */
  counted(): { worst: number; refused: number }
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const SCOPES = [
  'data.records:read',
  'data.records:write',
  'schema.bases:read',
  'user.email:read',
  'webhook:manage',
]
const TOKEN = 'patSIMULATED00000.0123456789abcdef'
/** Our app there. */
export const AIRTABLE_CLIENT = {
  client_id: 'plugboard-airtable',
  client_secret: 'airtable-app-secret',
}

/** Starts the simulator on 127.0.0.1. */
export async function startAirtableSimulator(
  options: AirtableSimulatorOptions = {},
): Promise<AirtableSimulator> {
  const now = options.now ?? (() => new Date())
  const time = () => now().getTime()
  const sender = webhookSender()
  const webhooks = airtableWebhooks(() => base, sender, time)
  const base: Base = createBase({
    id: options.baseId ?? 'appSIMULATED00000',
    seed: options.seed ?? 1,
    people: options.people ?? 250,
    items: options.items ?? 120,
    now,
    told: webhooks.ping,
  })
  const limit = baseLimit(options.requestsPerSecond ?? 5, time)
  const lists = iterators((options.iteratorSeconds ?? 300) * 1000, time)
  const injected = faults()
  const log = requestLog()
  const oauth = oauthServer({
    platform: 'Airtable',
    authorization_path: '/oauth2/v1/authorize',
    token_path: '/oauth2/v1/token',
    client: { ...AIRTABLE_CLIENT, token_endpoint_auth_method: 'client_secret_basic' },
    redirect_uris: options.redirectUris ?? 'any',
    pkce: 'required',
    scopes: SCOPES,
    rotation: true,
    old_access_token_dies: true,
    access_token_seconds: 3600,
    refresh_token_seconds: 5_184_000,
    accounts: ['ada@people.example'],
    answer: (answer) => ({
      ...answer,
      body: 'access_token' in answer.body
        ? { ...answer.body, refresh_expires_in: 5_184_000 }
        : answer.body,
    }),
    faults: injected,
    now: options.now,
  })
  const people = base.find('People')!
  const first = (count: number) => [...people.rows.values()].slice(0, count)
  const control: AirtableControl = {
    change: (count) =>
      first(count).map((row) => {
        base.change(row, { Company: `Renamed ${time()}` })
        return row.id
      }),
    add: (count) =>
      Array.from(
        { length: count },
        (_, index) => base.create(people, { Name: `New person ${index}` }).id,
      ),
    remove: (count) =>
      first(count).map(({ id }) => {
        base.remove(people, id)
        return id
      }),
    expireIterators: lists.expire,
    rateLimit: limit.set,
    setFault: injected.set,
    clearFaults: injected.clear,
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) => ({
      ...answerAirtable(request, {
        base,
        limit,
        iterators: lists,
        webhooks,
        isOfApp: (token) => token !== TOKEN,
        scopesOf: (token) => token === TOKEN ? SCOPES : oauth.verify(token)?.scopes ?? null,
      }),
      headers: { date: now().toUTCString() },
    }),
    control: (request) => answerOAuthControl(request, oauth) ?? answerControl(request, control),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    settings: {
      base_id: base.id,
      contacts: {
        table: 'People',
        email: 'Email',
        first_name: 'First name',
        last_name: 'Last name',
        full_name: 'Name',
        phone: 'Phone',
        company: 'Company',
        tags: 'Tags',
        last_modified: 'Last modified',
      },
      tables: ['Inventory', 'People'],
      last_modified_field: 'Last modified',
    },
    credentials: { token: TOKEN },
    client: AIRTABLE_CLIENT,
    oauth,
    base,
    webhooks: webhooks.all,
    sent: sender.sent,
    control,
    counted: limit.counted,
    requests: log.entries,
    stop() {
      sender.stop()
      return server.stop()
    },
  }
}

const Count = z.strictObject({ count: z.int().nonnegative() })
const Limit = z.strictObject({ requests_per_second: z.number().nonnegative() })
const AnyFault = z.looseObject({ kind: z.string().refine((kind) => FAULT_KINDS.has(kind)) })

/** `POST /_control/<verb>` with JSON. */
function answerControl(request: SimulatorRequest, control: AirtableControl): SimulatorAnswer {
  const body = jsonOf(request) ?? {}
  const verb = `${request.method} ${request.url.pathname.slice('/_control/'.length)}`
  const done = (ids?: string[]): SimulatorAnswer => ({ body: { ok: true, ...(ids && { ids }) } })
  try {
    switch (verb) {
      case 'POST change':
        return done(control.change(Count.parse(body).count))
      case 'POST add':
        return done(control.add(Count.parse(body).count))
      case 'POST remove':
        return done(control.remove(Count.parse(body).count))
      case 'POST expire-iterators':
        control.expireIterators()
        return done()
      case 'POST rate-limit':
        control.rateLimit(Limit.parse(body).requests_per_second)
        return done()
      case 'POST fault':
        control.setFault(AnyFault.parse(body) as Fault)
        return done()
      case 'POST clear':
        control.clearFaults()
        return done()
    }
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } }
  }
  return { status: 404, body: { error: `no such control: ${verb}` } }
}
