// What an engine works with: the service's way into Postgres, the way out to platforms, the time.
import type { SupabaseClient } from '@supabase/supabase-js'
import { type Clock, systemClock } from './clock.ts'
import { dataApiDatabase, type Database, directDatabase } from './database.ts'
import type { Environment } from './environment.ts'
import type { Log } from './log.ts'

/** What it takes to call the outside; the same for every engine. */
export type Outside = {
  db: Database
  environment: Pick<
    Environment,
    | 'SUPABASE_URL'
    | 'PLUGBOARD_PUBLIC_URL'
    | 'CONNECTOR_OVERRIDES'
    | 'OAUTH_CLIENTS'
    | 'PLUGBOARD_ALLOW_PRIVATE_NETWORKS'
    | 'PLUGBOARD_RETURN_URLS'
  >
  log: Log
  clock: Clock
  fetch?: typeof globalThis.fetch
  /** For one attempt at a platform, instead of the HTTP client's own limit. */
  timeoutMs?: number
  /** For everything that connect, update or check asks a platform, instead of 45 s. */
  answerWithinMs?: number
}

/** One pool a process and limit: isolates are reused, and a pool a request would exhaust the connections. */
const direct = new Map<string, Database>()

/**
 * Engines act with the service's rights; the endpoint has judged the caller before.
 *
 * @param callTimeoutMs For one try of a call of the database, instead of 65 s.
 */
export function outsideFor(
  context: { admin: SupabaseClient; environment: Environment; log: Log },
  callTimeoutMs?: number,
): Outside {
  const { admin, environment, log } = context
  const url = environment.PLUGBOARD_DATABASE_URL
  const options = callTimeoutMs === undefined ? {} : { timeoutMs: callTimeoutMs }
  if (url === undefined) {
    return { db: dataApiDatabase(admin, options), environment, log, clock: systemClock }
  }
  const key = `${callTimeoutMs} ${url}`
  const db = direct.get(key) ?? directDatabase(url, options)
  direct.set(key, db)
  return { db, environment, log, clock: systemClock }
}
