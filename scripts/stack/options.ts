// What can `npm start` and `npm run stack` be told about the stack?
import { join, resolve } from 'node:path'
import { parseOptions, portNumber } from '../command-line.ts'
import { readEnvFile } from './env-file.ts'
import { freePort } from './free-port.ts'
import { projectDir } from './project.ts'
import type { StackOptions } from './stack.ts'
import { UserError } from './user-error.ts'

export const stackOptionsHelp =
  `  --port N              the gateway's port (default 54321, or a free one if taken; 0 picks a free one)
  --data DIR            where data and keys are kept (default .stack)
  --ephemeral           fresh data, deleted at the end
  --env FILE            where to write addresses and keys as KEY=VALUE lines (default DIR/env)
  --functions-env FILE  secrets for the Edge Functions, KEY=VALUE lines
  --help                this text`

const defaultPort = 54321
const defaultDbPort = 54322 // the Supabase CLI's own default target

export type CommandOptions = StackOptions & {
  envFile: string
  functionsEnv: Record<string, string>
}

/** The options of the command line, or null when only help is asked for. @throws UserError */
export async function readOptions(args: string[]): Promise<CommandOptions | null> {
  const values = parseOptions(args, {
    port: { type: 'string' },
    data: { type: 'string' },
    ephemeral: { type: 'boolean' },
    env: { type: 'string' },
    'functions-env': { type: 'string' },
    help: { type: 'boolean' },
  })
  if (values.help) return null
  const asked = values.port === undefined ? undefined : portNumber('--port', values.port)
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
