// Remembers receivers for a minute, so that a webhook costs one call to the database and not two.
import type { Clock } from '../platform/clock.ts'

type Entry<Receiver> = { receiver: Receiver | null; readAt: number }

export type Remembered<Receiver> = {
  receiver: Receiver | null
  /** In milliseconds. */
  age: number
}

const KEEP_MS = 60_000

/** Of each kind: ids that strangers make up do not push out those that are there. */
const MOST_ENTRIES = 1_000

/** @typeParam Receiver What is known of one door: an integration's, or a business app's. */
export class ReceiverCache<Receiver> {
  readonly #load: (id: string) => Promise<Receiver | null>
  readonly #clock: Clock
  readonly #known = new Map<string, Entry<Receiver>>()
  readonly #unknown = new Map<string, Entry<Receiver>>()
  readonly #loading = new Map<string, Promise<Receiver | null>>()

  constructor(load: (id: string) => Promise<Receiver | null>, clock: Clock) {
    this.#load = load
    this.#clock = clock
  }

  /** @param maxAge Reads it again when what is remembered is older, in milliseconds. */
  async get(id: string, maxAge = KEEP_MS): Promise<Remembered<Receiver>> {
    const entry = this.#known.get(id) ?? this.#unknown.get(id)
    const age = entry ? this.#clock.now().getTime() - entry.readAt : Infinity
    if (entry && age <= maxAge) return { receiver: entry.receiver, age }
    return { receiver: await this.#read(id), age: 0 }
  }

  /** Many that ask at once are answered by one call. */
  #read(id: string): Promise<Receiver | null> {
    const underWay = this.#loading.get(id)
    if (underWay) return underWay
    const readAt = this.#clock.now().getTime()
    const reading = this.#load(id)
      .then((receiver) => {
        this.#keep(id, { receiver, readAt })
        return receiver
      })
      .finally(() => this.#loading.delete(id))
    this.#loading.set(id, reading)
    return reading
  }

  #keep(id: string, entry: Entry<Receiver>): void {
    this.#known.delete(id)
    this.#unknown.delete(id)
    const entries = entry.receiver ? this.#known : this.#unknown
    entries.set(id, entry)
    // a map keeps the order of insertion: the first was read longest ago
    if (entries.size > MOST_ENTRIES) entries.delete(entries.keys().next().value!)
  }
}
