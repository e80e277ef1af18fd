// On what was it measured?
import { cpus, totalmem } from 'node:os'
import type postgres from 'postgres'
import type { Machine } from './benchmark.ts'

export async function describeMachine(sql: postgres.Sql): Promise<Machine> {
  const [row] = await sql<{ version: string }[]>`
    select current_setting('server_version') as version`
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    postgres: row?.version ?? 'unknown',
  }
}
