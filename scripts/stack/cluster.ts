// How does a new data directory get hosted's roles and schemas in under a second? From a template
// cluster that is made once for each version of its ingredients.
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
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getAuthSchemaSql, getStorageSchemaSql } from '@supabase/lite'
import postgres from 'postgres'
import { extensionsHash } from './extensions.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { startPostgres } from './postgres.ts'
import { cacheDir as projectCacheDir } from './project.ts'
import { isReachable, openFolder } from './reachable.ts'

const run = promisify(execFile)
const bootstrapFile = join(import.meta.dirname, 'bootstrap.sql')

/** Makes `dataDir` a bootstrapped cluster; an existing one is left as it is. */
export async function ensureCluster(
  binaries: PostgresBinaries,
  dataDir: string,
  log: (line: string) => void,
): Promise<void> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) return
  const template = await ensureTemplate(binaries, log)
  // Copied beside its place, then moved: a start that is killed half-way leaves no half cluster.
  const copy = `${dataDir}.new`
  rmSync(copy, { recursive: true, force: true })
  await run('cp', ['-a', template, copy])
  renameSync(copy, dataDir)
}

async function ensureTemplate(
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
  if (existsSync(template)) return template

  log('postgres: making the template cluster (once)')
  removeOldTemplates(cacheDir)
  const building = mkdtempSync(join(cacheDir, 'building-'))
  try {
    if (binaries.user) chownSync(building, binaries.user.uid, binaries.user.gid)
    await initialise(binaries, building)
    const server = await startPostgres({ binaries, dataDir: building, log })
    try {
      await bootstrap(server.adminDbUrl)
    } finally {
      await server.stop()
    }
    // Each cluster has its own root key, or a secret could be read with another one's.
    rmSync(join(building, 'vault_root.key'), { force: true })
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

// A day's grace: another stack may be copying one at this moment.
function removeOldTemplates(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name)
    const isOld = Date.now() - statSync(path).mtimeMs > 86_400_000
    if (isOld && /^(cluster|building)-/.test(name)) rmSync(path, { recursive: true, force: true })
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
