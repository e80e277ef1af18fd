// Four stores of one client id, synced at once: how much of the platform's limit is used, and is it kept?
import { setTimeout as sleep } from 'node:timers/promises'
import { busiest } from '../../simulators/parts/rate-limit.ts'
import { type RequestsCounted, startTreezInThread } from '../../simulators/treez/in-thread.ts'
import type { Stack } from '../../stack/stack.ts'
import type { BenchStore, Integration } from '../sync/bench-store.ts'

/** What Treez states for a client id. */
export const REQUESTS_PER_SECOND = 10
export const STORES = 4

export type SharedLimit = {
  over: 'Data API' | 'direct'
  requests: number
  seconds: number
  /** Of what the platform allows in that time. */
  share: number
  /** The most requests in any second, wherever it begins. */
  busiest: number
  refused: number
}

export async function measureSharedLimit(
  bench: BenchStore,
  stack: Stack,
  { products, runs, log }: { products: number; runs: number; log: (line: string) => void },
): Promise<SharedLimit[]> {
  const results: SharedLimit[] = []
  for (const over of ['Data API', 'direct'] as const) {
    const names = Array.from(
      { length: STORES },
      (_, index) => `${over === 'direct' ? 'direct' : 'api'}-${index + 1}`,
    )
    for (let run = 1; run <= runs; run++) {
      // a fresh store and fresh integrations: tokens are fetched, everything is new
      const store = await startTreezInThread({
        products,
        brokenShare: 0,
        recordSize: 'compact',
        requestsPerSecond: REQUESTS_PER_SECOND,
        dispensary: `${names[0]}-${run}`,
        moreDispensaries: names.slice(1).map((name) => `${name}-${run}`),
      })
      try {
        await stack.functions.setEnv({
          CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: store.baseUrl } }),
          PLUGBOARD_DATABASE_URL: over === 'direct' ? stack.dbUrl : '',
        })
        await bench.admin`delete from private.request_budgets`
        const integrations = []
        for (const name of names) {
          integrations.push(
            await bench.connect({
              external_account_id: `${name}-${run}`,
              credentials: store.credentials,
            }),
          )
        }
        await Promise.all(integrations.map((integration) => syncWhole(bench, stack, integration)))
        const measured = judge(await store.counted())
        results.push({ over, ...measured })
        log(
          `${over}, run ${run} of ${runs}: ${measured.requests} requests in ` +
            `${measured.seconds.toFixed(1)} s, ${
              (measured.share * 100).toFixed(1)
            } % of the limit, ` +
            `${measured.busiest} in the busiest second`,
        )
      } finally {
        await store.stop()
      }
    }
  }
  return results
}

function judge({ arrivals, refused }: RequestsCounted): Omit<SharedLimit, 'over'> {
  const seconds = (arrivals.at(-1)! - arrivals[0]!) / 1000
  return {
    requests: arrivals.length,
    seconds,
    // the first request takes no time: the gaps between them count
    share: (arrivals.length - 1) / seconds / REQUESTS_PER_SECOND,
    busiest: busiest(arrivals, 1000),
    refused,
  }
}

async function syncWhole(
  { admin }: BenchStore,
  stack: Stack,
  integration: Integration,
): Promise<void> {
  const response = await fetch(`${stack.functionsUrl}/sync`, {
    method: 'POST',
    headers: { apikey: stack.secretKey, 'content-type': 'application/json' },
    body: JSON.stringify({ integration_id: integration.id, stream: 'products', mode: 'full' }),
  })
  const { sync_log_id } = await response.json() as { sync_log_id: string }
  for (;;) {
    const [log] = await admin<{ status: string }[]>`
      select status from public.sync_logs where id = ${sync_log_id} and finished_at is not null`
    if (log?.status === 'success') return
    if (log) throw new Error(`a run ended as ${log.status}`)
    await sleep(100)
  }
}
