// Has this caller used up its requests of the last minute? A sliding window, and the most that ever came in one.

export type WindowLimit = {
  /** Takes one request: 0 when it may pass, else the milliseconds until the next may. */
  take(key: string): number
  /** Changes the limit; 0 switches it off. */
  set(requests: number): void
  /** How many were let through at most in one window, for each key. */
  most(key: string): number
  refused(key: string): number
}

export function windowLimit(
  requests: number,
  windowMs: number,
  now: () => number,
): WindowLimit {
  let limit = requests
  const counts = new Map<string, { taken: number[]; most: number; refused: number }>()
  const of = (key: string) => {
    const known = counts.get(key) ?? { taken: [], most: 0, refused: 0 }
    counts.set(key, known)
    return known
  }
  return {
    take(key) {
      const count = of(key)
      const at = now()
      count.taken = count.taken.filter((earlier) => earlier > at - windowMs)
      if (limit > 0 && count.taken.length >= limit) {
        count.refused += 1
        return count.taken[0]! + windowMs - at
      }
      count.taken.push(at)
      count.most = Math.max(count.most, count.taken.length)
      return 0
    },
    set: (value) => void (limit = value),
    most: (key) => of(key).most,
    refused: (key) => of(key).refused,
  }
}
