// Has this caller used up its window? Requests are counted by endpoint in windows that end for all at once.

export type WindowLimit = { requests: number; seconds: number }

export type WindowCount = {
  taken: boolean
  limit: number
  remaining: number
  /** Epoch seconds at which the window ends. */
  reset: number
}

export type FixedWindows = {
  /** Takes one request of an endpoint; `taken: false` means the caller gets a 429. */
  take(endpoint: string, caller: string): WindowCount
  /** Other limits from now on; every count begins anew. */
  set(endpoint: string, limit: WindowLimit): void
}

export function fixedWindows(
  limits: Record<string, WindowLimit>,
  now: () => number,
): FixedWindows {
  const current = { ...limits }
  const counts = new Map<string, { endsAt: number; count: number }>()
  return {
    take(endpoint, caller) {
      const { requests, seconds } = current[endpoint]!
      const key = `${endpoint} ${caller}`
      const held = counts.get(key)
      const window = held && held.endsAt > now()
        ? held
        : { endsAt: now() + seconds * 1000, count: 0 }
      counts.set(key, window)
      const taken = window.count < requests
      if (taken) window.count += 1
      return {
        taken,
        limit: requests,
        remaining: requests - window.count,
        reset: Math.floor(window.endsAt / 1000),
      }
    },
    set(endpoint, limit) {
      current[endpoint] = limit
      counts.clear()
    },
  }
}
