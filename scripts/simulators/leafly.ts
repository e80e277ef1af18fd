// Leafly's menu API on loopback: pushes that are taken at once and worked in later.
import { createMenu, Ids, Items, type Menu, type Shown } from './leafly/menu.ts'
import { type Fault, faults } from './parts/faults.ts'
import {
  formOf,
  jsonOf,
  type SimulatorAnswer,
  type SimulatorRequest,
  startSimulatorServer,
} from './parts/http-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'

export type LeaflySimulatorOptions = {
  port?: number
  environment?: 'production' | 'sandbox'
  /** Items that somebody entered at Leafly; no push touches them. Default 2. */
  manualItems?: number
  now?: () => Date
}

export type LeaflySimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes: `{ "leafly": { "baseUrl": … } }`. */
  baseUrl: string
  settings: { menu_integration_key: string; environment: 'production' | 'sandbox' }
  credentials: { client_id: string; client_secret: string }
  control: {
    /** Works in every push that waits, now. */
    process(): void
    /** Ends the tokens handed out so far. */
    expireTokens(): void
    setFault(fault: Fault): void
    clearFaults(): void
  }
  /** What shows, how it was filed, and whether it is published. */
  menu(): Shown[]
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const KEY = 'menu-key-demo'
const CLIENT = { client_id: 'leafly-client', client_secret: 'leafly-client-secret' }
const TOKEN_SECONDS = 3600
const PROCESSING_SECONDS = { sandbox: 150, production: 300 }

/** Starts the simulator on 127.0.0.1. */
export async function startLeaflySimulator(
  options: LeaflySimulatorOptions = {},
): Promise<LeaflySimulator> {
  const { environment = 'production' } = options
  const now = () => (options.now?.() ?? new Date()).getTime()
  const menu = createMenu(PROCESSING_SECONDS[environment] * 1000, options.manualItems ?? 2, now)
  const tokens = new Map<string, number>()
  const injected = faults()
  const log = requestLog()
  const control = {
    process: menu.process,
    expireTokens: () => tokens.clear(),
    setFault: injected.set,
    clearFaults: injected.clear,
  }
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    answer(request) {
      if (request.url.pathname === '/token') return handOut(request, tokens, now())
      const token = (request.headers['authorization'] ?? '').replace(/^Bearer /, '')
      if (!((tokens.get(token) ?? 0) > now())) {
        return { status: 401, body: { error: 'unauthorized' } }
      }
      const path = request.url.pathname.replace(`/v2/menu_integration/${KEY}/`, '')
      if (path.startsWith('/')) return { status: 403, body: { error: 'unknown key' } }
      return answerMenu(request, path, menu, environment)
    },
    control(request) {
      const verb = request.url.pathname.slice('/_control/'.length)
      if (verb === 'process') control.process()
      else if (verb === 'expire-tokens') control.expireTokens()
      else if (verb === 'clear') control.clearFaults()
      else return { status: 404, body: { error: `no such control: ${verb}` } }
      return { body: { ok: true } }
    },
  })
  return {
    url: server.url,
    baseUrl: server.url,
    settings: { menu_integration_key: KEY, environment },
    credentials: CLIENT,
    control,
    menu: menu.items,
    requests: log.entries,
    stop: server.stop,
  }
}

/** RFC 6749, section 4.4; the client proves itself by header or in the form. */
function handOut(
  request: SimulatorRequest,
  tokens: Map<string, number>,
  now: number,
): SimulatorAnswer {
  const form = formOf(request)
  const basic = Buffer.from(
    (request.headers['authorization'] ?? '').replace(/^Basic /, ''),
    'base64',
  )
    .toString().split(':')
  const [id, secret] = request.headers['authorization']
    ? basic
    : [form.client_id, form.client_secret]
  if (id !== CLIENT.client_id || secret !== CLIENT.client_secret) {
    return { status: 401, body: { error: 'invalid_client' } }
  }
  if (form.grant_type !== 'client_credentials') {
    return { status: 400, body: { error: 'unsupported_grant_type' } }
  }
  const access_token = `leafly-token-${tokens.size + 1}-${now}`
  tokens.set(access_token, now + TOKEN_SECONDS * 1000)
  return { body: { access_token, token_type: 'Bearer', expires_in: TOKEN_SECONDS } }
}

function answerMenu(
  request: SimulatorRequest,
  path: string,
  menu: Menu,
  environment: 'production' | 'sandbox',
): SimulatorAnswer {
  switch (`${request.method} ${path}`) {
    case 'GET status':
      return { body: menu.status() }
    case 'GET menu':
      return environment === 'sandbox'
        ? { body: { items: menu.items() } }
        : { status: 405, body: {} }
    case 'POST menu/items':
    case 'PUT menu/items': {
      const parsed = Items.safeParse(jsonOf(request))
      if (!parsed.success) {
        const [issue] = parsed.error.issues
        return { status: 400, body: { message: `${issue?.path.join('.')}: ${issue?.message}` } }
      }
      menu.take({ kind: request.method === 'POST' ? 'full' : 'delta', items: parsed.data.items })
      return { body: {} }
    }
    case 'DELETE menu/items': {
      const parsed = Ids.safeParse(jsonOf(request))
      if (!parsed.success) return { status: 400, body: { message: 'ids: expected a list' } }
      menu.take({ kind: 'delete', ids: parsed.data.ids })
      return { body: {} }
    }
  }
  return { status: 404, body: { error: 'not found' } }
}
