// What strangers send to the door, in few lines: the first of a kind at once, then how many a minute.
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { AppInstance } from './app-events.ts'
import type { Receiver } from './receiver.ts'
import type { RefusalReason } from './scheme.ts'

const PAUSE_MS = 60_000

/** Kinds at once: integrations that strangers find out do not fill the memory. */
const MOST_KINDS = 1_000

export class RefusalLog {
  readonly #log: Log
  readonly #clock: Clock
  readonly #kinds = new Map<string, { saidAt: number; unsaid: number }>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Addresses of nobody are not worth a line. */
  add(receiver: Receiver | AppInstance | null, reason: RefusalReason): void {
    if (!receiver) return
    const whose = 'appInstanceId' in receiver
      ? { app_instance_id: receiver.appInstanceId }
      : { connector: receiver.connector.slug, integration_id: receiver.integrationId }
    const key = `${Object.values(whose).join(' ')} ${reason}`
    const now = this.#clock.now().getTime()
    const kind = this.#kinds.get(key)
    if (kind && now - kind.saidAt < PAUSE_MS) {
      kind.unsaid++
      return
    }
    if (!kind && this.#kinds.size >= MOST_KINDS) this.#kinds.clear()
    this.#kinds.set(key, { saidAt: now, unsaid: 0 })
    this.#log.info('a webhook was refused', {
      reason,
      ...whose,
      ...(kind && kind.unsaid > 0 ? { since_the_last_line: kind.unsaid + 1 } : {}),
    })
  }
}
