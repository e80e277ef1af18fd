// What types does the database have? The Supabase CLI writes them to src/database.types.ts.
//
// node scripts/generate-types.ts [--check] [--db-url URL]
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectDir } from './stack/project.ts'
import { startStack } from './stack/stack.ts'
import { askSupabase } from './stack/supabase-cli.ts'

const target = join(projectDir, 'src/database.types.ts')

const firstLine =
  '// Generated from the migrations by scripts/generate-types.ts: do not edit. What types does the database have?'

/** The text that `src/database.types.ts` has to have for the database at this address. */
export async function generateTypes(dbUrl: string): Promise<string> {
  const command = ['gen', 'types', '--lang', 'typescript', '--schema', 'public']
  const stdout = await askSupabase(command, dbUrl)
  return withFilledColumns(await format(`${firstLine}\n${stdout}`))
}

/** Tables that people add rows to, and columns that a trigger fills in a row that does not say them. */
const FILLED = {
  contacts: ['organization_id', 'source', 'source_id'],
  products: ['organization_id', 'source', 'source_id'],
}

/** Makes the filled columns optional for inserts: of triggers the Supabase CLI knows nothing. */
function withFilledColumns(types: string): string {
  return Object.entries(FILLED).reduce((text, [table, columns]) => {
    const start = text.indexOf('Insert: {', text.indexOf(`\n      '${table}': {`))
    const end = text.indexOf('}', start)
    const insert = columns.reduce((insert, column) => {
      const required = `'${column}': `
      if (!insert.includes(required)) throw new Error(`${table}.${column} is not what it was`)
      return insert.replace(required, `'${column}'?: `)
    }, text.slice(start, end))
    return text.slice(0, start) + insert + text.slice(end)
  }, types)
}

/** Writes the file, or with `check` leaves it alone. Answers whether it was up to date. */
export async function updateTypes(
  options: { dbUrl?: string; check?: boolean } = {},
): Promise<boolean> {
  const types = options.dbUrl ? await generateTypes(options.dbUrl) : await generateFromMigrations()
  const isFresh = await readFile(target, 'utf8').catch(() => '') === types
  if (!isFresh && !options.check) await writeFile(target, types)
  return isFresh
}

async function generateFromMigrations(): Promise<string> {
  const stack = await startStack({ ephemeral: true, functions: false, cron: false, envFile: null })
  try {
    return await generateTypes(stack.dbUrl)
  } finally {
    await stack.stop()
  }
}

// Through standard input: deno.json leaves the file itself out, as nobody should edit it.
function format(source: string): Promise<string> {
  const deno = join(projectDir, 'node_modules/.bin/deno')
  const config = join(projectDir, 'deno.json')
  const child = spawn(deno, ['fmt', '--quiet', '--config', config, '--ext', 'ts', '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let formatted = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => formatted += text)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => {
      if (exitCode === 0) resolve(formatted)
      else reject(new Error(`deno fmt ended with ${exitCode}`))
    })
    child.stdin.end(source)
  })
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, 'db-url': { type: 'string' } },
  })
  const isFresh = await updateTypes({ dbUrl: values['db-url'], check: values.check })
  if (isFresh) console.log('src/database.types.ts is up to date')
  else if (!values.check) console.log('src/database.types.ts is written')
  else {
    console.error('src/database.types.ts is stale: run "node scripts/generate-types.ts"')
    process.exitCode = 1
  }
}
