// Four integrations of one client id, synced at once by workers in two processes: the platform's limit is kept and used.
import { beforeAll, describe, expect, it } from 'vitest'
import { busiest } from '../../scripts/simulators/parts/rate-limit.ts'
import { startTreezInThread, type TreezInThread } from '../../scripts/simulators/treez/in-thread.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { runWorker } from '../../supabase/functions/_shared/sync/run-worker.ts'
import {
  connectAccount,
  drained,
  type FaultStack,
  lastLog,
  queueSync,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

/** What Treez states for each client id. */
const REQUESTS_PER_SECOND = 10
const STORES = ['north', 'south', 'east', 'west']
const PRODUCTS = 1000 // twenty pages of each store

let treez: TreezInThread
let faulty: FaultStack

beforeAll(async () => {
  treez = await startTreezInThread({
    products: PRODUCTS,
    brokenShare: 0,
    recordSize: 'compact',
    requestsPerSecond: REQUESTS_PER_SECOND,
    dispensary: STORES[0]!,
    moreDispensaries: STORES.slice(1),
  })
  faulty = await startFaultStack({
    functionsEnv: { CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: treez.baseUrl } }) },
  })
  return () => treez.stop()
})

describe('four integrations of one client id', () => {
  it('never exceed what the platform allows, and use at least 80 % of it', async () => {
    const integrations = await Promise.all(
      STORES.map((dispensary) =>
        connectAccount(faulty, {
          connector: 'treez',
          settings: { dispensary },
          credentials: treez.credentials,
        })
      ),
    )
    await restoreBudgets(faulty)
    const direct = directDatabase(faulty.stack.dbUrl)
    await Promise.all(integrations.map((id) => queueSync(faulty, id)))

    await Promise.all([
      runWorker(faulty.outside({ db: direct })),
      runWorker(faulty.outside({ db: direct })),
      ...integrations.slice(2).map((integration_id) =>
        faulty.post('sync-products', { integration_id })
      ),
    ])
    await drained(faulty)
    await direct.end()

    const { arrivals, refused } = await treez.counted()
    const seconds = (arrivals.at(-1)! - arrivals[0]!) / 1000
    const share = (arrivals.length - 1) / seconds / REQUESTS_PER_SECOND
    for (const id of integrations) {
      expect(await lastLog(faulty, id)).toMatchObject({
        status: 'success',
        fetched_count: PRODUCTS,
        attempt_count: 1,
      })
    }
    expect(arrivals).toHaveLength(STORES.length * (1 + PRODUCTS / 50)) // a token each, and the pages
    expect(refused).toBe(0)
    // over two seconds: the timers of a busy machine are too coarse to say where a single one begins
    expect(busiest(arrivals, 2_000)).toBeLessThanOrEqual(2 * REQUESTS_PER_SECOND)
    expect(share).toBeGreaterThanOrEqual(0.8)
    expect(share).toBeLessThanOrEqual(1)
  })

  it('would be refused without the shared budget: the simulator counts', async () => {
    const { baseUrl, credentials } = treez
    const before = (await treez.counted()).refused

    const form = new URLSearchParams({
      client_id: credentials.client_id,
      apikey: credentials.api_key,
    })
    const answers = await Promise.all(
      STORES.flatMap((dispensary) =>
        Array.from(
          { length: 5 },
          () =>
            fetch(`${baseUrl}/v2.0/dispensary/${dispensary}/config/api/gettokens`, {
              method: 'POST',
              body: form,
            }),
        )
      ),
    )

    const statuses = answers.map(({ status }) => status)
    const { arrivals, refused } = await treez.counted()
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(5)
    expect(refused - before).toBe(statuses.filter((status) => status === 429).length)
    expect(busiest(arrivals.slice(-answers.length), 2_000)).toBe(answers.length)
  })
})
