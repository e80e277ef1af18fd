// `npm run test:pg-cron`: do the same migrations work with the real pg_cron, and does plpgsql_check
// find nothing in any function? On Debian's Postgres 15, beside the local stack's 17 and its stand-in.
//
// Needs root and apt (Debian's postgresql-15, -cron and -plpgsql-check). Elsewhere it says so and skips.
import { execFileSync, spawn, type StdioOptions } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getAuthSchemaSql, getStorageSchemaSql } from '@supabase/lite'
import postgres, { type Sql } from 'postgres'
import { systemClock } from '../supabase/functions/_shared/platform/clock.ts'
import { type Database, directDatabase } from '../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../supabase/functions/_shared/platform/log.ts'
import { runWorker } from '../supabase/functions/_shared/sync/run-worker.ts'
import { startTreezSimulator } from './simulators/treez.ts'
import { startNet } from './stack/background/net.ts'
import { freePort } from './stack/free-port.ts'
import { applyMigrations } from './stack/migrations.ts'
import { projectDir } from './stack/project.ts'
import { testEnvironment } from '../tests/support/environment.ts'

const bin = '/usr/lib/postgresql/15/bin'
const extensionDir = '/usr/share/postgresql/15/extension'
const packages = ['postgresql-15', 'postgresql-15-cron', 'postgresql-15-plpgsql-check']
/** pg_net and Vault are not in Debian: these two stay the stack's stand-ins. */
const standIns = /^(pg_net|supabase_vault)/

let passed = 0
let failed = 0
await main()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

