// The door for webhooks: who sends it, has it come before, and is it safe? Then the platform hears yes; the work comes later.
import { createAdminClient } from '@supabase/server/core'
import type { SupabaseEnv } from '@supabase/server'
import { createHmac, randomBytes } from 'node:crypto'
import { BodyTooLarge, discardBody, readBody } from '../http/body.ts'
import type { Handler } from '../http/serve.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import {
  dataApiDatabase,
  type Database,
  DatabaseError,
  directDatabase,
} from '../platform/database.ts'
import { type Environment, readEnvironment } from '../platform/environment.ts'
import { createLog, type Log } from '../platform/log.ts'
import {
  type AppInstance,
  type Envelope,
  findAppInstance,
  keepAppEvent,
  readEnvelope,
  verifyAppEvent,
} from './app-events.ts'
import { describeWebhook, inboundWebhook } from './read-webhook.ts'
import { ReceiverCache, type Remembered } from './receiver-cache.ts'
import {
  readAddress,
  type Receiver,
  receiverOfApp,
  receiverOfIntegration,
  secretsOf,
  tokenHashOf,
  type WebhookAddress,
} from './receiver.ts'
import { receiverAddress } from './receiver-address.ts'
import { RefusalLog } from './refusal-log.ts'
import type { Handshake, InboundRequest, RefusalReason, Verification } from './scheme.ts'
import { keptHeaders, proofOf, publishedKeys, verifyWebhook } from './verify-webhook.ts'
import { keepEach, keepTogether, type KeepWebhook } from './webhook-store.ts'

export type ReceiveOptions = {
  /** Our settings instead of the process's environment. */
  environment?: Record<string, string | undefined>
  /** Supabase's address and keys instead of the process's environment. */
  supabase?: Partial<SupabaseEnv>
  log?: Log
  clock?: Clock
  /** For a body to arrive, instead of 10 s. */
  bodyMs?: number
}

type Door = {
  environment: Environment
  db: Database
  keep: KeepWebhook
  receivers: ReceiverCache<Receiver>
  apps: ReceiverCache<AppInstance>
  keys: ReturnType<typeof publishedKeys>
  log: Log
  refusals: RefusalLog
  clock: Clock
  bodyMs: number
}

/** A webhook as it came, and where to. */
type Call = InboundRequest & {
  address: WebhookAddress | null
  /** Of the token that the address ends in. */
  tokenHash: string | null
  /** Of what came to the door of business apps. */
  envelope: Envelope | null
}

const MAX_BODY_BYTES = 1_000_000

/** What nearly every webhook is: read at once, in half the time of a stream. */
const SMALL_BODY_BYTES = 64_000

/** For all that the database is asked for one webhook: the strictest platforms wait 3 s, and send it again later. */
const DATABASE_MS = 2_500

/** Whoever sends slower holds a line that others need. */
const BODY_MS = 10_000

/** Calls at once over direct connections. */
const CONNECTIONS = 10

/** What is remembered may be this old before a refusal stands, in milliseconds. */
const SURE_FOR_MS = 1_000

/**
 * Makes the handler. Whoever cannot prove to be the platform, or the business app, hears the same, whatever the reason: a wrong signature, no
 * secret, an integration that is disconnected, an app that is disabled, or one that does not exist.
 */
export function receiveWebhooks(options: ReceiveOptions = {}): Handler {
  let door: Door | undefined
  return async (request) => {
    try {
      // the settings of a process do not change
      door ??= openDoor(options)
      return await answer(door, request)
    } catch (error) {
      const log = door?.log ?? createLog()
      const isAway = error instanceof DatabaseError && error.isPassing
      if (isAway) log.warn('a webhook could not be stored: the platform sends it again', { error })
      else log.error('a webhook ended in an internal error', { error })
      return isAway ? sendAgain() : respond(500, { error: 'something went wrong on our side' })
    } finally {
      await discardBody(request.body)
    }
  }
}

