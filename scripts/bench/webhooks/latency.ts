// How long from an event's commit to the endpoint, at a steady pace with a warm worker, and from idle?
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stack } from '../../stack/stack.ts'
import type { Scene } from './scene.ts'

const EVENTS_A_SECOND = 50

export type Latency = {
  over: 'Data API' | 'direct'
  events: number
  p50_ms: number
  p95_ms: number
  p99_ms: number
  /** The slowest of some wakes from idle. */
  wake_ms: number
}

/** What the endpoint has seen, by the event's number. */
type Arrivals = Map<number, number>

export async function measureLatency(
  scene: Scene,
  stack: Stack,
  over: Latency['over'],
  { seconds, wakes, log }: { seconds: number; wakes: number; log: (line: string) => void },
): Promise<Latency> {
  await stack.functions.setEnv({ PLUGBOARD_DATABASE_URL: over === 'direct' ? stack.dbUrl : '' })
  const arrivals: Arrivals = new Map()
  const sink = await listen(arrivals)
  try {
    await scene.hush()
    await scene.empty()
    await scene.endpoints([`http://127.0.0.1:${(sink.address() as AddressInfo).port}`])
    await scene.wake()
    await warmUp(scene, arrivals)
    const waits = await steadily(scene, arrivals, seconds * EVENTS_A_SECOND)
    const wakeMs = await wakeFromIdle(scene, arrivals, wakes)
    const result = {
      over,
      events: waits.length,
      p50_ms: at(waits, 0.5),
      p95_ms: at(waits, 0.95),
      p99_ms: at(waits, 0.99),
      wake_ms: wakeMs,
    }
    log(
      `${over}: p50 ${result.p50_ms.toFixed(0)} ms, p95 ${result.p95_ms.toFixed(0)} ms, ` +
        `from idle ${wakeMs.toFixed(0)} ms`,
    )
    return result
  } finally {
    sink.closeAllConnections()
    sink.close()
  }
}

function listen(arrivals: Arrivals): Promise<Server> {
  const server = createServer((request, response) => {
    const arrivedAt = performance.now()
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: { number: number } }
      if (!arrivals.has(data.number)) arrivals.set(data.number, arrivedAt)
      response.writeHead(204).end()
    })
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

let nextNumber = 1

/** Answers the event's number and when its transaction was known to be committed. */
async function emitOne({ sql, organizationId }: Scene): Promise<[number, number]> {
  const number = nextNumber++
  await sql`select private.emit_event(${organizationId}, 'bench.created', ${
    sql.json({ number })
  }, 'order/1')`
  return [number, performance.now()]
}

async function arrival(arrivals: Arrivals, number: number): Promise<number> {
  for (let waited = 0; waited < 30_000; waited += 5) {
    const arrivedAt = arrivals.get(number)
    if (arrivedAt !== undefined) return arrivedAt
    await sleep(5)
  }
  throw new Error(`event ${number} did not arrive within 30 s`)
}

async function warmUp(scene: Scene, arrivals: Arrivals): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const [number] = await emitOne(scene)
    await arrival(arrivals, number)
  }
}

async function steadily(scene: Scene, arrivals: Arrivals, count: number): Promise<number[]> {
  const startedAt = performance.now()
  const emitted: Promise<[number, number]>[] = []
  for (let index = 0; index < count; index++) {
    const wait = startedAt + index * (1000 / EVENTS_A_SECOND) - performance.now()
    if (wait > 0) await sleep(wait)
    emitted.push(emitOne(scene))
  }
  const waits: number[] = []
  for (const [number, committedAt] of await Promise.all(emitted)) {
    waits.push(Math.max(0, await arrival(arrivals, number) - committedAt))
  }
  return waits.sort((a, b) => a - b)
}

/** Waits each time until no worker is awake. */
async function wakeFromIdle(scene: Scene, arrivals: Arrivals, wakes: number): Promise<number> {
  let slowest = 0
  for (let wake = 0; wake < wakes; wake++) {
    for (;;) {
      const [row] = await scene.admin<{ awake: boolean }[]>`
        select coalesce(awake_until > clock_timestamp(), false) as awake
        from private.worker_wakes where worker = 'webhook-deliver'`
      if (!row!.awake) break
      await sleep(200)
    }
    await sleep(2_000) // past the worker's last look
    const [number, committedAt] = await emitOne(scene)
    slowest = Math.max(slowest, await arrival(arrivals, number) - committedAt)
  }
  return slowest
}

const at = (sorted: number[], share: number) =>
  sorted[Math.floor((sorted.length - 1) * share)] ?? NaN
