// Is a call over the direct connection that takes too long given up by Postgres too?
import { expect, it, onTestFinished, vi } from 'vitest'
import {
  DatabaseError,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { useDatabase } from '../support/database.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { sharedStack } from '../support/shared-stack.ts'

const { admin, owner } = useDatabase()

it('a function that takes too long is cancelled, and its connection serves the next call', async () => {
  await owner.unsafe(`
    create function public.sleep_for(p_seconds float8) returns void
    language sql set search_path = '' as 'select pg_catalog.pg_sleep(p_seconds)'`)
  const direct = directDatabase(sharedStack.dbUrl, {
    clock: fakeClock('2026-01-01T00:00:00Z'),
    max: 1,
    timeoutMs: 300,
  })
  onTestFinished(async () => {
    await direct.end()
    await owner`drop function public.sleep_for(float8)`
  })

  const slow = await direct.call('sleep_for', { p_seconds: 60 }).catch((thrown: unknown) => thrown)
  const quick = await direct.call('sleep_for', { p_seconds: 0 }).catch((thrown: unknown) => thrown)

  expect(slow).toBeInstanceOf(DatabaseError)
  expect(slow).toMatchObject({ code: '' })
  expect(quick).not.toBeInstanceOf(Error)
  await vi.waitFor(async () => {
    const running = await admin`
      select 1 from pg_stat_activity
      where state = 'active' and query like '%public.sleep_for%' and pid <> pg_backend_pid()`
    expect(running).toHaveLength(0)
  })
})
