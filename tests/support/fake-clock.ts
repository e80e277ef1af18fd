// A clock that a test holds: sleeping takes no time, moves the clock on and is written down.
import type { Clock } from '../../supabase/functions/_shared/platform/clock.ts'

export type FakeClock = Clock & {
  /** Milliseconds of each sleep, in order. */
  readonly slept: number[]
  /** Moves the clock on without anybody sleeping. */
  advance(ms: number): void
}

/** @param start RFC 3339. */
export function fakeClock(start: string): FakeClock {
  let now = Date.parse(start)
  const slept: number[] = []
  return {
    slept,
    now: () => new Date(now),
    advance(ms) {
      now += ms
    },
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason)
      slept.push(ms)
      now += ms
      return Promise.resolve()
    },
  }
}
