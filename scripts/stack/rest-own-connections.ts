// How does a request get a connection of its own, and what becomes of it when that breaks? It fails at once.
//
// `reserve` of postgres.js 3.4.9 outlives no broken connection: who waits for one that closes waits for ever
// (github.com/porsager/postgres/issues/1195), one that failed stays taken, and what is sent to it afterwards hangs or ends
// the process. So each is a driver of its own here, with one connection, and goes with it.
import { PostgresConnection } from '@supabase/lite/postgres'
import type postgres from 'postgres'
import { abortable } from '../../supabase/functions/_shared/http/abortable.ts'
import { reconnectAfter } from './pool.ts'
import { isConnectionError } from './postgrest-errors.ts'

type Options = postgres.Options<Record<string, postgres.PostgresType>>
type Open = (options: { max: 1; max_lifetime: null; onclose: () => void }) => postgres.Sql

/** Also what Postgres says to those whose connection it ends. */
const isLoss = (error: unknown): boolean =>
  isConnectionError(error) ||
  error instanceof Error && 'code' in error && /^57P0[1245]$/.test(String(error.code))

/** Lite's connection, for requests that may lose theirs to Postgres. */
export class LosableConnection extends PostgresConnection {
  constructor(url: string, options: Options = {}) {
    const postgresOptions = { onnotice: () => {}, backoff: reconnectAfter, ...options }
    super({ url, postgresOptions })
    reserveOwnConnections(
      this.driver,
      (more) =>
        new PostgresConnection({ url, postgresOptions: { ...postgresOptions, ...more } }).driver,
    )
  }
}

/**
 * Gives `sql` another `reserve`, with as many connections at once as `sql` itself may open. Of what it answers, only
 * `unsafe` and `release` are there: the dialect asks for nothing else.
 *
 * @param open A driver like `sql`, with these options besides.
 */
function reserveOwnConnections(sql: postgres.Sql, open: Open): void {
  const connections = new Set<OwnConnection>()
  const idle: OwnConnection[] = []
  const waiting: (() => void)[] = []
  let taken = 0

  function take(): OwnConnection {
    for (let own = idle.pop(); own; own = idle.pop()) {
      if (!own.isLost) return own
      connections.delete(own)
    }
    const own = new OwnConnection(open)
    connections.add(own)
    return own
  }

  sql.reserve = async () => {
    if (taken < sql.options.max) taken++
    else await new Promise<void>((resolve) => waiting.push(resolve)) // for the place of whoever releases
    const own = take()
    const release = () => {
      idle.push(own)
      const next = waiting.shift()
      if (next) next()
      else taken--
    }
    return { unsafe: own.unsafe.bind(own), release } as unknown as postgres.ReservedSql
  }

  const end = sql.end.bind(sql)
  sql.end = async (options) => {
    await Promise.all([end(options), ...[...connections].map((own) => own.sql.end(options))])
  }
}

/** A driver with one connection, of use for as long as that lives. */
class OwnConnection {
  readonly sql: postgres.Sql
  readonly #loss = new AbortController()

  constructor(open: Open) {
    const error = Object.assign(new Error('The connection closed'), { code: 'CONNECTION_CLOSED' })
    // by its age the driver would end it between two queries, also of one transaction
    this.sql = open({ max: 1, max_lifetime: null, onclose: () => this.#lose(error) })
  }

  get isLost(): boolean {
    return this.#loss.signal.aborted
  }

  /** As the driver's, and fails also where that would not hear of the loss. */
  async unsafe(
    ...query: Parameters<postgres.Sql['unsafe']>
  ): Promise<postgres.RowList<postgres.Row[]>> {
    try {
      return await abortable(this.sql.unsafe(...query), this.#loss.signal)
    } catch (error) {
      if (isLoss(error)) this.#lose(error)
      throw error
    }
  }

  #lose(error: unknown): void {
    if (this.isLost) return
    this.#loss.abort(error)
    void this.sql.end({ timeout: 0 })
  }
}
