// How does a test call the functions? Callers, stores to connect, and answers that may not tell a secret.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  startTreezSimulator,
  type TreezSimulator,
  type TreezSimulatorOptions,
} from '../../scripts/simulators/treez.ts'
import {
  COMMON_ERRORS,
  type Contract,
} from '../../supabase/functions/_shared/contracts/contract.ts'
import * as apps from '../../supabase/functions/_shared/contracts/apps.ts'
import * as images from '../../supabase/functions/_shared/contracts/images.ts'
import * as integrations from '../../supabase/functions/_shared/contracts/integrations.ts'
import * as syncs from '../../supabase/functions/_shared/contracts/sync.ts'
import * as deliveries from '../../supabase/functions/_shared/contracts/webhook-deliveries.ts'
import * as webhookEvents from '../../supabase/functions/_shared/contracts/webhook-events.ts'
import * as webhooks from '../../supabase/functions/_shared/contracts/webhooks.ts'
import type { Problem } from '../../supabase/functions/_shared/platform/errors.ts'
import { type TestDatabase, useDatabase } from './database.ts'
import type { Person } from './people.ts'
import { sharedRemote, sharedStack } from './shared-stack.ts'
import { connectRemote, type StackRemote } from './stack-remote.ts'

/** A signed-in person, the secret key, a page that is not signed in, or any headers. */
export type FunctionCaller = Person | 'secret key' | 'not signed in' | { headers: HeadersInit }

export type FunctionAnswer<Body = Record<string, unknown>> = {
  status: number
  headers: Headers
  text: string
  body: Body
}

export type SyncAnswer = FunctionAnswer<syncs.SyncResult>

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'path' in value && 'errors' in value
}

/** What each endpoint may answer beyond the common errors, by its path. */
const errorsByPath = new Map(
  Object.values<unknown>({
    ...apps,
    ...deliveries,
    ...images,
    ...integrations,
    ...syncs,
    ...webhookEvents,
    ...webhooks,
  })
    .filter(isContract)
    .map(({ path, errors }): [string, readonly string[]] => [path, errors]),
)

export type Functions = {
  database: TestDatabase
  remote: StackRemote
  /**
   * Sends a body as JSON; `path` is below `/functions/v1`. Fails when the answer tells a secret, or is an
   * error that the endpoint's contract does not name.
   */
  call<Body = Record<string, unknown> & Problem>(
    caller: FunctionCaller,
    path: string,
    body: unknown,
  ): Promise<FunctionAnswer<Body>>
  /** Sends any request; `caller` adds the headers. */
  send(caller: FunctionCaller, path: string, init: RequestInit): Promise<FunctionAnswer>
  /** Opens a simulated Treez store with credentials of its own, closed after the test file. */
  openStore(options?: TreezSimulatorOptions): Promise<TreezSimulator>
  /** Connects a store as `caller`. */
  connect(
    caller: FunctionCaller,
    organizationId: string,
    store: TreezSimulator,
    options?: Record<string, unknown>,
  ): Promise<integrations.Integration>
  /** Calls `/sync-products`. */
  syncProducts(caller: FunctionCaller, integrationId: string): Promise<SyncAnswer>
  /** Calls `/sync` for products. */
  sync(
    caller: FunctionCaller,
    integrationId: string,
    options?: { mode?: 'full' | 'incremental'; allow_mass_delete?: boolean; wait?: boolean },
  ): Promise<SyncAnswer>
  /** Counts a text as a secret from now on: no answer and no line of the log may contain it. */
  keepSecret(...texts: string[]): void
}

/**
 * Everything a test file needs to call the shared stack's functions. After the file it reads what the
 * functions have logged: a secret, an internal error or an uncaught one fails the file.
 */
