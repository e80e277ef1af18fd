// `npm run stack`: a whole local Supabase until Ctrl-C.
import { parseArgs } from 'node:util'
import { join, resolve } from 'node:path'
import { readEnvFile } from './env-file.ts'
import { freePort } from './free-port.ts'
import { projectDir } from './project.ts'
import { startStack } from './stack.ts'
import { UserError } from './user-error.ts'

const help = `npm run stack -- [options]

  --port N              the gateway's port (default 54321; 0 picks a free one)
  --data DIR            where data and keys are kept (default .stack)
  --ephemeral           fresh data, deleted at the end
  --env FILE            where to write KEY=VALUE lines (default .stack/env)
  --functions-env FILE  secrets for the Edge Functions, KEY=VALUE lines
  --help                this text`

const defaultPort = 54321
const defaultDbPort = 54322 // the Supabase CLI's own default target

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (!options) return console.log(help)

  const port = options.port ?? await freePort(defaultPort)
  if (options.port === undefined && port !== defaultPort) {
    console.log(`port ${defaultPort} is taken, using ${port}`)
  }
  const stack = await startStack({
    ...options,
    port,
    dbPort: defaultDbPort,
    log: (line) => console.log(line),
  })

  const end = (signal: NodeJS.Signals) => {
    console.log(`${signal}: stopping`)
    stack.stop().then(() => process.exit(0), (error) => {
      console.error(error)
      process.exit(1)
    })
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  process.once('SIGHUP', end)

  for (const [name, value] of Object.entries(stack.env)) console.log(`${name}=${value}`)
  console.log(`ready ${stack.url} (env in ${options.envFile}, Ctrl-C stops)`)
}

function readOptions(args: string[]) {
  const values = parse(args)
  if (values.help) return null
  const port = values.port === undefined ? undefined : Number(values.port)
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new UserError(`--port wants a number from 0 to 65535, not "${values.port}".`)
  }
  if (values.ephemeral && values.data) {
    throw new UserError('--ephemeral and --data exclude each other.')
  }
  return {
    port,
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

try {
  await main()
} catch (error) {
  console.error(error instanceof UserError ? error.message : error)
  process.exit(error instanceof UserError ? 2 : 1)
}
