// Connections that wait for the next call to the same server, so that it need not be greeted again.
import type { Socket } from 'node:net'
import { clearInterval, setInterval } from 'node:timers'

/** Shorter than what servers keep (Node: 5 s), so that a call seldom meets a connection just closed. */
const IDLE_MS = 4_000
/** A name that has moved is followed within this. */
const MAX_AGE_MS = 60_000
const MAX_IDLE = 256

export type Connection = { socket: Socket; openedAt: number; isReused: boolean }

export class IdleConnections {
  readonly #waiting = new Map<string, { connection: Connection; until: number }[]>()
  #count = 0
  #sweeper: ReturnType<typeof setInterval> | undefined

  /** The one used last, which the server has kept waiting for the shortest time. */
  take(origin: string): Connection | undefined {
    for (;;) {
      const entry = this.#waiting.get(origin)?.pop()
      if (!entry) return undefined
      this.#count--
      const { connection, until } = entry
      connection.socket.off('data', discard)
      if (!connection.socket.destroyed && connection.socket.writable && Date.now() < until) {
        connection.isReused = true
        connection.socket.ref()
        return connection
      }
      connection.socket.destroy()
    }
  }

  /** @param keepMs How long the server says that it keeps it. */
  put(origin: string, connection: Connection, keepMs = Infinity): void {
    const now = Date.now()
    const until = Math.min(now + IDLE_MS, now + keepMs - 1_000, connection.openedAt + MAX_AGE_MS)
    if (until <= now || this.#count >= MAX_IDLE) {
      connection.socket.destroy()
      return
    }
    connection.socket.on('data', discard)
    connection.socket.unref() // a process may end while connections wait
    const entries = this.#waiting.get(origin) ?? []
    entries.push({ connection, until })
    this.#waiting.set(origin, entries)
    this.#count++
    this.#sweeper ??= setInterval(() => this.#sweep(Date.now()), 1_000).unref()
  }

  /** Closes all that wait. */
  close(): void {
    this.#sweep(Infinity)
  }

  #sweep(now: number): void {
    for (const [origin, entries] of this.#waiting) {
      const kept = entries.filter(({ connection, until }) => {
        const stays = until > now && !connection.socket.destroyed
        if (!stays) connection.socket.destroy()
        return stays
      })
      this.#count -= entries.length - kept.length
      if (kept.length > 0) this.#waiting.set(origin, kept)
      else this.#waiting.delete(origin)
    }
    if (this.#count > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

/** What a server sends unasked would be taken for the answer to the next request. */
function discard(this: Socket): void {
  this.destroy()
}
