// When does nobody but the test's own call work on syncs?
import type { TestDatabase } from './database.ts'

/**
 * As if a worker were awake already: commits ring nobody. One that is still up from an earlier test may take a run all
 * the same.
 */
export async function nobodyIsRung({ owner }: TestDatabase): Promise<void> {
  await owner`
    update private.worker_wakes set awake_until = now() + interval '1 hour' where worker = 'sync'`
}

export async function workersAreRung({ owner }: TestDatabase): Promise<void> {
  await owner`update private.worker_wakes set awake_until = null where worker = 'sync'`
}
