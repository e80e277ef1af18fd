// How does the embedded Postgres of one data directory start, restart and stop?
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort } from './free-port.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { isRunning, waitForExit } from './processes.ts'
import { UserError } from './user-error.ts'

export type PostgresServer = {
  port: number
  /** As role `postgres`, which is not a superuser. */
  dbUrl: string
  /** As the superuser `supabase_admin`. */
  adminDbUrl: string
  readonly pid: number
  /** `fast` ends sessions and shuts down cleanly; `immediate` is a crash with recovery. */
  restart(mode?: 'fast' | 'immediate'): Promise<void>
  stop(): Promise<void>
}

export type PostgresOptions = {
  binaries: PostgresBinaries
  /** An initialised cluster. */
  dataDir: string
  /** 0 or taken: a free one. */
  port?: number
  /** Deleted once the server is gone, also when this process dies first. */
  deleteOnExit?: string
  log: (line: string) => void
}

/** Starts Postgres on an initialised data directory and waits until it accepts connections. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { binaries, dataDir, log } = options
  await stopOrphan(dataDir)
  const rootKey = join(dataDir, 'vault_root.key')
  if (!existsSync(rootKey)) {
    writeFileSync(rootKey, randomBytes(32))
    if (binaries.user) chownSync(rootKey, binaries.user.uid, binaries.user.gid)
    chmodSync(rootKey, 0o600)
  }

  let port = await freePort(options.port)
  let running: Running | null = null
  for (let attempt = 1; !running; attempt++) {
    try {
      running = await launch(options, port)
    } catch (error) {
      // Somebody else took the port between asking and binding.
      if (attempt === 5 || !String(error).includes('could not create any TCP/IP sockets')) {
        throw error
      }
      port = await freePort()
    }
  }

  let current = running
  let stopping = false
  const end = async (signal: NodeJS.Signals) => {
    const { server } = current
    server.kill(signal)
    const insist = setTimeout(() => server.kill('SIGQUIT'), 10_000) // a session that does not let go
    await waitForExit(server)
    clearTimeout(insist)
    current.watchdog.ref()
    current.watchdog.kill()
    await waitForExit(current.watchdog)
  }
  // The sessions of a server that was killed leave by themselves, and keep its memory until then.
  const launchAfterCrash = async (): Promise<Running> => {
    await stopOrphan(dataDir)
    const deadline = Date.now() + 10_000
    for (;;) {
      try {
        return await launch(options, port)
      } catch (error) {
        const isBusy = String(error).includes('is still in use')
        if (!isBusy || stopping || Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }
  // A server that ends by itself is started again, as hosted's would be.
  const watch = () => {
    const { server, watchdog } = current
    server.once('exit', (code, signal) => {
      if (stopping || current.server !== server) return
      watchdog.kill()
      log(`postgres: ended unexpectedly (${signal ?? code}), starting it again`)
      launchAfterCrash().then((running) => {
        current = running
        watch()
      }).catch((error) => log(`postgres: ${error instanceof Error ? error.message : error}`))
    })
  }
  watch()

  const url = (user: string) => `postgresql://${user}:postgres@127.0.0.1:${port}/postgres`
  return {
    port,
    dbUrl: url('postgres'),
    adminDbUrl: url('supabase_admin'),
    get pid() {
      return current.server.pid ?? 0
    },
    async restart(mode = 'fast') {
      stopping = true
      await end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      current = await launch(options, port)
      stopping = false
      watch()
    },
    async stop() {
      stopping = true
      await end('SIGINT')
    },
  }
}

type Running = { server: ChildProcess; watchdog: ChildProcess }

async function launch(options: PostgresOptions, port: number): Promise<Running> {
  const { binaries, dataDir } = options
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    password_encryption: 'scram-sha-256',
    log_min_messages: 'warning',
    // fsync stays on: what survives a crash is part of what the tests ask.
    shared_buffers: '128MB',
    max_wal_size: '1GB',
    timezone: 'UTC',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(binaries.postgres, ['-D', dataDir, ...flags], {
    ...binaries.user,
    // Own process group: Ctrl-C in the terminal reaches this process only, which stops its children in order.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { LC_ALL: 'C', PATH: process.env.PATH, TZ: 'UTC' },
    cwd: dataDir,
  })
  let errors = ''
  server.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-10_000)
  })
  let failure: Error | null = null
  server.once('error', (error) => failure = error)
  const watchdog = guard(server.pid ?? 0, options.deleteOnExit)

  const deadline = Date.now() + 60_000 // recovery of a large crash takes its time
  for (;;) {
    if (failure || server.exitCode !== null || server.signalCode !== null) {
      watchdog.kill()
      throw new UserError(`Postgres did not start: ${failure ?? errors.trim()}`)
    }
    if (await accepts(port)) break
    if (Date.now() > deadline) {
      server.kill('SIGQUIT')
      throw new UserError(`Postgres did not accept connections within 60 s: ${errors.trim()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { server, watchdog }
}

async function accepts(port: number): Promise<boolean> {
  const sql = postgres(`postgresql://supabase_admin:postgres@127.0.0.1:${port}/postgres`, {
    max: 1,
    connect_timeout: 5,
    onnotice: () => {},
  })
  try {
    await sql`select 1`
    return true
  } catch {
    return false
  } finally {
    await sql.end({ timeout: 1 })
  }
}

// Postgres does not notice that its starter was killed. This shell does: its standard input is a pipe
// that the kernel closes when this process dies, however it dies.
function guard(pid: number, deleteOnExit?: string): ChildProcess {
  const cleanUp = deleteOnExit
    ? `while kill -0 ${pid} 2>/dev/null; do sleep 0.1; done; rm -rf "$1"`
    : ':'
  const script = `read -r _; kill -INT ${pid} 2>/dev/null; ${cleanUp}`
  const watchdog = spawn('/bin/sh', ['-c', script, 'sh', deleteOnExit ?? ''], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.stdin?.on('error', () => {})
  watchdog.unref()
  return watchdog
}

// After `kill -9` of a stack its Postgres may still be shutting down, or survive its watchdog.
async function stopOrphan(dataDir: string): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid')
  if (!existsSync(pidFile)) return
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0])
  if (Number.isInteger(pid) && pid > 0 && isRunning(pid) && isPostmasterOf(pid, dataDir)) {
    process.kill(pid, 'SIGINT')
    for (let waited = 0; isRunning(pid); waited += 20) {
      if (waited === 5000) process.kill(pid, 'SIGQUIT')
      if (waited > 15_000) {
        throw new UserError(`Another Postgres (process ${pid}) keeps ${dataDir} in use.`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  // A dead server's file names a process id that some other program may have by now.
  rmSync(pidFile, { force: true })
}

function isPostmasterOf(pid: number, dataDir: string): boolean {
  if (process.platform !== 'linux') return true
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dataDir)
  } catch {
    return false
  }
}
