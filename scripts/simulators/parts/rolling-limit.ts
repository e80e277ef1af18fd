// Has this caller used up its requests of the last seconds? Counted exactly, as platforms with a rolling window do.

export type RollingLimit = {
  /** Counts one request; false means the caller gets a refusal, which is not counted. */
  take(key: string): boolean
  /** The most requests that were let through in any window so far. */
  most(): number
  /** Another number of requests a window; 0 switches the limit off. */
  set(count: number): void
}

export function rollingLimit(
  count: number,
  windowMs: number,
  now: () => number,
): RollingLimit {
  let limit = count
  let most = 0
  const taken = new Map<string, number[]>()
  return {
    take(key) {
      const at = now()
      const recent = (taken.get(key) ?? []).filter((time) => time > at - windowMs)
      const isFree = limit <= 0 || recent.length < limit
      if (isFree) recent.push(at)
      taken.set(key, recent)
      most = Math.max(most, recent.length)
      return isFree
    },
    most: () => most,
    set(value) {
      limit = value
      taken.clear()
    },
  }
}
