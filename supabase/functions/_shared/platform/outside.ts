// What an endpoint hands to an engine: the service's way into Postgres, and the way out.
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Outside } from '../integrations/open-integration.ts'
import { dataApiDatabase, type Database, directDatabase } from './database.ts'
import type { Environment } from './environment.ts'
import type { Log } from './log.ts'

/** One pool a process: isolates are reused, and a pool a request would exhaust the connections. */
let direct: { url: string; database: Database } | undefined

/** Engines act with the service's rights; the endpoint has judged the caller before. */
export function outsideFor(
  context: { admin: SupabaseClient; environment: Environment; log: Log },
): Outside {
  const { admin, environment, log } = context
  const url = environment.PLUGBOARD_DATABASE_URL
  if (url === undefined) {
    return { db: dataApiDatabase(admin), environment, log }
  }
  if (direct?.url !== url) direct = { url, database: directDatabase(url) }
  return { db: direct.database, environment, log }
}
