// Can a front end follow a run that goes on after the answer?
import { expect, it } from 'vitest'
import type { SyncLog } from '../../src/index.ts'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { good, openShop } from '../support/shop.ts'

const functions = useFunctions()
const { database } = functions

it('a run of more than one slice is watched from its answer to its end', async () => {
  const store = await functions.openStore({ products: 10_300, recordSize: 'compact' })
  const shop = await openShop()
  const { id } = await shop.connect(store)
  const seen: SyncLog[] = []

  const starting = shop.plugboard.syncs.start({ integration_id: id, stream: 'products' })
  const run = good(await starting)
  const log = good(
    await shop.plugboard.syncs.watch(run.sync_log_id, {
      intervalMs: 20,
      onProgress: (log) => seen.push(log),
    }),
  )

  expect(run).toMatchObject({ success: true, status: 'running', stats: { fetched: 10_000 } })
  expect(log).toMatchObject({ status: 'success', fetched_count: 10_300, created_count: 10_300 })
  expect(log.duration_ms).toBeGreaterThan(0)
  expect(seen[0]).toMatchObject({ id: run.sync_log_id, status: 'running', finished_at: null })
  expect(seen.at(-1)).toEqual(log)
  const fetched = seen.map(({ fetched_count }) => fetched_count)
  expect(fetched).toEqual(fetched.toSorted((a, b) => a - b))
  expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
})
