// What do `npm start` and `npm run stack` share at the terminal? Options, the way out, and plain errors.
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readEnvFile } from './env-file.ts'
import { freePort } from './free-port.ts'
import { projectDir } from './project.ts'
import type { StackOptions } from './stack.ts'
import { UserError } from './user-error.ts'

export const stackOptionsHelp =
  `  --port N              the gateway's port (default 54321; 0 picks a free one)
  --data DIR            where data and keys are kept (default .stack)
  --ephemeral           fresh data, deleted at the end
  --env FILE            where to write KEY=VALUE lines (default .stack/env)
  --functions-env FILE  secrets for the Edge Functions, KEY=VALUE lines
  --help                this text`

const defaultPort = 54321
const defaultDbPort = 54322 // the Supabase CLI's own default target

export type CommandOptions = StackOptions & {
  envFile: string
  functionsEnv: Record<string, string>
}

/** The options of the command line, or null when only help is asked for. Throws a UserError. */
export async function readOptions(args: string[]): Promise<CommandOptions | null> {
  const values = parse(args)
  if (values.help) return null
  const asked = values.port === undefined ? undefined : Number(values.port)
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 0 && asked <= 65535)) {
    throw new UserError(`--port wants a number from 0 to 65535, not "${values.port}".`)
  }
  if (values.ephemeral && values.data) {
    throw new UserError('--ephemeral and --data exclude each other.')
  }
  const port = asked ?? await freePort(defaultPort)
  if (asked === undefined && port !== defaultPort) {
    console.log(`port ${defaultPort} is taken, using ${port}`)
  }
  return {
    port,
    dbPort: asked === 0 ? 0 : defaultDbPort,
    dataDir: values.data,
    ephemeral: values.ephemeral ?? false,
    envFile: resolve(values.env ?? join(values.data ?? join(projectDir, '.stack'), 'env')),
    functionsEnv: values['functions-env'] ? readEnvFile(values['functions-env']) : {},
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        ephemeral: { type: 'boolean' },
        env: { type: 'string' },
        'functions-env': { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new UserError(`${message}; see --help.`)
  }
}

/** Ctrl-C and its relatives stop everything once, then the process ends. */
export function stopOnSignals(stop: () => Promise<void>): void {
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      console.log(`${signal}: stopping`)
      stop().then(() => process.exit(0), (error) => {
        console.error(error)
        process.exit(1)
      })
    })
  }
}

/** Runs a command; what the person can solve is one sentence, exit code 2. */
export async function runCommand(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error)
    process.exit(error instanceof UserError ? 2 : 1)
  }
}
