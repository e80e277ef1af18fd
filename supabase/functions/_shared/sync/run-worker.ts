// Drains the queue: takes due runs one after another, then waits for the next while time is left.
import type { Outside } from '../platform/outside.ts'
import { claimRun } from './claimed-run.ts'
import { runSlice } from './run-slice.ts'
import type { SliceBudget } from './slice-budget.ts'

/** One worker's share: wall time well below the platform's 150 s, records well below its 2 s of CPU. */
export const WORKER_SHARE = { wallMs: 100_000, records: 10_000 }

/** Between two looks at the queue: another worker may have queued something meanwhile. */
export const LONGEST_NAP_MS = 5_000

/**
 * Works until its share is spent, or nothing is due within it. What it leaves is in the queue, and the
 * wake that giving a run back rings starts a fresh worker.
 *
 * @returns How many slices it ran.
 */
export async function runWorker(
  outside: Outside,
  share = WORKER_SHARE,
): Promise<number> {
  const clock = outside.clock
  const budget: SliceBudget = {
    recordsLeft: share.records,
    deadline: clock.now().getTime() + share.wallMs,
  }
  await outside.db.call('answer_wake', { p_worker: 'sync' })
  let slices = 0
  while (budget.recordsLeft > 0 && clock.now().getTime() < budget.deadline) {
    const run = await claimRun(outside.db)
    if (run) {
      await runSlice(run, outside, budget)
      slices++
      continue
    }
    const nextAt = await outside.db.call<string | null>('next_sync_run_at', {})
    if (nextAt === null || Date.parse(nextAt) >= budget.deadline) break
    await clock.sleep(
      Math.min(
        LONGEST_NAP_MS,
        Math.max(100, Date.parse(nextAt) - clock.now().getTime()),
      ),
    )
  }
  return slices
}
