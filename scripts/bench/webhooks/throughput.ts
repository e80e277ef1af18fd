// How many deliveries a second: ours, a bare loop that signs and sends, and pg-boss, to the same sink.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { PgBoss } from 'pg-boss'
import { median } from '../median.ts'
import type { Stack } from '../../stack/stack.ts'
import { startDeno } from './deno-process.ts'
import { EVENT_DATA, type Scene } from './scene.ts'

export const AT_ONCE = 64
const ENDPOINTS = 8

type SinkState = { count: number; distinct: number; first: number; last: number }

export type Throughput = {
  /** Deliveries a second; medians. */
  bare: number
  ours: number
  boss: { single: number; batches: number }
  /** Of ours to what the bare loop reached in the same round. */
  ours_of_bare: number
  /** A sink that takes 50 ms: deliveries a second, and as a share of concurrency ÷ latency. */
  slow: number
  slow_share: number
  /** Statements of ours: calls of the worker into Postgres, for each delivery. */
  calls_per_delivery: number
}

export async function measureThroughput(
  scene: Scene,
  stack: Stack,
  { deliveries, runs, log }: { deliveries: number; runs: number; log: (line: string) => void },
): Promise<Throughput> {
  await stack.functions.setEnv({ PLUGBOARD_DATABASE_URL: stack.dbUrl })
  const sink = startDeno<{ url: string }>('sink.ts', { delayMs: 0 })
  const rounds: { bare: number; ours: number; single: number; batches: number }[] = []
  let calls = 0
  try {
    const { url } = await sink.next()
    for (let run = 1; run <= runs; run++) {
      const bare = await bareLoop(url, deliveries)
      const before = await functionCalls(scene)
      const ours = await drain(scene, url, deliveries, 100)
      calls = (await functionCalls(scene) - before) / deliveries
      const single = await throughBoss(scene, stack, url, Math.min(deliveries, 2_000), 'single')
      const batches = await throughBoss(scene, stack, url, deliveries, 'batches')
      rounds.push({ bare, ours, single, batches })
      const rates = [bare, ours, single, batches].map((rate) => Math.round(rate))
      log(
        `instant sink, run ${run} of ${runs}: bare ${rates[0]}, ours ${rates[1]}, pg-boss ${
          rates[2]
        } and ${rates[3]} a second`,
      )
    }
  } finally {
    await sink.stop()
  }
  const slowSink = startDeno<{ url: string }>('sink.ts', { delayMs: 50 })
  let slow = 0
  try {
    const { url } = await slowSink.next()
    // so many calls under way at once, and no more
    slow = await drain(scene, url, Math.max(2_000, deliveries / 2), AT_ONCE / ENDPOINTS)
    log(`50 ms sink: ${Math.round(slow)} a second`)
  } finally {
    await slowSink.stop()
  }
  const over = (value: (round: typeof rounds[number]) => number) => median(rounds.map(value))
  return {
    bare: over(({ bare }) => bare),
    ours: over(({ ours }) => ours),
    boss: { single: over(({ single }) => single), batches: over(({ batches }) => batches) },
    ours_of_bare: over(({ ours, bare }) => ours / bare),
    slow,
    slow_share: slow / (AT_ONCE / 0.05),
    calls_per_delivery: calls,
  }
}

async function bareLoop(url: string, deliveries: number): Promise<number> {
  const body = JSON.stringify({
    type: 'bench.created',
    timestamp: new Date().toISOString(),
    data: EVENT_DATA,
  })
  const loop = startDeno<{ seconds: number }>('bare-loop.ts', {
    url,
    deliveries,
    atOnce: AT_ONCE,
    body,
  })
  try {
    return deliveries / (await loop.next()).seconds
  } finally {
    await loop.stop()
  }
}

/** Queues everything, wakes the worker, and counts from the first arrival to the last. */
async function drain(
  scene: Scene,
  url: string,
  deliveries: number,
  maxConcurrency: number,
): Promise<number> {
  await scene.hush()
  await scene.endpoints(
    Array.from({ length: ENDPOINTS }, (_, index) => `${url}/${index}`),
    { max_concurrency: maxConcurrency },
  )
  // held until all is queued: a worker that is still up from before would begin at once
  await scene.admin`update public.app_webhooks set status = 'paused'`
  await scene.empty()
  const events = Math.ceil(deliveries / ENDPOINTS)
  for (let left = events; left > 0; left -= 500) await scene.emit(Math.min(500, left))
  await scene.admin`vacuum analyze private.webhook_queue`
  await fetch(`${url}?reset`)
  await scene.admin`update public.app_webhooks set status = 'active'`
  await scene.wake()
  const expected = events * ENDPOINTS
  const state = await arrived(url, expected)
  if (state.distinct !== expected) {
    throw new Error(`${expected - state.distinct} deliveries are missing`)
  }
  await settled(scene)
  return expected / ((state.last - state.first) / 1000)
}

async function arrived(url: string, expected: number): Promise<SinkState> {
  for (let waited = 0;; waited += 100) {
    const state = await (await fetch(url)).json() as SinkState
    if (state.count >= expected) return state
    if (waited > 300_000) throw new Error(`only ${state.count} of ${expected} arrived`)
    await sleep(100)
  }
}

async function settled({ admin }: Scene): Promise<void> {
  for (;;) {
    const [row] = await admin<
      { count: number }[]
    >`select count(*)::int as count from private.webhook_queue`
    if (row!.count === 0) return
    await sleep(50)
  }
}

/** Calls of the worker since the start, by Postgres' own count. */
async function functionCalls({ admin }: Scene): Promise<number> {
  const [row] = await admin<{ calls: number }[]>`
    select coalesce(sum(calls), 0)::int as calls from pg_stat_user_functions
    where funcname in ('claim_webhook_deliveries', 'finish_webhook_deliveries', 'open_webhook_endpoints', 'next_webhook_delivery_at')`
  return row!.calls
}

async function throughBoss(
  scene: Scene,
  stack: Stack,
  url: string,
  deliveries: number,
  way: 'single' | 'batches',
): Promise<number> {
  await scene.admin`drop schema if exists pgboss cascade`
  const boss = new PgBoss({ connectionString: stack.adminDbUrl, max: 4 })
  await boss.start()
  await boss.createQueue('deliveries')
  const body = JSON.stringify({
    type: 'bench.created',
    timestamp: new Date().toISOString(),
    data: EVENT_DATA,
  })
  const jobs = Array.from({ length: deliveries }, (_, index) => ({
    data: { url: `${url}/${index % ENDPOINTS}`, id: randomUUID(), body },
  }))
  for (let start = 0; start < jobs.length; start += 1_000) {
    await boss.insert('deliveries', jobs.slice(start, start + 1_000))
  }
  await boss.stop({ graceful: false })
  await scene.admin`vacuum analyze`
  await fetch(`${url}?reset`)
  const worker = startDeno<{ seconds: number }>('boss-worker.ts', {
    dbUrl: stack.adminDbUrl,
    deliveries,
    atOnce: AT_ONCE,
    way,
  })
  try {
    await worker.next()
    const state = await (await fetch(url)).json() as SinkState
    return state.count / ((state.last - state.first) / 1000)
  } finally {
    await worker.stop()
  }
}
