// At which rate is a platform's window kept, wherever it begins and however the calls fall into it?

/** How fast an account may be called: `burst` calls may come at once, the others a gap apart. */
export type RateLimit = { requestsPerSecond: number; burst: number }

/** What each account has for itself; `app` is what all accounts of our app at the platform have together. */
export type Limit = RateLimit & { app?: RateLimit }

/** By the names that calls use. */
export type Limits = Record<string, Limit>

/** Calls that left evenly may arrive closer together than they left: by so much they are spread wider. */
const TRANSIT_SECONDS = 0.05

/**
 * A rate by which no span of `seconds` sees more than `requests`. What may come at once is taken off what
 * comes evenly: a burst on top of the full rate would exceed the window it falls into.
 */
export function perWindow(
  { requests, seconds, burst = 1 }: { requests: number; seconds: number; burst?: number },
): RateLimit {
  return { requestsPerSecond: (requests - burst) / (seconds + TRANSIT_SECONDS), burst }
}
