// Has this caller used up its requests for now? One token bucket for each key.

export type RateLimit = {
  /** Takes one request; false means the caller gets a 429. */
  take(key: string): boolean
  /** Changes the limit; 0 switches it off. */
  set(requestsPerSecond: number): void
  /** When each request of the key came, in milliseconds, also the refused ones. None while the limit is off. */
  arrivals(key: string): readonly number[]
}

/** The bucket holds one second's worth, so a caller at exactly the limit is never refused. */
export function rateLimit(requestsPerSecond: number, now: () => number): RateLimit {
  let limit = requestsPerSecond
  const buckets = new Map<string, { tokens: number; at: number }>()
  const arrived = new Map<string, number[]>()
  return {
    take(key) {
      if (limit <= 0) return true
      const at = now()
      arrived.set(key, [...(arrived.get(key) ?? []).slice(-9_999), at])
      const bucket = buckets.get(key) ?? { tokens: limit, at }
      const tokens = Math.min(limit, bucket.tokens + ((at - bucket.at) / 1000) * limit)
      buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at })
      return tokens >= 1
    },
    set(value) {
      limit = value
      buckets.clear()
      arrived.clear()
    },
    arrivals: (key) => arrived.get(key) ?? [],
  }
}

/** The most requests that any span of so many milliseconds saw, wherever it begins. */
export function busiest(arrivals: readonly number[], spanMs: number): number {
  let first = 0
  return arrivals.reduce((most, at, index) => {
    while (at - arrivals[first]! >= spanMs) first += 1
    return Math.max(most, index - first + 1)
  }, 0)
}
