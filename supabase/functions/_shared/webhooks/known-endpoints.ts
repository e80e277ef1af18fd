// The endpoints a worker sends to, asked for once and again when they changed or a secret ran out.
import type { Clock } from '../platform/clock.ts'
import type { Database } from '../platform/database.ts'
import { type ClaimedDelivery, type EndpointSettings, openEndpoints } from './claimed-deliveries.ts'

export class KnownEndpoints {
  readonly #db: Database
  readonly #clock: Clock
  readonly #known = new Map<string, EndpointSettings>()

  constructor(db: Database, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Asks for those of the deliveries' endpoints that are not known as they are now. */
  async learn(deliveries: ClaimedDelivery[]): Promise<void> {
    const now = this.#clock.now().getTime()
    const wanted = new Set<string>()
    for (const { endpoint_id, endpoint_version } of deliveries) {
      const known = this.#known.get(endpoint_id)
      const isCurrent = known !== undefined && known.version >= endpoint_version &&
        (known.expires_at === null || Date.parse(known.expires_at) > now)
      if (!isCurrent) wanted.add(endpoint_id)
    }
    if (wanted.size === 0) return
    for (const id of wanted) this.#known.delete(id)
    for (const endpoint of await openEndpoints(this.#db, [...wanted])) {
      this.#known.set(endpoint.id, endpoint)
    }
  }

  /** Undefined when it was deleted. */
  get(id: string): EndpointSettings | undefined {
    return this.#known.get(id)
  }
}
