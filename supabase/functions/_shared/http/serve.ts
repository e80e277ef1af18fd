// The one way in: who calls, what they sent, then the work, then an answer or a problem, never a stack.
import type { z } from 'zod'
import { createAdminClient, createContextClient } from '@supabase/server/core'
import type { SupabaseEnv } from '@supabase/server'
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Contract } from '../contracts/contract.ts'
import { authenticate, type Authenticated, type Caller } from '../platform/caller.ts'
import { DatabaseError } from '../platform/database.ts'
import { type Environment, EnvironmentError, readEnvironment } from '../platform/environment.ts'
import { AppError } from '../platform/errors.ts'
import { toFieldErrors } from '../platform/field-errors.ts'
import { createLog, type Log } from '../platform/log.ts'
import { discardBody } from './body.ts'
import { parseRequest, readJsonBody } from './request-body.ts'
import { respond, respondToPreflight, respondWithProblem } from './respond.ts'

export type Handler = (request: Request) => Promise<Response>

/** What the work gets: a known caller and an input its contract accepts. */
export type WorkContext<Body> = {
  body: Body
  caller: Caller
  /**
   * The caller's own client, under row level security: a user's with their token, a service's with
   * its secret key, a worker's with no rights at all.
   */
  db: SupabaseClient
  /** Bypasses row level security: say beside each use why the caller's rights are not enough. */
  admin: SupabaseClient
  environment: Environment
  log: Log
  requestId: string
  /**
   * Aborts when the caller goes away, and in Deno also once the answer is sent: never pass it to
   * work that goes on in the background.
   */
  signal: AbortSignal
}

/** An answer with a status of its own; see {@link reply}. */
export class Reply<Body> {
  readonly status: 200 | 202
  readonly body: Body

  constructor(status: 200 | 202, body: Body) {
    this.status = status
    this.body = body
  }
}

/** Answers with another status than the contract's, such as 202 for work that goes on. */
export function reply<Body>(status: 200 | 202, body: Body): Reply<Body> {
  return new Reply(status, body)
}

export type ServeOptions = {
  /** Larger ones are refused. 1 MB by default. */
  maxBodyBytes?: number
  /** Our settings instead of the process's environment. */
  environment?: Record<string, string | undefined>
  /** Supabase's address and keys instead of the process's environment. */
  supabase?: Partial<SupabaseEnv>
  log?: Log
}

const MAX_BODY_BYTES = 1_000_000

/**
 * Makes the handler of one contract: CORS, method, authentication, size, JSON, fields, then `work`.
 *
 * Every answer is also parsed by the contract. That costs little next to a round trip to the
 * database, drops columns the contract does not name, and turns a drift into an error in our logs
 * instead of one in every client.
 */
export function serve<RequestSchema extends z.ZodType, ResponseSchema extends z.ZodType>(
  contract: Contract<RequestSchema, ResponseSchema>,
  work: (
    context: WorkContext<z.output<RequestSchema>>,
  ) => Promise<z.input<ResponseSchema> | Reply<z.input<ResponseSchema>>>,
  options: ServeOptions = {},
): Handler {
  const baseLog = options.log ?? createLog()

  async function answer(request: Request, requestId: string, log: Log): Promise<Response> {
    if (request.method !== contract.method) throw new AppError('method_not_allowed')
    const environment = readEnvironment(options.environment)
    const authenticated = await authenticate(request.headers, contract.auth, {
      workerToken: environment.PLUGBOARD_WORKER_TOKEN,
      supabase: options.supabase,
    })
    const json = await readJsonBody(request, options.maxBodyBytes ?? MAX_BODY_BYTES)
    const body = parseRequest(contract.request, json)

    const clients = clientsFor(authenticated, options.supabase)
    const result = await work({
      body,
      caller: authenticated.caller,
      get db() {
        return clients.db()
      },
      get admin() {
        return clients.admin()
      },
      environment,
      log,
      requestId,
      // asked for only when used, since Deno warns whoever touches it
      get signal() {
        return request.signal
      },
    })
    const { status, body: content } = result instanceof Reply
      ? result
      : { status: contract.status ?? 200, body: result }
    return respond(status, parseResponse(contract.response, content), requestId)
  }

  return async (request) => {
    const requestId = crypto.randomUUID()
    if (request.method === 'OPTIONS') {
      await discardBody(request.body)
      return respondToPreflight(requestId)
    }
    const log = baseLog.with({ request_id: requestId, endpoint: contract.path })
    try {
      return await answer(request, requestId, log)
    } catch (thrown) {
      const error = toAnswerable(thrown)
      logProblem(log, error)
      return respondWithProblem(error, requestId, allowHeader(error, [contract.method]))
    } finally {
      // an early refusal leaves the body unread, which would block the connection
      await discardBody(request.body)
    }
  }
}

/**
 * Joins handlers into one function with paths below its name.
 *
 * @param table By method and path: `{ 'POST /connect': serve(connectIntegration, …) }`; the
 *   function's own address is `/`.
 */
export function routes(table: Record<string, Handler>): Handler {
  const handlers = new Map(Object.entries(table))
  return async (request) => {
    // The first segment is the function's name, on hosted and in the local stack.
    const [, ...segments] = new URL(request.url).pathname.split('/').filter(Boolean)
    const path = `/${segments.join('/')}`
    const handler = handlers.get(`${request.method} ${path}`)
    if (handler) return await handler(request)

    await discardBody(request.body)
    const requestId = crypto.randomUUID()
    if (request.method === 'OPTIONS') return respondToPreflight(requestId)
    const methods = [...handlers.keys()].map((key) => key.split(' '))
      .flatMap(([method, known]) => method && known === path ? [method] : [])
    const error = new AppError(methods.length > 0 ? 'method_not_allowed' : 'not_found')
    return respondWithProblem(error, requestId, allowHeader(error, methods))
  }
}

function allowHeader(error: unknown, methods: string[]): Record<string, string> {
  const isMethodError = error instanceof AppError && error.code === 'method_not_allowed'
  return isMethodError ? { allow: [...methods, 'OPTIONS'].join(', ') } : {}
}

/** Made when first asked for: most calls need one of them, some need none. */
function clientsFor(authenticated: Authenticated, env: Partial<SupabaseEnv> | undefined) {
  let db: SupabaseClient | undefined
  let admin: SupabaseClient | undefined
  const makeAdmin = () => {
    const keyName = 'keyName' in authenticated ? authenticated.keyName : null
    return createAdminClient({ env, auth: { keyName } })
  }
  const makeContext = () => {
    const token = 'token' in authenticated ? authenticated.token : null
    return createContextClient({ env, auth: { token } })
  }
  return {
    admin: () => admin ??= makeAdmin(),
    db: () => db ??= authenticated.caller.kind === 'service' ? makeAdmin() : makeContext(),
  }
}

function parseResponse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw new Error(
    `the answer does not fit its contract: ${JSON.stringify(toFieldErrors(result.error.issues))}`,
  )
}

/** A database that is away for a moment is no bug: the caller can try again. */
function toAnswerable(error: unknown): unknown {
  const isAway = error instanceof DatabaseError && error.isTransient
  return isAway ? new AppError('unavailable', { cause: error }) : error
}

/** Refusals are the caller's business; what goes wrong here or at a platform is ours. */
function logProblem(log: Log, error: unknown): void {
  if (error instanceof EnvironmentError) {
    log.error('the environment is not set up', { variables: error.variables, error })
  } else if (!(error instanceof AppError) || error.code === 'internal_error') {
    log.error('a call ended in an internal error', { error })
  } else if (error.status >= 500) {
    log.warn('a call failed', { error })
  }
}
