// How does a connector written since the last start get into the database? Its catalog is a generated
// migration, and a migration that was applied once is not applied again.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'

/** Runs the catalog file, which makes the table equal to it however often it runs. */
export async function refreshConnectorCatalog(supabaseDir: string, dbUrl: string): Promise<void> {
  const folder = join(supabaseDir, 'migrations')
  if (!existsSync(folder)) return
  const file = readdirSync(folder).find((name) => name.endsWith('_connector_catalog.sql'))
  if (!file) return
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(readFileSync(join(folder, file), 'utf8'))
  } finally {
    await sql.end()
  }
}
