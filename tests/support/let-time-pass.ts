// How does a test get past a wait of minutes? The rows that say "later" say "now", and a worker is rung.
import type { Functions } from './functions.ts'

/** As if the platforms' Retry-After had passed. */
export async function forgetThrottling({ database }: Functions): Promise<void> {
  await database.owner`update private.request_budgets set blocked_until = '-infinity'`
}

/** As if a run's pause had passed: a worker takes it up again. */
export async function letTimePass(functions: Functions, syncLogId: string): Promise<void> {
  const { database, remote } = functions
  await forgetThrottling(functions)
  await database.owner`update private.sync_runs set run_at = now() where sync_log_id = ${syncLogId}`
  await database.owner`update private.worker_wakes set rung_at = null`
  await remote.runCron('queue-due-syncs')
}
