// How does a new data directory get hosted's roles and schemas in under a second? From a template
// cluster that is made once for each version of its ingredients; one that nobody keeps gets the
// project's migrations with it.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { getAuthSchemaSql, getStorageSchemaSql } from '@supabase/lite'
import postgres from 'postgres'
import { extensionsHash } from './extensions.ts'
import { applyMigrations, migrationsHash } from './migrations.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { cacheDir as projectCacheDir } from './project.ts'
import { isReachable, openFolder } from './reachable.ts'

const run = promisify(execFile)
const bootstrapFile = join(import.meta.dirname, 'bootstrap.sql')

/**
 * Makes `dataDir` a bootstrapped cluster; an existing one is left as it is. A new one comes with the
 * migrations of `migratedWith` (a folder like `supabase`) when that is given.
 */
export async function ensureCluster(
  binaries: PostgresBinaries,
  dataDir: string,
  log: (line: string) => void,
  migratedWith?: string,
): Promise<void> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) return
  const bootstrapped = await bootstrappedTemplate(binaries, log)
  const template = migratedWith
    ? await migratedTemplate(binaries, bootstrapped, migratedWith, log)
    : bootstrapped
  // Copied beside its place, then moved: a start that is killed half-way leaves no half cluster.
  const copy = `${dataDir}.new`
  rmSync(copy, { recursive: true, force: true })
  await run('cp', ['-a', template, copy])
  renameSync(copy, dataDir)
}

async function bootstrappedTemplate(
  binaries: PostgresBinaries,
  log: (line: string) => void,
): Promise<string> {
  mkdirSync(projectCacheDir, { recursive: true })
  const cacheDir = isReachable(projectCacheDir, binaries.user)
    ? projectCacheDir
    : openFolder('plugboard-cache')
  const ingredients = createHash('sha256')
    .update(binaries.version)
    .update(extensionsHash())
    .update(readFileSync(bootstrapFile))
    .update(getAuthSchemaSql())
    .update(getStorageSchemaSql())
    .update(String(binaries.user?.uid ?? process.getuid?.()))
    .digest('hex').slice(0, 16)
  const template = join(cacheDir, `cluster-${ingredients}`)
  return await ensureTemplate(binaries, template, log, async (building) => {
    log('postgres: making the template cluster (once)')
    await initialise(binaries, building)
    return ({ adminDbUrl }) => bootstrap(adminDbUrl)
  })
}

async function migratedTemplate(
  binaries: PostgresBinaries,
  bootstrapped: string,
  supabaseDir: string,
  log: (line: string) => void,
): Promise<string> {
  // A migration may ask what day it is, to make the partitions of a month.
  const ingredients = createHash('sha256').update(new Date().toISOString().slice(0, 10))
    .update(migrationsHash(supabaseDir)).digest('hex').slice(0, 16)
  const template = `${bootstrapped}-${ingredients}`
  return await ensureTemplate(binaries, template, log, async (building) => {
    await run('cp', ['-a', `${bootstrapped}/.`, building])
    return async ({ dbUrl }) => {
      await applyMigrations({ supabaseDir, dbUrl, log })
    }
  })
}

/** Makes `template` unless it is there: `prepare` fills the folder, what it answers is done while Postgres runs on it. */
async function ensureTemplate(
  binaries: PostgresBinaries,
  template: string,
  log: (line: string) => void,
  prepare: (building: string) => Promise<(server: PostgresServer) => Promise<void>>,
): Promise<string> {
  if (existsSync(template)) {
    utimesSync(template, new Date(), new Date()) // in use
    return template
  }
  removeOldTemplates(template)
  const building = mkdtempSync(join(dirname(template), 'building-'))
  try {
    if (binaries.user) chownSync(building, binaries.user.uid, binaries.user.gid)
    const work = await prepare(building)
    const server = await startPostgres({ binaries, dataDir: building, log })
    let holdsSecrets: boolean
    try {
      await work(server)
      holdsSecrets = await hasSecrets(server.adminDbUrl)
    } finally {
      await server.stop()
    }
    // Each cluster has its own root key, or a secret could be read with another one's. A secret that a
    // migration made would be lost without the key it was made with.
    if (!holdsSecrets) rmSync(join(building, 'vault_root.key'), { force: true })
    try {
      renameSync(building, template)
    } catch (error) {
      if (!existsSync(template)) throw error // else another stack was faster
    }
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
  return template
}

async function hasSecrets(adminDbUrl: string): Promise<boolean> {
  const sql = postgres(adminDbUrl, { max: 1, onnotice: () => {} })
  try {
    const [vault] = await sql`select to_regclass('vault.secrets') is not null as is_there`
    return vault?.is_there && (await sql`select from vault.secrets limit 1`).length > 0
  } finally {
    await sql.end()
  }
}

/** Removes what has not been used for an hour, which no stack is copying, but what `template` is made of. */
function removeOldTemplates(template: string): void {
  const cacheDir = dirname(template)
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name)
    const isOld = Date.now() - statSync(path).mtimeMs > 3_600_000
    const isOurs = /^(cluster|building)-/.test(name) && !template.startsWith(path)
    if (isOld && isOurs) rmSync(path, { recursive: true, force: true })
  }
}

async function initialise(binaries: PostgresBinaries, dataDir: string): Promise<void> {
  const passwordFile = join(dataDir, '..', `password-${process.pid}`)
  writeFileSync(passwordFile, 'postgres\n')
  if (binaries.user) chownSync(passwordFile, binaries.user.uid, binaries.user.gid)
  chmodSync(passwordFile, 0o600)
  try {
    await run(binaries.initdb, [
      `--pgdata=${dataDir}`,
      '--username=supabase_admin',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-locale',
      '--no-sync',
    ], { ...binaries.user, env: { LC_ALL: 'C', PATH: process.env.PATH }, cwd: dataDir })
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

async function bootstrap(adminDbUrl: string): Promise<void> {
  const sql = postgres(adminDbUrl, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(getAuthSchemaSql())
    await sql.unsafe(getStorageSchemaSql())
    await sql.unsafe(readFileSync(bootstrapFile, 'utf8'))
  } finally {
    await sql.end()
  }
}
