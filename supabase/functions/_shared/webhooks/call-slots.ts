// Which delivery is called next? Endpoints take turns, and slow ones wait among themselves.
//
// A call that lasts gives its slot back and goes on in a pool for slow calls; while an endpoint is that slow, its
// further calls begin there. So a slow endpoint holds slots for one second once, however many deliveries it has.

export type SlotBounds = {
  /** Calls that are not slow, at once. */
  atOnce: number
  /** The last slots, for endpoints that have few. */
  reserve: number
  /** A call is slow from then on. */
  slowAfterMs: number
  /** Slow calls at once; more keep their slots, all but the reserve. */
  slowAtOnce: number
  /** What may wait for a slot, and all that waits, slow endpoints' deliveries included. */
  ahead: number
  waiting: number
  waitingBytes: number
}

export type Callable = {
  endpointId: string
  /** Of its endpoint, at once. */
  atOnce: number
  byteSize: number
  /** Milliseconds: when it is given back unless it has begun. */
  beginUntil: number
  /** Resolves when the call has ended; never rejects. */
  call(): Promise<void>
}

type Lane = { waiting: Callable[]; underWay: number; fast: number; isSlow: boolean }
type Call = { lane: Lane; pool: 'fast' | 'slow'; isOverdue: boolean }

/** An endpoint with fewer may take the reserve. */
const FEW = 8

export class CallSlots {
  readonly #bounds: SlotBounds
  readonly #onFree: () => void
  readonly #lanes = new Map<string, Lane>()
  /** Lanes with something waiting, in turn. */
  readonly #ready = new Set<Lane>()
  /** Slow calls for which the slow pool has no place. */
  readonly #overdue = new Set<Call>()
  #fast = 0
  #slow = 0
  #waitingBytes = 0

  constructor(bounds: SlotBounds, onFree: () => void) {
    this.#bounds = bounds
    this.#onFree = onFree
  }

  get underWay(): number {
    return this.#fast + this.#slow
  }

  /** How many more deliveries are worth claiming now. */
  room(): number {
    const { atOnce, ahead, waiting, waitingBytes } = this.#bounds
    if (this.#waitingBytes >= waitingBytes) return 0
    let all = 0
    let fast = 0
    for (const lane of this.#ready) {
      all += lane.waiting.length
      if (!lane.isSlow) fast += lane.waiting.length
    }
    return Math.max(0, Math.min(atOnce - this.#fast + ahead - fast, waiting - all))
  }

  add(callables: Callable[]): void {
    for (const callable of callables) {
      const lane = this.#lane(callable.endpointId)
      lane.waiting.push(callable)
      this.#waitingBytes += callable.byteSize
      this.#ready.add(lane)
    }
    this.#beginAll()
  }

  /** Takes out what waits for an endpoint, or what has waited for too long at any. */
  takeBack(which: { endpointId: string } | { now: number }): Callable[] {
    const taken: Callable[] = []
    const lanes = 'now' in which ? [...this.#ready] : [this.#lane(which.endpointId)]
    for (const lane of lanes) {
      const kept = 'now' in which
        ? lane.waiting.filter(({ beginUntil }) => beginUntil > which.now)
        : []
      if (kept.length === lane.waiting.length) continue
      const staying = new Set(kept)
      taken.push(...lane.waiting.filter((callable) => !staying.has(callable)))
      lane.waiting = kept
      if (kept.length === 0) this.#ready.delete(lane)
    }
    for (const { byteSize } of taken) this.#waitingBytes -= byteSize
    return taken
  }

  #lane(endpointId: string): Lane {
    const known = this.#lanes.get(endpointId)
    if (known) return known
    const lane = { waiting: [], underWay: 0, fast: 0, isSlow: false }
    this.#lanes.set(endpointId, lane)
    return lane
  }

  #beginAll(): void {
    for (let began = true; began;) {
      began = false
      for (const lane of [...this.#ready]) {
        if (!this.#mayBegin(lane)) continue
        this.#begin(lane)
        began = true
      }
    }
  }

  #mayBegin(lane: Lane): boolean {
    const { atOnce, reserve, slowAtOnce } = this.#bounds
    const next = lane.waiting[0]
    if (!next || lane.underWay >= next.atOnce) return false
    // its calls that are not slow yet will want their places there
    if (lane.isSlow) return this.#slow + this.#overdue.size + lane.fast < slowAtOnce
    return this.#fast < (lane.fast < FEW ? atOnce : atOnce - reserve)
  }

  #begin(lane: Lane): void {
    const callable = lane.waiting.shift()!
    this.#waitingBytes -= callable.byteSize
    // to the end of the row, so that the others have their turn
    this.#ready.delete(lane)
    if (lane.waiting.length > 0) this.#ready.add(lane)

    const call: Call = { lane, pool: lane.isSlow ? 'slow' : 'fast', isOverdue: false }
    this.#count(call, 1)
    lane.underWay++
    const timer = setTimeout(() => this.#becameSlow(call), this.#bounds.slowAfterMs)
    void callable.call().finally(() => {
      clearTimeout(timer)
      if (!call.isOverdue) lane.isSlow = false
      this.#overdue.delete(call)
      lane.underWay--
      this.#count(call, -1)
      this.#moveOverdue()
      this.#beginAll()
      this.#onFree()
    })
  }

  #becameSlow(call: Call): void {
    call.isOverdue = true
    call.lane.isSlow = true
    if (call.pool === 'fast') this.#overdue.add(call)
    this.#moveOverdue()
    this.#beginAll()
    this.#onFree()
  }

  /**
   * What the slow pool has no place for goes there all the same where it would keep the reserve from others. An endpoint
   * that is slow begins nothing more then, so the pool grows by no more than the calls of a reserve that time out.
   */
  #moveOverdue(): void {
    const { atOnce, reserve, slowAtOnce } = this.#bounds
    for (const call of this.#overdue) {
      if (this.#slow >= slowAtOnce && this.#overdue.size <= atOnce - reserve) return
      this.#overdue.delete(call)
      this.#count(call, -1)
      call.pool = 'slow'
      this.#count(call, 1)
    }
  }

  #count({ lane, pool }: Call, change: 1 | -1): void {
    if (pool === 'slow') this.#slow += change
    else {
      this.#fast += change
      lane.fast += change
    }
  }
}
