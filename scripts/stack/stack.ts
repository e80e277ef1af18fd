// What is a local Supabase? Postgres, REST, Auth, Edge Functions, cron and pg_net, started in order.
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { JWTPayload } from 'jose'
import { startCron } from './background/cron.ts'
import { startNet } from './background/net.ts'
import { ensureCluster } from './cluster.ts'
import { refreshCatalogs } from './catalogs.ts'
import { openDataDir } from './data-dir.ts'
import { writeEnvFile } from './env-file.ts'
import { installExtensions } from './extensions.ts'
import { createFunctionProxy } from './functions/proxy.ts'
import { startFunctions } from './functions/supervisor.ts'
import { startGateway } from './gateway.ts'
import { lockDataDir } from './lock.ts'
import { applyMigrations } from './migrations.ts'
import { findPostgres } from './postgres-binaries.ts'
import { startPostgres } from './postgres.ts'
import { projectDir } from './project.ts'
import { isReachable } from './reachable.ts'
import { startRestAuth } from './rest-auth.ts'
import { createTokens } from './tokens.ts'
import { storeWorkerSecrets } from './worker-secrets.ts'

export type StackOptions = {
  /** The gateway's port; 0 (default) picks a free one. */
  port?: number
  /** Postgres' port; 0 (default) or a taken one: a free one. */
  dbPort?: number
  /** Where data and keys are kept; default `.stack` in the project. */
  dataDir?: string
  /** A fresh data directory, deleted at the end. */
  ephemeral?: boolean
  /** Where to write KEY=VALUE lines; null (default) writes none. */
  envFile?: string | null
  /** Secrets of the functions, beside those of config.toml. */
  functionsEnv?: Record<string, string>
  log?: (line: string) => void
  /** False: cron jobs run only through `stack.cron.run(name)`. */
  cron?: boolean
  /** False: no Edge Functions, no Deno process. */
  functions?: boolean
  /** The folder with `config.toml`, `migrations/` and `functions/`; default the project's `supabase`. */
  supabaseDir?: string
}

export type Stack = {
  /** The gateway: what an app calls SUPABASE_URL. */
  url: string
  functionsUrl: string
  /** As role `postgres`, which is not a superuser. */
  dbUrl: string
  /** As the superuser `supabase_admin`. */
  adminDbUrl: string
  publishableKey: string
  secretKey: string
  /** What the env file holds. */
  env: Record<string, string>
  /** A user token with these claims, valid for an hour unless `exp` says otherwise; the user need not exist. */
  signToken(claims: JWTPayload & { sub: string }): Promise<string>
  /** Makes DDL done since known to REST at once; it follows by itself within a moment. */
  reloadSchema(): Promise<void>
  functions: {
    pid(): number
    /** SIGKILL; resolves when the process is dead. Another one comes up by itself. */
    kill(): Promise<void>
    ready(): Promise<void>
    /** Restarts the functions with more secrets, or with new values. */
    setEnv(extra: Record<string, string>): Promise<void>
  }
  postgres: {
    readonly pid: number
    /** `immediate` is a crash with recovery. Everything reconnects by itself. */
    restart(mode?: 'fast' | 'immediate'): Promise<void>
  }
  cron: {
    /** Runs a job now and resolves when it is done; its outcome is in `cron.job_run_details`. */
    run(jobName: string): Promise<void>
  }
  stop(): Promise<void>
}

