// When has a run ended? Its log is read until it says so.
import type { SyncLog } from '../supabase/functions/_shared/contracts/sync.ts'
import { fail, type Result } from './result.ts'
import type { CallOptions } from './supabase.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 5_000
const GROWTH = 1.5

export type WatchOptions = CallOptions & {
  /** Called with the log at first, at each change, and at the end. */
  onProgress?: ((log: SyncLog) => void) | undefined
  /** Pause between two reads after a change, in milliseconds; 500 when left out. */
  intervalMs?: number | undefined
}

/** Reads until the run has ended, the reading fails, or the signal says stop. Throws what onProgress throws. */
export async function watchSync(
  read: (signal: AbortSignal | undefined) => Promise<Result<SyncLog>>,
  { onProgress, signal, intervalMs = FIRST_PAUSE_MS }: WatchOptions = {},
): Promise<Result<SyncLog>> {
  let pauseMs = intervalMs
  let seen = ''
  while (!signal?.aborted) {
    const answer = await read(signal)
    if (answer.error) return answer
    const now = JSON.stringify(answer.data)
    const isNews = now !== seen
    seen = now
    if (isNews) onProgress?.(answer.data)
    if (answer.data.finished_at) return answer
    if (isNews) pauseMs = intervalMs // what moves is looked at more closely
    await pause(pauseMs, signal)
    pauseMs = Math.max(intervalMs, Math.min(pauseMs * GROWTH, LONGEST_PAUSE_MS))
  }
  return fail('aborted', 'Watching was ended by its signal.', { cause: signal.reason })
}

/** Ends early, without complaint, when the signal says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end() // it was aborted in onProgress, before anyone listened
  })
}
