// Does Supabase's own advisor find anything to warn about in what the migrations made?
import { expect, it } from 'vitest'
import { askSupabase } from '../../scripts/stack/supabase-cli.ts'
import { useDatabase } from '../support/database.ts'
import { sharedStack } from '../support/shared-stack.ts'

type Finding = { name: string; level: 'INFO' | 'WARN' | 'ERROR'; detail: string }

const { owner } = useDatabase()

async function findingsAboveInfo(): Promise<Finding[]> {
  const command = ['db', 'advisors', '--type', 'all', '--level', 'info', '--output-format', 'json']
  const stdout = await askSupabase(command, sharedStack.dbUrl)
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
