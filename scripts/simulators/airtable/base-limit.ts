// Was this base asked too often? 5 requests in any second; after one more, nothing for 30 s.

export type BaseLimit = {
  /** Counts one request; false means 429. */
  take(): boolean
  /** 0 switches the limit off. */
  set(requestsPerSecond: number): void
  /** The most requests that ever came within one second, and how many were refused. */
  counted(): { worst: number; refused: number }
}

const PENALTY_MS = 30_000

export function baseLimit(requestsPerSecond: number, now: () => number): BaseLimit {
  let limit = requestsPerSecond
  let recent: number[] = []
  let closedUntil = -Infinity
  let worst = 0
  let refused = 0
  return {
    take() {
      const at = now()
      recent = [...recent.filter((earlier) => earlier > at - 1000), at]
      worst = Math.max(worst, recent.length)
      if (limit <= 0 || at >= closedUntil && recent.length <= limit) return true
      if (at >= closedUntil) closedUntil = at + PENALTY_MS
      refused += 1
      return false
    },
    set(value) {
      limit = value
      closedUntil = -Infinity
    },
    counted: () => ({ worst, refused }),
  }
}
