// Who runs the Supabase CLI? Everybody through here: the one that npm installed, without questions or telemetry.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { projectDir } from './project.ts'
import { UserError } from './user-error.ts'

export type CliAnswer = { exitCode: number | null; stdout: string; stderr: string }

/** Runs one command of the CLI on a database, and answers whatever its exit code. */
export async function runSupabase(command: string[], dbUrl: string): Promise<CliAnswer> {
  const cli = join(projectDir, 'node_modules/supabase/dist/supabase.js')
  if (!existsSync(cli)) throw new UserError('The Supabase CLI is not installed: run "npm ci".')
  const child = spawn(
    process.execPath,
    [cli, ...command, `--remote=${withoutTls(dbUrl)}`, '--yes', '--agent', 'no'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', NO_COLOR: '1' },
    },
  )
  const answer = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => answer.stdout += text)
  child.stderr.setEncoding('utf8').on('data', (text: string) => answer.stderr += text)
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, ...answer }))
  })
}

/** @throws Error with what the CLI said when it ends with anything but 0. */
export async function askSupabase(command: string[], dbUrl: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runSupabase(command, dbUrl)
  if (exitCode !== 0) throw new Error(`supabase ${command.join(' ')}: ${stderr || stdout}`)
  return stdout
}

// The CLI asks for TLS unless told otherwise, and a local Postgres has none.
function withoutTls(dbUrl: string): string {
  const url = new URL(dbUrl)
  const isLocal = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
  if (isLocal && !url.searchParams.has('sslmode')) url.searchParams.set('sslmode', 'disable')
  return url.href
}
