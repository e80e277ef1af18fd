// Connections that are back as soon as Postgres is.
import postgres from 'postgres'

/**
 * Seconds before a lost connection is tried again. By itself the driver doubles its pause with each failure, of all
 * connections together: after a few seconds without Postgres it would not look for 20 s.
 */
export const reconnectAfter = () => 0.05

/** A pool that says nothing of notices and lives through restarts of Postgres. */
export function openPool<Types extends Record<string, postgres.PostgresType>>(
  url: string,
  options: postgres.Options<Types>,
) {
  return postgres(url, { onnotice: () => {}, backoff: reconnectAfter, ...options })
}