function openDoor(
  { environment: settings, supabase, log, clock = systemClock, bodyMs = BODY_MS }: ReceiveOptions,
): Door {
  const environment = readEnvironment(settings)
  const url = environment.PLUGBOARD_DATABASE_URL
  const doorLog = (log ?? createLog()).with({ endpoint: '/webhook-receive' })
  const limits = { withinMs: DATABASE_MS }
  // the secret key: whoever calls is known by the signature alone
  const db = url === undefined
    ? dataApiDatabase(createAdminClient({ env: supabase }), limits)
    : directDatabase(url, { ...limits, max: CONNECTIONS, prepare: true })
  return {
    environment,
    db,
    keep: url === undefined ? keepEach(db) : keepTogether(db, CONNECTIONS),
    receivers: new ReceiverCache((id) => receiverOfIntegration(db, id), clock),
    apps: new ReceiverCache((id) => findAppInstance(db, id), clock),
    keys: publishedKeys(fetch),
    log: doorLog,
    refusals: new RefusalLog(doorLog, clock),
    clock,
    bodyMs,
  }
}

async function answer(door: Door, request: Request): Promise<Response> {
  const { method, headers } = request
  if (!['GET', 'HEAD', 'POST'].includes(method)) {
    return respond(405, { error: 'not with this method' }, { allow: 'GET, HEAD, POST' })
  }
  const body = await bodyOf(request, door.bodyMs)
  if (body === 'too large') return respond(413, { error: `more than ${MAX_BODY_BYTES} bytes` })
  if (body === 'broken') return respond(400, { error: 'the body broke off' })
  if (body === 'slow') return respond(408, { error: `no whole body within ${door.bodyMs} ms` })

  const { pathname, search } = new URL(request.url)
  const rest = pathname.slice(pathname.indexOf('/webhook-receive'))
  // as the platform called it: HubSpot signs the address
  const url = receiverAddress(
    door.environment,
    `${rest.slice('/webhook-receive/'.length)}${search}`,
  )
  const address = readAddress(rest)
  const envelope = address === 'apps' ? readEnvelope(body) : null
  const tokenHash = tokenHashOf(address)
  const call: Call = { method, url, headers, body, address, tokenHash, envelope }
  const answered = await within(DATABASE_MS, takeIn(door, call))
  if (answered === null) {
    door.log.warn('a webhook was not stored in time: the platform sends it again')
  }
  return answered ?? sendAgain()
}

async function takeIn(door: Door, call: Call): Promise<Response> {
  const remembered = await findReceiver(door, call)
  const first = await attempt(door, call, remembered)
  if (first instanceof Response) return first
  // what was remembered may be wrong by now, either way; but not every caller makes us read it again
  const maxAge = first === 'changed' ? -1 : SURE_FOR_MS
  const again = remembered.age > maxAge ? await findReceiver(door, call, maxAge) : null
  const second = again ? await attempt(door, call, again) : first
  if (second instanceof Response) return second
  if (second === 'changed') return sendAgain()
  door.refusals.add(remembered.receiver, second)
  return respond(401, { error: 'not signed by anybody who is connected here' })
}

async function bodyOf(
  request: Request,
  withinMs: number,
): Promise<Uint8Array | 'too large' | 'broken' | 'slow'> {
  const announced = request.headers.get('content-length')
  if (Number(announced) > MAX_BODY_BYTES) return 'too large'
  try {
    if (announced !== null && Number(announced) <= SMALL_BODY_BYTES) {
      const bytes = await within(withinMs, request.arrayBuffer())
      return bytes === null ? 'slow' : new Uint8Array(bytes)
    }
    // not AbortSignal.timeout(), which goes off for bodies too that came long ago
    const over = new AbortController()
    // memory is taken as bytes come, not as they are announced
    const body = await within(withinMs, readBody(request.body, MAX_BODY_BYTES, 0, over.signal))
    if (body === null) over.abort()
    return body ?? 'slow'
  } catch (error) {
    return error instanceof BodyTooLarge ? 'too large' : 'broken'
  }
}

async function findReceiver(
  { receivers, apps, environment }: Door,
  { address, envelope }: Call,
  maxAge?: number,
): Promise<Remembered<Receiver | AppInstance>> {
  if (address === 'apps' && envelope) return await apps.get(envelope.app_instance_id, maxAge)
  if (address === null || address === 'apps') return { receiver: null, age: 0 }
  return 'slug' in address
    ? { receiver: receiverOfApp(address.slug, environment), age: 0 }
    : await receivers.get(address.integrationId, maxAge)
}