export function useFunctions(): Functions {
  const { functionsUrl, publishableKey, secretKey } = sharedStack
  const remote = connectRemote(sharedRemote())
  const database = useDatabase()
  const secrets = new Set([secretKey])
  const tokens = new Map<string, Promise<string>>()
  const stores: TreezSimulator[] = []
  // accounts of earlier files have the same ids, and workers would ask platforms that are gone for them
  beforeAll(async () => {
    await database.admin`
      update public.integrations set status = 'paused' where status in ('connected', 'error')`
    await database.admin`
      update public.integrations set credentials_kept_until = null where credentials_kept_until is not null`
  })
  // what calls of an earlier test came to: simulated accounts have the same ids
  beforeEach(() => database.admin`delete from private.request_budgets`)
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.stop()))
    const held = await database.admin<{ secret: string }[]>`
      select decrypted_secret as secret from vault.decrypted_secrets
      where name is distinct from 'plugboard_functions_url'`
    refuseInLog(await remote.readLog(), [...secrets, ...held.map(({ secret }) => secret)])
  })

  const tokenOf = ({ id, email }: Person) => {
    const known = tokens.get(id) ?? remote.signToken({ sub: id, email })
    tokens.set(id, known)
    return known
  }
  const headersFor = async (caller: FunctionCaller): Promise<HeadersInit> => {
    if (caller === 'secret key') return { apikey: secretKey }
    if (caller === 'not signed in') return { apikey: publishableKey }
    if ('headers' in caller) return caller.headers
    return { apikey: publishableKey, authorization: `Bearer ${await tokenOf(caller)}` }
  }

  const send: Functions['send'] = async (caller, path, init) => {
    const headers = new Headers(await headersFor(caller))
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value)
    const response = await fetch(`${functionsUrl}${path}`, { ...init, headers })
    const text = await response.text()
    const told = [...secrets].find((secret) => text.includes(secret))
    if (told) throw new Error(`the answer of ${path} tells a secret: ${text}`)
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    const body = isJson ? JSON.parse(text) : {}
    return { status: response.status, headers: response.headers, text, body }
  }
  const call = async <Body>(caller: FunctionCaller, path: string, body: unknown) => {
    const answer = await send(caller, path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    refuseUnnamedError(path, answer)
    return answer as FunctionAnswer<unknown> as FunctionAnswer<Body>
  }

  const keepSecret: Functions['keepSecret'] = (...texts) => {
    for (const text of texts) secrets.add(text)
  }

  return {
    database,
    remote,
    send,
    call,
    keepSecret,
    async openStore(options) {
      const store = await startTreezSimulator({
        products: 12,
        brokenShare: 0,
        requestsPerSecond: 0,
        dispensary: `store-${randomUUID()}`,
        clientId: `client-${randomUUID()}`, // what shares a request budget
        apiKey: `key-${randomUUID()}`,
        v3: certificate ??= makeCertificate(),
        ...options,
      })
      stores.push(store)
      keepSecret(store.credentials.v2.api_key, ...pemLines(store.credentials.v3.private_key))
      await remote.addStore(store.settings.dispensary, store.url)
      return store
    },
    async connect(caller, organizationId, store, options = {}) {
      const { status, text, body } = await call<integrations.Integration>(
        caller,
        '/integrations/connect',
        {
          organization_id: organizationId,
          connector: 'treez',
          settings: store.settings,
          credentials: store.credentials.v2,
          ...options,
        },
      )
      if (status !== 200) throw new Error(`the store could not be connected: ${text}`)
      return body
    },
    syncProducts: (caller, integrationId) =>
      call(caller, '/sync-products', { integration_id: integrationId }),
    sync: (caller, integrationId, options = {}) =>
      call(caller, '/sync', { integration_id: integrationId, stream: 'products', ...options }),
  }
}

/** One for all stores of a test file: making a key takes longer than most tests. */
let certificate: TreezSimulatorOptions['v3']

function makeCertificate(): TreezSimulatorOptions['v3'] {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return {
    certificateId: `certificate-${randomUUID()}`,
    organizationId: `organization-${randomUUID()}`,
    publicKey,
    privateKey,
  }
}

function refuseUnnamedError(path: string, { status, body, text }: FunctionAnswer): void {
  const named = errorsByPath.get(path)
  if (status < 400 || !named) return
  if (![...COMMON_ERRORS, ...named].includes(String(body['code']))) {
    throw new Error(`the contract of ${path} does not name this error: ${text}`)
  }
}

function refuseInLog(lines: string[], secrets: string[]): void {
  const bad = lines.filter((line) =>
    /uncaught error|internal error|background work failed/.test(line) ||
    secrets.some((secret) => line.includes(secret))
  )
  if (bad.length > 0) throw new Error(`this may not stand in the log:\n${bad.join('\n')}`)
}

/** Whole lines of a key: the first and last are the same in every key. */
const pemLines = (pem: string) => pem.trim().split('\n').slice(1, -1).filter((line) => line !== '')
