// Has this caller used up its requests for now? One token bucket for each key.

export type RateLimit = {
  /** Takes one request; false means the caller gets a 429. */
  take(key: string): boolean
  /** Changes the limit; 0 switches it off. */
  set(requestsPerSecond: number): void
}

/** The bucket holds one second's worth, so a caller at exactly the limit is never refused. */
export function rateLimit(requestsPerSecond: number, now: () => number): RateLimit {
  let limit = requestsPerSecond
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(key) {
      if (limit <= 0) return true
      const at = now()
      const bucket = buckets.get(key) ?? { tokens: limit, at }
      const tokens = Math.min(limit, bucket.tokens + ((at - bucket.at) / 1000) * limit)
      buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at })
      return tokens >= 1
    },
    set(value) {
      limit = value
      buckets.clear()
    },
  }
}