async function main(): Promise<void> {
  const reason = installPackages()
  if (reason) return skip(reason)
  const removeStandIns = installStandIns()
  const dataDir = mkdtempSync(join(tmpdir(), 'plugboard-pg-cron-'))
  try {
    await runTests(dataDir)
  } finally {
    removeStandIns()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function runTests(dataDir: string): Promise<void> {
  const server = await startServer(dataDir)
  const admin = postgres(server.adminUrl, { max: 2, onnotice: () => {} })
  try {
    await test('the migrations apply as a postgres role that is no superuser', () =>
      migrate(admin, server.url))
    await test('plpgsql_check finds nothing in any function', () => checkFunctions(admin))
    await test('the real pg_cron queues a due sync, and a worker it woke brings the catalog', () =>
      scheduledSync(admin, server.url))
    await test('what the catalog shows is claimed, stored and linked', () => keepImages(admin))
  } finally {
    await admin.end()
    await server.stop()
    if (failed > 0) console.log(`What Postgres said:\n${server.lastLines()}`)
  }
}

/** Answers how to take them away again: this Postgres is the machine's, not ours. */
function installStandIns(): () => void {
  const source = join(projectDir, 'scripts/stack/extensions')
  const files = readdirSync(source).filter((name) => standIns.test(name))
  for (const file of files) {
    const sql = readFileSync(join(source, file), 'utf8')
    // Postgres 15 does not know the other extension's schema by @extschema:name@ yet
    writeFileSync(join(extensionDir, file), sql.replaceAll('@extschema:pgcrypto@', 'extensions'))
  }
  return () => files.forEach((file) => rmSync(join(extensionDir, file), { force: true }))
}

function skip(reason: string): void {
  console.log(`SKIPPED: the lane with the real pg_cron did not run: ${reason}`)
}

/** Installs what is missing; answers why it cannot. */
function installPackages(): string | null {
  const isThere = () =>
    existsSync(`${bin}/initdb`) &&
    ['pg_cron', 'plpgsql_check'].every((name) => existsSync(join(extensionDir, `${name}.control`)))
  if (process.getuid?.() !== 0) return 'it needs root, to run Postgres as another user.'
  if (isThere()) return null
  try {
    console.log(`installing ${packages.join(', ')}`)
    const options = {
      stdio: ['ignore', 'ignore', 'inherit'] satisfies StdioOptions,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }
    execFileSync('apt-get', ['update', '-qq'], options)
    const install = ['install', '-y', '-qq', '--no-install-recommends']
    execFileSync('apt-get', [...install, ...packages], options)
  } catch {
    // apt-get has said why; what it comes to is said below
  }
  return isThere() ? null : `apt-get could not install ${packages.join(', ')}.`
}

async function startServer(dataDir: string) {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const user = { uid: id('-u'), gid: id('-g') }
  const port = await freePort()
  chownSync(dataDir, user.uid, user.gid)
  const initdb = ['--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '-U', 'supabase_admin']
  execFileSync(`${bin}/initdb`, [...initdb, '-D', dataDir], {
    ...user,
    cwd: dataDir,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  writeFileSync(join(dataDir, 'vault_root.key'), Buffer.alloc(32, 7), { mode: 0o600 })
  chownSync(join(dataDir, 'vault_root.key'), user.uid, user.gid)
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_preload_libraries: 'pg_cron',
    'cron.database_name': 'postgres',
    'cron.use_background_workers': 'on',
    timezone: 'UTC',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(`${bin}/postgres`, ['-D', dataDir, ...flags], {
    ...user,
    cwd: dataDir,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => said = (said + text).slice(-10_000))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.once('exit', () => child.kill('SIGQUIT'))
  const url = (name: string) => `postgresql://${name}@127.0.0.1:${port}/postgres`
  await until('Postgres accepts connections', 20_000, async () => {
    const sql = postgres(url('supabase_admin'), { max: 1, connect_timeout: 2, onnotice: () => {} })
    return await sql`select 1`.then(() => true, () => false).finally(() => sql.end({ timeout: 1 }))
  }).catch((error) => {
    console.error(said)
    throw error
  })
  return {
    url: url('postgres'),
    adminUrl: url('supabase_admin'),
    lastLines: () => said.trim().split('\n').slice(-40).join('\n'),
    async stop() {
      child.kill('SIGINT')
      await ended
    },
  }
}

async function migrate(admin: Sql, url: string): Promise<void> {
  await admin.unsafe(getAuthSchemaSql())
  await admin.unsafe(getStorageSchemaSql())
  await admin.unsafe(readFileSync(join(projectDir, 'scripts/stack/bootstrap.sql'), 'utf8'))
  // as hosted's image does when `postgres` asks for the extension
  await admin.unsafe(`
    create extension pg_cron;
    grant usage on schema cron to postgres;
    grant execute on all functions in schema cron to postgres;
    grant select on cron.job to postgres;
    create extension plpgsql_check;
  `)
  await applyMigrations({ supabaseDir: join(projectDir, 'supabase'), dbUrl: url, log: () => {} })
  const [role] = await admin`select rolsuper from pg_roles where rolname = 'postgres'`
  if (role?.rolsuper !== false) {
    throw new Error('postgres is a superuser here, which proves nothing')
  }
  const jobs = await admin`select jobname, username from cron.job order by jobname`
  if (jobs.length === 0 || jobs.some((job) => job.username !== 'postgres')) {
    throw new Error('the cron jobs are not there')
  }
}

async function checkFunctions(admin: Sql): Promise<void> {
  // a trigger function is checked once for each table it is on
  const findings = await admin<{ name: string; level: string; message: string; lineno: number }[]>`
    select format('%I.%I', namespace.nspname, function.proname) as name, finding.level, finding.message, finding.lineno
    from pg_proc as function
    join pg_namespace as namespace on namespace.oid = function.pronamespace
    join pg_language as language on language.oid = function.prolang
    left join (
      select tgfoid, tgrelid, max(tgoldtable::text)::name as old_table, max(tgnewtable::text)::name as new_table
      from pg_trigger where not tgisinternal group by 1, 2
    ) as trigger on trigger.tgfoid = function.oid
    cross join lateral plpgsql_check_function_tb(function.oid::regprocedure, coalesce(trigger.tgrelid, 0)::regclass,
      oldtable => trigger.old_table, newtable => trigger.new_table,
      performance_warnings => false, extra_warnings => true, security_warnings => true) as finding
    where namespace.nspname in ('public', 'private') and language.lanname = 'plpgsql'
      and (function.prorettype <> 'trigger'::regtype or trigger.tgrelid is not null)`
  const [{ count } = { count: 0 }] = await admin<{ count: number }[]>`
    select count(*)::int as count from pg_proc as function join pg_language as language on language.oid = function.prolang
    where function.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and language.lanname = 'plpgsql'`
  if (count < 20) throw new Error(`only ${count} functions were there to check`)
  if (findings.length > 0) {
    throw new Error(
      findings.map(({ name, lineno, level, message }) => `${name}:${lineno} ${level}: ${message}`)
        .join('\n'),
    )
  }
}

async function scheduledSync(admin: Sql, url: string): Promise<void> {
  const store = await startTreezSimulator({ products: 300, requestsPerSecond: 0 })
  const db = directDatabase(url)
  const door = await openWorkerDoor(db, store.baseUrl)
  const net = await startNet(url.replace('postgres@', 'supabase_admin@'), console.log)
  try {
    await admin`select vault.create_secret(${door.url}, 'plugboard_functions_url')`
    await admin`select vault.create_secret(${door.token}, 'plugboard_worker_token')`
    const [organization] =
      await admin`insert into public.organizations (name) values ('Lane') returning id`
    await admin`select public.connect_integration(${organization?.id}, 'treez', ${store.settings.dispensary}, 'Lane store',
      ${admin.json({ ...store.settings, api_version: 'v2' })}, ${
      admin.json(store.credentials.v2)
    }, 1)`

    console.log("  waiting for pg_cron's next minute")
    await until(
      'pg_cron queued the sync',
      75_000,
      async () =>
        (await admin`select 1 from public.sync_logs where sync_type = 'scheduled'`).length === 1,
    )
    const [run] =
      await admin`select status, return_message from cron.job_run_details order by start_time desc limit 1`
    if (!['running', 'succeeded'].includes(run?.status)) {
      throw new Error(`the job ${run?.status}: ${run?.return_message}`)
    }
    const readLog = async () => {
      const [row] = await admin`
        select status, created_count, finished_at from public.sync_logs where sync_type = 'scheduled'`
      return row
    }
    await until('the worker that was rung ended the run', 30_000, async () => {
      if (door.failure) throw door.failure
      return (await readLog())?.finished_at != null
    })

    const log = await readLog()
    const expected = store.catalog('sound').length
    if (log?.created_count !== expected) {
      throw new Error(
        `the run is ${log?.status} with ${log?.created_count} of ${expected} products`,
      )
    }
  } finally {
    await net.stop()
    await door.close()
    await db.end()
    await store.stop()
  }
}

async function keepImages(admin: Sql): Promise<void> {
  const [lease] = await admin`select gen_random_uuid() as token`
  const [claim] = await admin`
    select image ->> 'id' as id, image ->> 'organization_id' as organization_id, count(*) over ()::int as claimed
    from jsonb_array_elements(public.claim_images(${lease?.token})) as image limit 1`
  if (claim?.claimed !== 24) throw new Error(`${claim?.claimed} images were claimed`)
  const content_hash = 'c'.repeat(64)
  const asset = {
    content_hash,
    content_type: 'image/png',
    byte_size: 1,
    storage_path: `${claim.organization_id}/cc/${content_hash}.png`,
  }
  const error = { code: 'provider_not_found', message: '404', next: 'owner' }
  await admin`
    select public.finish_images(${lease?.token}, (
      select ${admin.json([{ id: claim.id, asset }])}::jsonb
        || jsonb_agg(jsonb_build_object('id', source.id, 'error', ${admin.json(error)}::jsonb))
      from public.media_sources as source where source.lease_token = ${lease?.token} and source.id <> ${claim.id}))`
  const [outcome] = await admin`
    select
      (select count(*)::int from public.products where image_asset_id is not null) as linked,
      (select count(*)::int from public.media_sources where attempt_count = 1) as failed`
  if (!(outcome?.linked > 0) || outcome?.failed !== 23) {
    throw new Error(`${outcome?.linked} products are linked, ${outcome?.failed} images failed`)
  }
}

/** Where the Edge Functions would answer: a worker in this process, for whoever shows the token. */
async function openWorkerDoor(db: Database, treezUrl: string) {
  const token = randomUUID()
  const door = { url: '', token, failure: null as unknown, close }
  let work: Promise<unknown> = Promise.resolve()
  const server = createServer((request, response) => {
    request.resume()
    const worker = request.url?.match(/^\/functions\/v1\/(sync|sync-images)\/work$/)?.[1]
    const isRing = request.method === 'POST' && worker !== undefined
    const isKnown = request.headers['x-worker-token'] === token
    response.writeHead(isRing ? isKnown ? 200 : 401 : 404).end()
    if (!isRing || !isKnown) {
      door.failure = new Error(`${request.method} ${request.url} is no ring with the right token`)
      return
    }
    if (worker !== 'sync') return // images are claimed by a test of their own
    work = runWorker({
      db,
      clock: systemClock,
      log: createLog({}, () => {}),
      environment: testEnvironment({ CONNECTOR_OVERRIDES: { treez: { baseUrl: treezUrl } } }),
    }, { wallMs: 30_000, records: 10_000 }).catch((error: unknown) => door.failure = error)
  })
  async function close() {
    await work
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/functions/v1`
  return door
}

async function test(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
    passed++
    console.log(`ok     ${name}`)
  } catch (error) {
    failed++
    console.log(`FAILED ${name}\n${error instanceof Error ? error.message : error}`)
  }
}

async function until(
  what: string,
  withinMs: number,
  isTrue: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!await isTrue()) {
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
