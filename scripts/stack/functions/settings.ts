// Which functions are there, and what does supabase/config.toml say about them?
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { UserError } from '../user-error.ts'

export type FunctionSettings = { name: string; entrypoint: string; verifyJwt: boolean }

/** Every `<functionsDir>/<name>/index.ts` that hosted would deploy. */
export function readFunctions(functionsDir: string, configFile: string): FunctionSettings[] {
  if (!existsSync(functionsDir)) return []
  const config = readConfig(configFile)
  const blocks = record(config.functions)
  return readdirSync(functionsDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[a-zA-Z0-9][a-zA-Z0-9_-]*$/.test(entry.name))
    .map((entry) => ({ name: entry.name, block: record(blocks[entry.name]) }))
    .map(({ name, block }) => ({
      name,
      entrypoint: join(functionsDir, name, 'index.ts'),
      verifyJwt: block.verify_jwt !== false,
      enabled: block.enabled !== false,
    }))
    .filter(({ entrypoint, enabled }) => enabled && existsSync(entrypoint))
    .map(({ name, entrypoint, verifyJwt }) => ({ name, entrypoint, verifyJwt }))
}

/** `[edge_runtime.secrets]`, with `env(NAME)` replaced by this shell's variable; unset ones are left out. */
export function readSecrets(configFile: string): Record<string, string> {
  const secrets: Record<string, string> = {}
  for (
    const [name, value] of Object.entries(
      record(record(readConfig(configFile).edge_runtime).secrets),
    )
  ) {
    const variable = String(value).match(/^env\((.+)\)$/)?.[1]
    const secret = variable ? process.env[variable] : String(value)
    if (secret !== undefined) secrets[name] = secret
  }
  return secrets
}

function readConfig(configFile: string): Record<string, unknown> {
  if (!existsSync(configFile)) return {}
  try {
    return parse(readFileSync(configFile, 'utf8'))
  } catch (error) {
    throw new UserError(
      `${configFile} is not valid TOML: ${error instanceof Error ? error.message : error}`,
    )
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