/** An answer; or why it is refused, `changed` when the receiver is another since it was read. */
async function attempt(
  door: Door,
  call: Call,
  { receiver }: Pick<Remembered<Receiver | AppInstance>, 'receiver'>,
): Promise<Response | RefusalReason | 'changed'> {
  const now = door.clock.now()
  const verification: Verification = receiver
    ? await verify(door, call, receiver, now)
    : { kind: 'refused', reason: 'no_secret' }
  if (verification.kind === 'handshake') return shakeHands(verification)
  if (verification.kind === 'verified') {
    const known = receiver!
    const isForAll = !('appInstanceId' in known) && await isOurApps(door, call, known, now)
    return await store(door, call, isForAll ? ofOurApp(known) : known, now)
  }
  takeAsLong(call.body, verification.reason)
  return verification.reason
}

/**
 * Whether our app's secret signed it, at whatever door: it signs for all accounts, so the payload says whose it is and not the
 * address.
 */
async function isOurApps(
  door: Door,
  call: Call,
  receiver: Receiver,
  now: Date,
): Promise<boolean> {
  const { integrationId, webhooks, secrets } = receiver
  if (integrationId === null || !webhooks.doors.some(({ at }) => at === 'app')) return false
  if (secrets.length === 0) return true
  return (await verify(door, call, { ...receiver, secrets: [] }, now)).kind === 'verified'
}

const ofOurApp = (receiver: Receiver): Receiver => ({
  ...receiver,
  integrationId: null,
  version: null,
})

async function verify(
  door: Door,
  call: Call,
  receiver: Receiver | AppInstance,
  now: Date,
): Promise<Verification> {
  if ('appInstanceId' in receiver) {
    return await verifyAppEvent(call, call.envelope!, receiver, now, door.keys)
  }
  const secrets = secretsOf(receiver, call.tokenHash, door.environment, now)
  return await verifyWebhook(receiver.scheme, call, secrets, now, door.keys)
}

const DUMMY_KEY = randomBytes(32)

/** A refusal that came without looking at the body would tell by its haste that there is nothing to check with. */
function takeAsLong(body: Uint8Array, reason: RefusalReason): void {
  if (reason !== 'wrong_signature') createHmac('sha256', DUMMY_KEY).update(body).digest()
}

async function store(
  door: Door,
  call: Call,
  receiver: Receiver | AppInstance,
  now: Date,
): Promise<Response | 'changed'> {
  const isKept = 'appInstanceId' in receiver
    ? await keepAppEvent(door.db, call, call.envelope!, receiver, now)
    : await keepWebhook(door, call, receiver, now)
  return isKept ? respond(200, { received: true }) : 'changed'
}

/** @returns False where the receiver has changed since it was read. */
async function keepWebhook(
  door: Door,
  call: Call,
  receiver: Receiver,
  now: Date,
): Promise<boolean> {
  const { headers, body } = call
  const { connector, webhooks, scheme, integrationId, version } = receiver
  const received = { headers, body, received_at: now }
  const webhook = inboundWebhook(received)
  const { type, dedupe_key, accounts } = describeWebhook(webhooks, webhook, scheme)
  if (integrationId === null && accounts.length === 0) {
    door.log.info('a webhook of our app names no account', { connector: connector.slug, type })
  }
  const isTaken = await door.keep({
    connector: connector.slug,
    type,
    dedupe_key,
    headers: keptHeaders(scheme, headers, webhooks.headers),
    proof: proofOf(scheme, call, call.tokenHash, now),
    body,
    integration_id: integrationId,
    receiver_version: version,
    accounts,
  })
  // what concerns no account that is connected here, the platform need not send again
  return isTaken || integrationId === null
}

/** Null when it takes longer; what becomes of it then is nobody's concern. */
function within<Value>(ms: number, work: Promise<Value>): Promise<Value | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

const sendAgain = () => respond(503, { error: 'try again later' }, { 'retry-after': '5' })

const shakeHands = ({ status, contentType, body }: Handshake) =>
  new Response(body, {
    status,
    headers: { 'content-type': contentType, 'cache-control': 'no-store' },
  })

const respond = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  Response.json(body, { status, headers: { 'cache-control': 'no-store', ...headers } })
