// How much may one worker do? The platform gives a request 150 s and 2 s of CPU, which it can count but not measure.

export type Share = { wallMs: number; cpuMs: number }

/** CPU in milliseconds, measured in Deno with the Data API between. */
const COST = { call: 0.8, delivery: 0.4, megabyte: 10 }

/** The next worker is rung for when this much is spent, and is there when the rest is. */
const NEARLY = 0.75
const NEARLY_MS = 5_000

export class WorkerShare {
  readonly #share: Share
  readonly #now: () => number
  readonly #startedAt: number
  #cpuMs = 0

  constructor(share: Share, now: () => number) {
    this.#share = share
    this.#now = now
    this.#startedAt = now()
  }

  /** Counts calls to the database, deliveries sent, bytes of their bodies. */
  spend(work: { calls?: number; deliveries?: number; bytes?: number }): void {
    this.#cpuMs += (work.calls ?? 0) * COST.call + (work.deliveries ?? 0) * COST.delivery +
      (work.bytes ?? 0) / 1_000_000 * COST.megabyte
  }

  get isNearlySpent(): boolean {
    return this.#cpuMs >= this.#share.cpuMs * NEARLY ||
      this.#elapsedMs >= this.#share.wallMs - NEARLY_MS
  }

  get isSpent(): boolean {
    return this.#cpuMs >= this.#share.cpuMs || this.#elapsedMs >= this.#share.wallMs
  }

  get #elapsedMs(): number {
    return this.#now() - this.#startedAt
  }
}
