// Writes what became of deliveries: while one batch is on its way to Postgres, the next comes together.
import type { Clock } from '../platform/clock.ts'
import { type Database, DatabaseError } from '../platform/database.ts'
import { type DeliveryOutcome, finishDeliveries } from './claimed-deliveries.ts'

const MAX_OUTCOMES = 200
/** Answers are kept up to 16 KB each; a request to the Data API should stay well below its limit. */
const MAX_CHARACTERS = 500_000

/** While Postgres is away: a lease (60 s) that began 20 s before the call is over after that. */
const TRY_FOR_MS = 30_000
const STUCK_AFTER_MS = 2_000

export class OutcomeWriter {
  readonly #db: Database
  readonly #clock: Clock
  readonly #leaseToken: string
  readonly #onWritten: () => void
  #waiting: DeliveryOutcome[] = []
  #writing: Promise<void> | undefined
  #sentAt = Infinity
  /** Postgres did not take a batch, for good: what it was about becomes due again when the lease ends. */
  failure: unknown

  constructor(db: Database, clock: Clock, leaseToken: string, onWritten: () => void) {
    this.#db = db
    this.#clock = clock
    this.#leaseToken = leaseToken
    this.#onWritten = onWritten
  }

  add(...outcomes: DeliveryOutcome[]): void {
    this.#waiting.push(...outcomes)
    this.#writing ??= this.#writeAll().finally(() => this.#writing = undefined)
  }

  /** Postgres is away: what is claimed now could be due again before anybody has said what became of it. */
  get isStuck(): boolean {
    return this.#clock.now().getTime() - this.#sentAt >= STUCK_AFTER_MS
  }

  /** Resolves when everything that was added is written, or cannot be. */
  async settled(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // what ends within the same turn goes together
    await Promise.resolve()
    while (this.#waiting.length > 0 && this.failure === undefined) {
      try {
        await this.#write(this.#nextBatch())
      } catch (error) {
        this.failure = error
      }
      this.#onWritten()
    }
  }

  /** What is said twice counts once. */
  async #write(batch: DeliveryOutcome[]): Promise<void> {
    const now = () => this.#clock.now().getTime()
    this.#sentAt = now()
    const giveUpAt = this.#sentAt + TRY_FOR_MS
    for (;;) {
      try {
        await finishDeliveries(this.#db, this.#leaseToken, batch)
        this.#sentAt = Infinity
        return
      } catch (error) {
        const mayPass = error instanceof DatabaseError && error.isPassing
        if (!mayPass || now() >= giveUpAt) throw error
      }
    }
  }

  #nextBatch(): DeliveryOutcome[] {
    let characters = 0
    let count = 0
    for (const { body } of this.#waiting.slice(0, MAX_OUTCOMES)) {
      characters += body?.length ?? 0
      if (count > 0 && characters > MAX_CHARACTERS) break
      count++
    }
    return this.#waiting.splice(0, count)
  }
}