/** Brings a whole stack up and answers when every part of it serves. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const log = options.log ?? (() => {})
  const supabaseDir = resolve(options.supabaseDir ?? join(projectDir, 'supabase'))
  const binaries = findPostgres()
  const root = options.ephemeral
    ? mkdtempSync(join(isReachable(tmpdir(), binaries.user) ? tmpdir() : '/var/tmp', 'plugboard-'))
    : resolve(options.dataDir ?? join(projectDir, '.stack'))
  const dataDir = await openDataDir(root, binaries.user)
  const { keys } = dataDir

  // What is up so far, stopped in reverse order: at the end, and when a later part fails to start.
  const started: (() => unknown)[] = []
  let stopping: Promise<void> | null = null
  const stop = () =>
    stopping ??= (async () => {
      for (const end of started.reverse()) await end()
    })()

  try {
    started.push(lockDataDir(dataDir.lockFile))
    if (options.ephemeral) started.unshift(() => rm(root, { recursive: true, force: true }))

    installExtensions(binaries.extensionDir)
    // The project's own migrations are the same for one ephemeral stack after another.
    const isOneOfMany = options.ephemeral && !options.supabaseDir
    await ensureCluster(binaries, dataDir.postgres, log, isOneOfMany ? supabaseDir : undefined)
    let url = ''
    const tokens = await createTokens(keys, () => url)
    const gateway = await startGateway(options.port ?? 0, tokens)
    started.push(() => gateway.stop())
    url = `http://127.0.0.1:${gateway.port}`
    const functionsUrl = `${url}/functions/v1`

    const database = await startPostgres({
      binaries,
      dataDir: dataDir.postgres,
      port: options.dbPort,
      ...(options.ephemeral ? { deleteOnExit: root } : {}),
      log,
    })
    started.push(() => database.stop())
    const { dbUrl, adminDbUrl } = database

    await applyMigrations({ supabaseDir, dbUrl, log })
    await refreshCatalogs(supabaseDir, dbUrl)
    await storeWorkerSecrets(dbUrl, {
      plugboard_functions_url: functionsUrl,
      plugboard_worker_token: keys.workerToken,
    })

    // Each part is noted as soon as it is up, so that a failure of one leaves none of the others behind.
    const whenUp = async <Part>(starting: Promise<Part>, end: (part: Part) => unknown) => {
      const part = await starting
      started.push(() => end(part))
      return part
    }
    const parts = await Promise.allSettled([
      whenUp(
        startRestAuth({
          dbUrl: dbUrl.replace('//postgres:', '//authenticator:'),
          adminDbUrl,
          keys,
          siteUrl: url,
          storageDir: dataDir.storage,
          log,
        }),
        (restAuth) => restAuth.stop(),
      ),
      whenUp(
        options.functions === false ? Promise.resolve(null) : startFunctions({
          functionsDir: join(supabaseDir, 'functions'),
          configFile: join(supabaseDir, 'config.toml'),
          platformEnv: {
            SUPABASE_URL: url,
            SUPABASE_DB_URL: dbUrl,
            SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishableKey }),
            SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secretKey }),
            SUPABASE_JWKS: JSON.stringify(tokens.jwks),
            SB_REGION: 'local',
            DENO_DEPLOYMENT_ID: `local_${randomUUID()}_1`,
          },
          secrets: {
            PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'true', // the simulators are on loopback
            // an app on this machine, at any port
            PLUGBOARD_RETURN_URLS: 'http://127.0.0.1,http://localhost',
            PLUGBOARD_WORKER_TOKEN: keys.workerToken,
            ...options.functionsEnv,
          },
          log,
        }),
        (functions) => functions?.stop(),
      ),
      whenUp(startNet(adminDbUrl, log), (net) => net.stop()),
      whenUp(
        startCron({ dbUrl, adminDbUrl, followSchedules: options.cron !== false, log }),
        (cron) => cron.stop(),
      ),
    ])
    const restAuth = valueOf(parts[0])
    const functions = valueOf(parts[1])
    valueOf(parts[2])
    const cron = valueOf(parts[3])
    const proxy = functions && createFunctionProxy(functions, tokens)
    started.push(() => proxy?.close())
    gateway.open({ restAuth, functions: proxy })

    const env = {
      SUPABASE_URL: url,
      SUPABASE_PUBLISHABLE_KEY: keys.publishableKey,
      SUPABASE_SECRET_KEY: keys.secretKey,
      SUPABASE_DB_URL: dbUrl,
      SUPABASE_FUNCTIONS_URL: functionsUrl,
    }
    if (options.envFile) writeEnvFile(options.envFile, env)

    const withFunctions = () => {
      if (!functions) throw new Error('this stack was started without functions')
      return functions
    }
    return {
      url,
      functionsUrl,
      dbUrl,
      adminDbUrl,
      publishableKey: keys.publishableKey,
      secretKey: keys.secretKey,
      env,
      signToken: (claims) => tokens.sign(claims),
      reloadSchema: () => restAuth.reloadSchema(),
      functions: {
        pid: () => withFunctions().pid(),
        kill: () => withFunctions().kill(),
        ready: () => withFunctions().ready(),
        setEnv: (extra) => withFunctions().setEnv(extra),
      },
      postgres: {
        get pid() {
          return database.pid
        },
        restart: (mode) => database.restart(mode),
      },
      cron: { run: (jobName) => cron.run(jobName) },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function valueOf<Value>(outcome: PromiseSettledResult<Value>): Value {
  if (outcome.status === 'rejected') throw outcome.reason
  return outcome.value
}
