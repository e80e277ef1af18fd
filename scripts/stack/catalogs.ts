// How does a connector or event type written since the last start get into the database? Their catalogs are generated
// migrations, and a migration that was applied once is not applied again.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'

const CATALOG = /_(connector_catalog|event_types)\.sql$/

/** Runs the catalogs' files, each of which makes its table equal to it however often it runs. */
export async function refreshCatalogs(supabaseDir: string, dbUrl: string): Promise<void> {
  const folder = join(supabaseDir, 'migrations')
  if (!existsSync(folder)) return
  const files = readdirSync(folder).filter((name) => CATALOG.test(name))
  if (files.length === 0) return
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} })
  try {
    for (const file of files) await sql.unsafe(readFileSync(join(folder, file), 'utf8'))
  } finally {
    await sql.end()
  }
}
