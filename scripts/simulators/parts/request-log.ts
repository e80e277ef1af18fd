// Which calls did the simulator get? Kept for assertions and for `GET /_control/requests`.

export type LoggedRequest = {
  at: string
  method: string
  /** Path and query as received. */
  path: string
  /** 0 when the connection was dropped on purpose. */
  status: number
  /** Time from the request's arrival to its answer. */
  duration_ms: number
  /** Kind of the injected fault, if one was played. */
  fault: string | null
}

export type RequestLog = {
  entries: LoggedRequest[]
  add(entry: LoggedRequest): void
  clear(): void
}

/** Keeps the newest `capacity` calls: a benchmark must not grow the process. */
export function requestLog(capacity = 10_000): RequestLog {
  const entries: LoggedRequest[] = []
  return {
    entries,
    add(entry) {
      if (entries.length >= capacity) {
        entries.splice(0, Math.ceil(capacity / 10))
      }
      entries.push(entry)
    },
    clear: () => void (entries.length = 0),
  }
}
