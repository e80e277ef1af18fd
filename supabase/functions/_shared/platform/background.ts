// Work that goes on after the answer. What must survive is in Postgres: this may end at any time.
import type { Log } from './log.ts'

declare const EdgeRuntime:
  | { waitUntil<T>(work: Promise<T>): Promise<T> }
  | undefined

/** Keeps the worker alive for `work`, where the platform can; a failure is logged. */
export function inBackground(work: Promise<unknown>, log: Log): void {
  const logged = work.catch((error: unknown) => log.error('background work failed', { error }))
  if (typeof EdgeRuntime !== 'undefined') EdgeRuntime.waitUntil(logged)
}
