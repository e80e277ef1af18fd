// When does nobody but the test's own call work on syncs?
import { setTimeout as sleep } from 'node:timers/promises'
import { LONGEST_NAP_MS } from '../../supabase/functions/_shared/sync/run-worker.ts'
import type { TestDatabase } from './database.ts'

/**
 * Earlier files leave workers that wait for what is due soon, and would take this file's runs too. With nothing left to wait
 * for each leaves when it looks again.
 */
export async function workersAreGone({ admin }: TestDatabase): Promise<void> {
  await admin`delete from private.sync_runs where status = 'queued'`
  await sleep(LONGEST_NAP_MS + 500)
}

/** As if a worker were awake already: commits ring nobody. */
export async function nobodyIsRung({ owner }: TestDatabase): Promise<void> {
  await owner`
    update private.worker_wakes set awake_until = now() + interval '1 hour' where worker = 'sync'`
}

export async function workersAreRung({ owner }: TestDatabase): Promise<void> {
  await owner`update private.worker_wakes set awake_until = null where worker = 'sync'`
}
