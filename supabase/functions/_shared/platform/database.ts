// How engines reach Postgres: by calling named SQL functions, over the Data API or a direct connection.
import type { SupabaseClient } from '@supabase/supabase-js'
import postgres from 'postgres'
import { type Clock, systemClock } from './clock.ts'
import { AppError, type ErrorCode, ERRORS } from './errors.ts'

export interface Database {
  /**
   * Calls `public.<name>` and answers what it returns. Every function called here may be called
   * again when its answer was lost, so a connection that broke is tried again.
   *
   * @throws AppError with the code that `private.refuse` gave, or a {@link DatabaseError}.
   */
  call<T>(name: string, args: Record<string, unknown>): Promise<T>
  /** Closes the connection, where there is one. */
  end(): Promise<void>
}

/** Postgres said no for a reason of its own. `code` is the SQLSTATE, or `''` when it did not answer. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }

  /** The values are at fault (classes 22 and 23): sending them again cannot help. */
  get isAboutData(): boolean {
    return /^2[23]/.test(this.code)
  }

  /** The connection is at fault, or two transactions that met: the same call may work at once. */
  get isTransient(): boolean {
    return this.code === '' || /^(08|53|57P0|40)/.test(this.code) ||
      /^PGRST00[0-3]$/.test(this.code)
  }

  /** Waiting helps: transient, or the database was too busy (time-outs of a statement or a lock). */
  get isPassing(): boolean {
    return this.isTransient || this.code === '57014' || this.code === '55P03'
  }
}

type Options = {
  clock?: Clock
  random?: () => number
  /** For one try. 65 000 by default. */
  timeoutMs?: number
  /** For all tries together, where somebody waits for the answer who will not wait long. */
  withinMs?: number
}

/** Longer than the longest statement_timeout of the functions called here (60 s), shorter than a lease. */
const CALL_TIMEOUT_MS = 65_000

/** Calls through PostgREST. `admin` is the secret key's client: engines act for the service. */
export function dataApiDatabase(
  admin: SupabaseClient,
  options: Options = {},
): Database {
  return {
    call: <T>(name: string, args: Record<string, unknown>) =>
      again(options, async (timeoutMs) => {
        const { data, error, status } = await admin.rpc(name, args)
          .abortSignal(AbortSignal.timeout(timeoutMs))
        if (!error) return data as T
        const code = status >= 500 && !error.code ? '' : error.code
        // only hint, never details: those quote the row
        throw toError(code, error.message, error.details, { code, hint: error.hint })
      }),
    end: () => Promise.resolve(),
  }
}

/** Supabase's transaction poolers listen here; they hand out another connection each time. */
const TRANSACTION_POOLER_PORT = '6543'

/**
 * Calls over a pool of two connections of its own.
 *
 * @param options.prepare For calls that are many and short: saves a round trip each, where the connection is kept.
 */
export function directDatabase(
  url: string,
  options: Options & { max?: number; prepare?: boolean } = {},
): Database {
  const prepare = options.prepare === true && new URL(url).port !== TRANSACTION_POOLER_PORT
  const sql = postgres(url, {
    prepare,
    max: options.max ?? 2,
    idle_timeout: 20,
    backoff: () => 0, // `again` paces the tries; the driver's own pauses grow to 20 s and would come on top
    onnotice: () => {},
  })
  return {
    call: <T>(name: string, args: Record<string, unknown>) =>
      again(options, async (timeoutMs) => {
        const given = Object.entries(args).filter(([, value]) => value !== undefined)
        const list = given.map(([key], index) => `${key} => $${index + 1}`)
        try {
          const query = sql.unsafe(
            `select to_jsonb(answer) as answer from public.${name}(${list.join(', ')}) as answer`,
            given.map(([, value]) => value) as never[],
            { prepare },
          )
          const [row] = await inTime(query, timeoutMs)
          return (row?.answer ?? null) as T
        } catch (error) {
          if (error instanceof DatabaseError) throw error
          // anything else is the driver's: the connection is gone (CONNECTION_CLOSED, EPIPE)
          if (error instanceof postgres.PostgresError) {
            const { code, message, detail, hint } = error
            // only we cancel: that of an earlier call on this connection may come late and meet this one
            if (code === '57014' && message.includes('user request')) {
              throw new DatabaseError('', message, error)
            }
            throw toError(code, message, detail, { code, hint })
          }
          throw toError('', error instanceof Error ? error.message : String(error), null, error)
        }
      }),
    end: () => sql.end({ timeout: 5 }),
  }
}

/** @throws DatabaseError without a code when the limit is reached; the query is cancelled then */
async function inTime<Rows>(query: PromiseLike<Rows>, timeoutMs: number): Promise<Rows> {
  const { promise: limit, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new DatabaseError('', `Postgres did not answer within ${timeoutMs / 1_000} s`))
    cancel(query)
  }, timeoutMs)
  try {
    return await Promise.race([query, limit])
  } finally {
    clearTimeout(timer)
  }
}

// The driver's own cancel() drops the promise of its canceller, which fails when the server is gone: an
// unhandled rejection would end the worker.
function cancel(query: object): void {
  const { canceller } = query as { canceller?: ((query: object) => Promise<void>) | null }
  canceller?.(query).catch(() => {})
}

function toError(
  code: string,
  message: string,
  detail: string | null | undefined,
  cause: unknown,
): Error {
  if (code === 'PB001' && message in ERRORS) {
    return new AppError(message as ErrorCode, {
      detail: detail || undefined,
      cause,
    })
  }
  return new DatabaseError(code, message, cause)
}

/** No try begins later than this after the first: a lease must outlive them all. */
const GIVE_UP_AFTER_MS = 30_000

/** A restart of Postgres takes a second or two: waits 0.2, 0.4, … 3.2 s between six tries at most. */
async function again<T>(
  { clock = systemClock, random = Math.random, timeoutMs = CALL_TIMEOUT_MS, withinMs }: Options,
  call: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const startedAt = clock.now().getTime()
  const left = () => (withinMs ?? Infinity) - (clock.now().getTime() - startedAt)
  for (let attempt = 0;; attempt++) {
    try {
      return await call(Math.min(timeoutMs, left()))
    } catch (error) {
      const mayPass = error instanceof DatabaseError && error.isTransient
      const isLate = clock.now().getTime() - startedAt >= GIVE_UP_AFTER_MS
      const pauseMs = 200 * 2 ** attempt * (0.75 + random() / 2)
      if (!mayPass || attempt === 5 || isLate || pauseMs >= left()) throw error
      await clock.sleep(pauseMs)
    }
  }
}
