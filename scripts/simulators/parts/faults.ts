// What goes wrong next? A queue of injected faults, played on the requests they match.

export type Fault =
  & {
    /** Requests to let through first. Default 0. */
    after?: number
    /** Requests to spoil. Default 1; `null` means until cleared. */
    times?: number | null
    /** Only requests whose path contains this. Default: every request. */
    path?: string
  }
  & (
    | {
      kind: 'status'
      status: number
      headers?: Record<string, string>
      body?: string
    }
    /** 429 with `Retry-After`: seconds as a number, anything else (a date) as text. */
    | { kind: 'retry_after'; retry_after: number | string; status?: number }
    /** Takes the request and never answers. */
    | { kind: 'timeout' }
    /** Announces the whole length, sends half of it, drops the connection. */
    | { kind: 'cut_body' }
    /** 200 with a web page, as a proxy or a login wall would. */
    | { kind: 'html' }
    /** Drops the connection before any answer. */
    | { kind: 'reset' }
    /** Does what was asked, then drops the connection instead of answering. */
    | { kind: 'lost_answer' }
    /** The right answer, late. */
    | { kind: 'slow'; delay_ms: number }
    /** The right answer, once this has settled: for callers in the same process. */
    | { kind: 'hold'; until: PromiseLike<unknown> }
    /** Does what was asked, and answers once this has settled. */
    | { kind: 'hold_answer'; until: PromiseLike<unknown> }
    /** 200 and no records, as if the account had nothing. */
    | { kind: 'empty' }
    /** 200 with the platform's own error envelope. */
    | { kind: 'fail_result'; reason?: string }
    /** 200 without the part that carries the data. */
    | { kind: 'no_data' }
    /** The first page, whatever page was asked for. */
    | { kind: 'repeated_page' }
  )

/** What the control API takes. */
export const FAULT_KINDS: ReadonlySet<string> = new Set<Fault['kind']>([
  'status',
  'retry_after',
  'timeout',
  'cut_body',
  'html',
  'reset',
  'lost_answer',
  'slow',
  'empty',
  'fail_result',
  'no_data',
  'repeated_page',
])

export type Faults = {
  /** Adds a fault behind those already waiting; the returned function takes it back. */
  set(fault: Fault): () => void
  /** The fault to play on this request, if any. */
  next(path: string): Fault | null
  clear(): void
}

/** Faults are looked at in the order they were set; the first that is due is played. */
export function faults(): Faults {
  let waiting: { fault: Fault; after: number; times: number }[] = []
  return {
    set(fault) {
      const entry = {
        fault,
        after: fault.after ?? 0,
        times: fault.times ?? (fault.times === null ? Infinity : 1),
      }
      waiting.push(entry)
      return () => void (waiting = waiting.filter((other) => other !== entry))
    },
    next(path) {
      for (const entry of waiting) {
        if (entry.fault.path !== undefined && !path.includes(entry.fault.path)) continue
        if (entry.after > 0) {
          entry.after -= 1
          continue
        }
        entry.times -= 1
        if (entry.times <= 0) waiting = waiting.filter((other) => other !== entry)
        return entry.fault
      }
      return null
    },
    clear: () => void (waiting = []),
  }
}
