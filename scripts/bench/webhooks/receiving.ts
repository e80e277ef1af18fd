// How many webhooks of outside platforms a second, beside a bare handler and what Postgres can insert at all?
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { generateSecret } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { median } from '../median.ts'
import type { Stack } from '../../stack/stack.ts'
import type { BenchStore } from '../sync/bench-store.ts'
import { startDeno } from './deno-process.ts'

export type Receiving = {
  /** Inserts a second; null where pgbench is not installed. */
  pgbench: number | null
  /** Webhooks a second at 10 connections; medians. */
  bare: number
  direct: number
  /** Of ours to what the bare handler, or pgbench, reached in the same round; medians. */
  direct_of_bare: number
  direct_of_pgbench: number | null
  /** At 32 connections. */
  bare_p99_ms: number
  data_api: number
  direct_p99_ms: number
  calls_per_webhook: number
}

/** Before anything is measured, for both: until then V8 has not compiled what they run. */
const WARM_UP = 5_000

type Sent = { rate: number; p99_ms: number; refused: number }

export async function measureReceiving(
  bench: BenchStore,
  stack: Stack,
  { webhooks, runs, log }: { webhooks: number; runs: number; log: (line: string) => void },
): Promise<Receiving> {
  const { admin, databases } = bench
  const [organization] = await admin<{ id: string }[]>`select id from public.organizations limit 1`
  const integration = await databases.direct.call<{ id: string }>('connect_integration', {
    p_organization_id: organization!.id,
    p_connector: 'json-feed',
    p_external_account_id: 'https://feed.example/products',
    p_name: 'Feed',
    p_settings: { url: 'https://feed.example/products' },
    p_credentials: {},
  })
  const secret = generateSecret()
  await databases.direct.call('set_webhook_secret', {
    p_integration_id: integration.id,
    p_secret: secret,
  })
  // what is received is not worked on meanwhile
  await admin`update private.worker_wakes set awake_until = 'infinity' where worker = 'webhook-receive'`
  await admin`create table private.bench_inserts (key text primary key, body bytea not null, at timestamptz not null default now())`

  const rounds: {
    pgbench: number | null
    bare: number
    direct: number
    bareP99: number
    p99: number
  }[] = []
  const bare = startDeno<{ url: string }>('bare-handler.ts', { dbUrl: stack.adminDbUrl, secret })
  const direct = await serve(stack, stack.dbUrl)
  try {
    const { url: bareUrl } = await bare.next()
    const url = `${direct.url}/webhook-receive/${integration.id}`
    for (const each of [bareUrl, url]) await send(each, secret, WARM_UP, 10)
    for (let run = 1; run <= runs; run++) {
      await empty(bench)
      const pgbench = await insertsASecond(stack)
      await empty(bench)
      const bareAtTen = await send(bareUrl, secret, webhooks, 10)
      const bareAtThirtyTwo = await send(bareUrl, secret, webhooks, 32)
      await empty(bench)
      const atTen = await send(url, secret, webhooks, 10)
      const atThirtyTwo = await send(url, secret, webhooks, 32)
      rounds.push({
        pgbench,
        bare: bareAtTen.rate,
        direct: atTen.rate,
        bareP99: bareAtThirtyTwo.p99_ms,
        p99: atThirtyTwo.p99_ms,
      })
      const inserts = pgbench === null ? 'is not installed' : Math.round(pgbench)
      const rates = [bareAtTen, atTen].map(({ rate }) => Math.round(rate))
      const waits = [bareAtThirtyTwo, atThirtyTwo].map(({ p99_ms }) => Math.round(p99_ms))
      log(
        `receiving, run ${run} of ${runs}: pgbench ${inserts}, bare ${rates[0]}, direct ${
          rates[1]
        } a second, p99 ${waits[0]} and ${waits[1]} ms at 32`,
      )
    }
  } finally {
    await direct.stop()
    await bare.stop()
  }

  await empty(bench)
  const dataApi = await serve(stack, '')
  let overDataApi = 0
  let calls = 0
  try {
    const url = `${dataApi.url}/webhook-receive/${integration.id}`
    await send(url, secret, 50, 10)
    const count = Math.min(webhooks, 2_000)
    const before = await functionCalls(bench)
    overDataApi = (await send(url, secret, count, 10)).rate
    calls = (await functionCalls(bench) - before) / count
  } finally {
    await dataApi.stop()
  }
  const over = (value: (round: typeof rounds[number]) => number) => median(rounds.map(value))
  const isInstalled = rounds.every(({ pgbench }) => pgbench !== null)
  return {
    pgbench: isInstalled ? over(({ pgbench }) => pgbench!) : null,
    bare: over((round) => round.bare),
    direct: over((round) => round.direct),
    direct_of_bare: over((round) => round.direct / round.bare),
    direct_of_pgbench: isInstalled ? over((round) => round.direct / round.pgbench!) : null,
    bare_p99_ms: over(({ bareP99 }) => bareP99),
    direct_p99_ms: over(({ p99 }) => p99),
    data_api: overDataApi,
    calls_per_webhook: calls,
  }
}

async function serve(stack: Stack, databaseUrl: string) {
  const server = startDeno<{ url: string }>('receive-server.ts', {
    env: {
      SUPABASE_URL: stack.url,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishableKey }),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secretKey }),
      PLUGBOARD_DATABASE_URL: databaseUrl,
    },
  })
  return { url: (await server.next()).url, stop: server.stop }
}

async function send(url: string, secret: string, webhooks: number, atOnce: number): Promise<Sent> {
  const sender = startDeno<Sent>('webhook-sender.ts', { url, secret, webhooks, atOnce })
  try {
    const sent = await sender.next()
    if (sent.refused > 0) throw new Error(`${sent.refused} webhooks were refused`)
    return sent
  } finally {
    await sender.stop()
  }
}

async function empty({ admin }: BenchStore): Promise<void> {
  await admin`truncate public.webhook_events, private.webhook_event_keys, private.bench_inserts`
  await admin`checkpoint`
}

/** By Postgres' own count, to which a connection that has become idle adds its calls within ten seconds. */
async function functionCalls({ admin }: BenchStore): Promise<number> {
  await sleep(11_000)
  const [row] = await admin<{ calls: number }[]>`
    select coalesce(sum(calls), 0)::int as calls from pg_stat_user_functions
    where funcname in ('receive_webhook', 'receive_webhooks', 'open_webhook_receiver')`
  return row!.calls
}

/** Prepared inserts of rows like ours into a table with one unique index, at 10 connections for ten seconds. */
async function insertsASecond(stack: Stack): Promise<number | null> {
  const pgbench = findPgbench()
  if (pgbench === null) return null
  const folder = mkdtempSync(join(tmpdir(), 'plugboard-pgbench-'))
  try {
    const setup = join(folder, 'setup.sql')
    writeFileSync(
      setup,
      `\\set number random(1, 2000000000)
insert into private.bench_inserts (key, body) values (:number || '-' || clock_timestamp(), repeat('x', 480)::bytea) on conflict do nothing;
`,
    )
    const { stdout } = await run(pgbench, [
      '--no-vacuum',
      '--protocol=prepared',
      '--client=10',
      '--jobs=2',
      '--time=10',
      `--file=${setup}`,
      stack.adminDbUrl,
    ])
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const run = promisify(execFile)

/** Debian keeps each version's programs in a folder of its own. */
function findPgbench(): string | null {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root) : []
  return versions.map((version) => join(root, version, 'bin/pgbench')).find((path) =>
    existsSync(path)
  ) ?? null
}
