// Who keeps the Deno process with the Edge Functions alive, and replaces it when a file changes?
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, watch } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { waitForExit } from '../processes.ts'
import { cacheDir, projectDir } from '../project.ts'
import { UserError } from '../user-error.ts'
import { type FunctionSettings, readFunctions, readSecrets } from './settings.ts'

export type Functions = {
  /** The Deno process's id. */
  pid(): number
  /** SIGKILL; resolves when it is dead. A new one comes up by itself. */
  kill(): Promise<void>
  /** Resolves when requests are served. */
  ready(): Promise<void>
  /** Adds secrets, or replaces them; resolves when the functions see them. */
  setEnv(extra: Record<string, string>): Promise<void>
  /** The port to send a request to; waits while the process is coming up. */
  port(): Promise<number>
  settings(name: string): FunctionSettings | undefined
  stop(): Promise<void>
}

export type FunctionsOptions = {
  functionsDir: string
  configFile: string
  /** What hosted gives every function. */
  platformEnv: Record<string, string>
  secrets: Record<string, string>
  log: (line: string) => void
}

type Running = { child: ChildProcess; port: number }

/** Starts the function server and answers once it serves. */
export async function startFunctions(options: FunctionsOptions): Promise<Functions> {
  const { log } = options
  const deno = findDeno()
  let secrets = { ...options.secrets }
  let functions: FunctionSettings[] = []
  let stopped = false
  let current: Running | null = null
  const children = new Set<ChildProcess>()
  let starting: Promise<Running> | null = null
  let again = false

  // One start at a time. A change that arrives meanwhile asks for one more, so the last one wins.
  function start(): Promise<Running> {
    if (starting) {
      again = true
      return starting
    }
    starting = (async () => {
      try {
        let launched: Running
        do {
          again = false
          launched = await launch()
          replace(launched)
        } while (again && !stopped)
        return launched
      } finally {
        starting = null
      }
    })()
    return starting
  }

  function replace(next: Running): void {
    const previous = current
    current = next
    previous?.child.stdin?.write('drain\n')
    next.child.once('exit', (code, signal) => {
      if (current !== next) return
      current = null
      if (stopped) return
      log(`functions: the process ended (${signal ?? code}), starting another`)
      keepTrying()
    })
  }

  function keepTrying(pause = 0): void {
    setTimeout(() => {
      if (stopped) return
      start().catch((error) => {
        log(`functions: ${error instanceof Error ? error.message : error}`)
        if (!current) keepTrying(Math.min(pause * 2 + 200, 5_000))
      })
    }, pause).unref()
  }

  async function launch(): Promise<Running> {
    functions = readFunctions(options.functionsDir, options.configFile)
    const marker = `${randomUUID()} `
    const env = {
      ...readSecrets(options.configFile),
      ...secrets,
      ...options.platformEnv,
      SB_EXECUTION_ID: randomUUID(),
    }
    const denoEnv = { DENO_DIR: join(cacheDir, 'deno'), DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' }
    const child = spawn(deno, [
      'run',
      '--quiet',
      '--no-prompt',
      '--no-remote',
      '--v8-flags=--max-heap-size=256', // hosted's limit for a worker, in MB
      `--config=${join(projectDir, 'deno.json')}`,
      '--allow-net',
      '--allow-env',
      '--allow-sys=hostname,osRelease,osUptime,homedir,uid,cpus',
      `--allow-read=${projectDir},${options.functionsDir}`,
      join(import.meta.dirname, 'server.ts'),
    ], {
      cwd: projectDir,
      // Nothing of this shell's environment: a function sees what hosted gives it and its secrets.
      env: { ...env, ...denoEnv },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    child.stdin?.on('error', () => {}) // it died: its exit is handled, the failed write is not news
    child.stdin?.write(`${JSON.stringify({ functions, marker, visible: Object.keys(env) })}\n`)

    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once(
        'exit',
        (code, signal) => reject(new Error(`Deno ended while starting (${signal ?? code})`)),
      )
      for (const stream of [child.stdout, child.stderr]) {
        if (!stream) continue
        createInterface({ input: stream }).on('line', (line) => {
          if (line.startsWith(marker)) {
            resolve({ child, port: JSON.parse(line.slice(marker.length)).port })
          } else log(line)
        })
      }
    })
  }

  const stopWatching = watchFiles([options.functionsDir, dirname(options.configFile)], () => {
    if (stopped) return
    log('functions: files changed, reloading')
    start().catch((error) => log(`functions: ${error instanceof Error ? error.message : error}`))
  })

  try {
    await start()
  } catch (error) {
    stopWatching()
    throw error
  }

  const running = async (): Promise<Running> => {
    const deadline = Date.now() + 10_000
    while (!current) {
      if (stopped || Date.now() > deadline) throw new Error('the function server is not running')
      if (starting) await starting.catch(() => {})
      else await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return current
  }

  return {
    pid: () => current?.child.pid ?? 0,
    async kill() {
      const { child } = await running()
      child.kill('SIGKILL')
      await waitForExit(child)
    },
    async ready() {
      await running()
    },
    async setEnv(extra) {
      secrets = { ...secrets, ...extra }
      if (starting) await starting.catch(() => {})
      await start()
    },
    port: async () => (await running()).port,
    settings: (name) => functions.find((candidate) => candidate.name === name),
    async stop() {
      stopped = true
      stopWatching()
      await Promise.all([...children].map((child) => {
        child.kill('SIGKILL')
        return waitForExit(child)
      }))
    },
  }
}

// npm's `deno` starts the real program from a script; one process less is one less to stop.
/** The binary that npm installed. @throws UserError */
export function findDeno(): string {
  const platform = `${process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  const names = [`@deno/${platform}`, `@deno/${platform}-glibc`]
  for (const name of names) {
    try {
      const binary = join(dirname(require.resolve(`${name}/package.json`)), 'deno')
      if (existsSync(binary)) return binary
    } catch {
      // not this platform's package
    }
  }
  throw new UserError(
    `Deno for ${platform} is not installed: run "npm ci" with optional dependencies switched on.`,
  )
}

/** Calls `changed` once after a burst of changes has been quiet for a moment. */
function watchFiles(folders: string[], changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const watchers = folders.filter((folder) => existsSync(folder)).map((folder, index) =>
    watch(folder, { recursive: index === 0 }, (_event, file) => {
      const isOurs = index === 0
        ? file !== null && /\.(ts|js|json|sql|html|css|env)$/.test(file)
        : file === 'config.toml'
      if (!isOurs) return
      clearTimeout(timer)
      timer = setTimeout(changed, 100)
    })
  )
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
