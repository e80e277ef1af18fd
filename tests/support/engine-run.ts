// How does a test run the sync engine in its own process? One slice at a time, with waits that take no time.
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import type { Clock } from '../../supabase/functions/_shared/platform/clock.ts'
import { claimRun } from '../../supabase/functions/_shared/sync/claimed-run.ts'
import { runSlice, type SliceOutcome } from '../../supabase/functions/_shared/sync/run-slice.ts'

/** The real time, but nobody sleeps: pauses between retries are not what these tests ask about. */
export const impatientClock: Clock = {
  now: () => new Date(),
  sleep: (_ms, signal) =>
    signal?.aborted ? Promise.reject(signal.reason) : new Promise((done) => setImmediate(done)),
}

/**
 * Takes a due run and does one slice of it.
 *
 * @throws Error when there is no run to take.
 */
export async function doSlice(
  outside: Outside,
  syncLogId: string,
  records = 10_000,
): Promise<SliceOutcome> {
  const run = await claimRun(outside.db, syncLogId)
  if (!run) throw new Error(`the run ${syncLogId} cannot be taken`)
  return await runSlice(run, outside, { recordsLeft: records, deadline: Date.now() + 100_000 })
}
