// Does Supabase's own advisor find anything to warn about in what the migrations made?
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'
import { projectDir } from '../../scripts/stack/project.ts'
import { useDatabase } from '../support/database.ts'

type Finding = { name: string; level: 'INFO' | 'WARN' | 'ERROR'; detail: string }

const { owner } = useDatabase()

async function findingsAboveInfo(): Promise<Finding[]> {
  const cli = join(projectDir, 'node_modules/supabase/dist/supabase.js')
  const target = `--remote=${inject('stack').dbUrl}?sslmode=disable`
  const flags = ['--type', 'all', '--level', 'info', '--output-format', 'json', '--agent', 'no']
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [cli, 'db', 'advisors', target, ...flags, '--yes'],
    { env: { ...process.env, SUPABASE_TELEMETRY_DISABLED: '1', NO_COLOR: '1' } },
  )
  const { results } = JSON.parse(stdout) as { results: Finding[] }
  return results.filter((finding) => finding.level !== 'INFO')
}

it('finds nothing above info, and would find a table without row level security', async () => {
  const found = await findingsAboveInfo()
  await owner`create table public.left_open (id int primary key)`
  await owner`grant select on public.left_open to anon`
  const foundWithHole = await findingsAboveInfo().finally(() => owner`drop table public.left_open`)

  expect(found).toEqual([])
  expect(foundWithHole).toMatchObject([{ name: 'rls_disabled_in_public', level: 'ERROR' }])
}, 30_000)
