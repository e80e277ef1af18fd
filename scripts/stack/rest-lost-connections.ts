// What becomes of a request whose connection to Postgres breaks within its transaction? It fails at once.
//
// postgres.js gives a transaction a reserved connection and, once that is gone, writes the rollback to
// a socket that is null: the request hangs for ever and the process dies of the uncaught TypeError.
import type postgres from 'postgres'

/** What a connection of postgres.js looks like from inside a query. */
type InnerConnection = { onclose?: ((error: unknown) => void) | null }

/** Postgres says that it goes away, or the driver that the socket has closed. */
const isLoss = (error: unknown) =>
  error instanceof Error && 'code' in error && /^(57P0[1-5]|CONNECTION_)/.test(String(error.code))

/** Makes reserved connections of `sql` refuse queries after they were lost. */
export function refuseLostConnections(sql: postgres.Sql): void {
  const reserve = sql.reserve.bind(sql)
  sql.reserve = async () => {
    // connected anew, the driver first reports the error that ended the connection before
    const reserved = await reserve().catch((error) =>
      isLoss(error) ? reserve() : Promise.reject(error)
    )
    const { unsafe, release } = reserved
    let lost: unknown = null
    const watched = {
      // as `sql.begin` does inside the driver: called with the connection when a query is sent
      onexecute(connection: InnerConnection) {
        connection.onclose = (error) => lost ??= error
        return true
      },
    }
    const run = (...[text, parameters, options]: Parameters<typeof unsafe>) => {
      if (lost) return Promise.reject(lost)
      return unsafe(text, parameters, { ...options, ...watched }).catch((error: unknown) => {
        if (isLoss(error)) lost ??= error
        throw error
      })
    }
    return Object.assign(reserved, {
      unsafe: run,
      // a lost connection is put back by the driver itself; releasing it would hand it out again
      release: () => lost ? undefined : release(),
    })
  }
}
