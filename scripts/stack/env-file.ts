// How are KEY=VALUE files read and written?
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseEnv } from 'node:util'
import { UserError } from './user-error.ts'

/** Reads a file of KEY=VALUE lines; quotes around a value are taken off. */
export function readEnvFile(path: string): Record<string, string> {
  if (!existsSync(path)) throw new UserError(`There is no file ${path}.`)
  const entries = Object.entries(parseEnv(readFileSync(path, 'utf8')))
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

/** Writes KEY=VALUE lines that a shell can source, readable by the owner only. */
export function writeEnvFile(path: string, env: Record<string, string>): void {
  mkdirSync(dirname(path), { recursive: true })
  const lines = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`)
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
}

function quote(value: string): string {
  return /^[A-Za-z0-9_.:/@%+,=?&~-]*$/.test(value) && !value.includes('&') && !value.includes('?')
    ? value
    : `'${value.replaceAll("'", `'\\''`)}'`
}
