// Which migrations are missing, and who applies them? The real Supabase CLI, as on hosted.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { runSupabase } from './supabase-cli.ts'
import { UserError } from './user-error.ts'

export type MigrationOptions = {
  /** The folder with `migrations/` and `config.toml`. */
  supabaseDir: string
  /** As role `postgres`, which owns what migrations create. */
  dbUrl: string
  log: (line: string) => void
}

/** Applies what is missing and answers how many files that were. */
export async function applyMigrations(options: MigrationOptions): Promise<number> {
  const pending = await findPending(options)
  if (pending.length === 0) return 0 // the CLI takes over a second to find the same out
  options.log(`migrations: applying ${pending.length}`)
  const command = ['migration', 'up', '--include-all', '--workdir', dirname(options.supabaseDir)]
  const { exitCode, stdout, stderr } = await runSupabase(command, options.dbUrl)
  if (exitCode !== 0) {
    throw new UserError(`The migrations could not be applied:\n${`${stdout}\n${stderr}`.trim()}`)
  }
  return pending.length
}

/** Changes whenever a migration does, or the settings that the CLI reads beside them. */
export function migrationsHash(supabaseDir: string): string {
  const folder = join(supabaseDir, 'migrations')
  const files = existsSync(folder)
    ? readdirSync(folder).sort().map((name) => join(folder, name))
    : []
  const hash = createHash('sha256')
  for (const file of [join(supabaseDir, 'config.toml'), ...files]) {
    if (existsSync(file)) hash.update(file).update(readFileSync(file))
  }
  return hash.digest('hex')
}

async function findPending({ supabaseDir, dbUrl }: MigrationOptions): Promise<string[]> {
  const folder = join(supabaseDir, 'migrations')
  if (!existsSync(folder)) return []
  const versions = readdirSync(folder)
    .map((name) => name.match(/^(\d+)_.*\.sql$/)?.[1])
    .filter((version) => version !== undefined)
  if (versions.length === 0) return []
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} })
  try {
    const [history] = await sql`select to_regclass('supabase_migrations.schema_migrations') as name`
    if (!history?.name) return versions
    const rows = await sql<{ version: string }[]>`
      select version from supabase_migrations.schema_migrations`
    const applied = new Set(rows.map((row) => row.version))
    const known = new Set(versions)
    const gone = [...applied].filter((version) => !known.has(version))
    if (gone.length > 0) {
      const names = gone.join(', ')
      throw new UserError(
        `The database has migrations whose files are gone (${names}): delete the data directory to start fresh, or restore the files.`,
      )
    }
    return versions.filter((version) => !applied.has(version))
  } finally {
    await sql.end()
  }
}
