// When does nobody but the test's own call work on syncs?
import { setTimeout as sleep } from 'node:timers/promises'
import { LONGEST_NAP_MS } from '../../supabase/functions/_shared/sync/run-worker.ts'
import type postgres from 'postgres'
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

/** Most hosts of the images that a simulated store shows do not exist: trying them would keep the machine busy beside the tests. */
export async function imagesAreLeft(admin: postgres.Sql): Promise<void> {
  await admin`
    update private.worker_wakes set awake_until = 'infinity' where worker = 'sync-images'`
}

/** Those of records that are written from now on. */
export async function imagesAreFetched(admin: postgres.Sql): Promise<void> {
  await admin`delete from private.image_changes`
  await admin`
    update private.worker_wakes set awake_until = null where worker = 'sync-images'`
}
