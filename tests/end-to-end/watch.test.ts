// Can a front end follow a run that goes on after the answer?
import { expect, it } from 'vitest'
import type { SyncLog } from '../../src/index.ts'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { letTimePass } from '../support/let-time-pass.ts'
import { good, openShop } from '../support/shop.ts'

const functions = useFunctions()
const { database } = functions

it('a run that the platform holds up is watched from its answer to its end', async () => {
  const store = await functions.openStore({ products: 400 })
  const shop = await openShop()
  const { id } = await shop.connect(store)
  const tuned = await shop.supabase.from('sync_streams').update({ batch_size: 50 })
    .eq('integration_id', id).select('batch_size')
  // a minute and a half is too long to be waited for: the answer is that the run goes on
  store.control.setFault({ kind: 'retry_after', retry_after: 90, after: 2, path: 'product_list' })
  store.control.setFault({
    kind: 'slow',
    delay_ms: 50,
    after: 3,
    times: null,
    path: 'product_list',
  })
  const seen: SyncLog[] = []

  const run = good(await shop.plugboard.syncs.start({ integration_id: id, stream: 'products' }))
  const watching = shop.plugboard.syncs.watch(run.sync_log_id, {
    intervalMs: 10,
    onProgress: (log) => seen.push(log),
  })
  await letTimePass(functions, run.sync_log_id)
  const log = good(await watching)

  expect(tuned.data).toEqual([{ batch_size: 50 }])
  expect(run).toMatchObject({ success: true, status: 'running', stats: { fetched: 100 } })
  expect(log).toMatchObject({ status: 'success', fetched_count: 400, created_count: 400 })
  expect(log.duration_ms).toBeGreaterThan(0)
  const fetched = seen.map(({ fetched_count }) => fetched_count)
  expect(fetched).toEqual(fetched.toSorted((a, b) => a - b))
  expect(fetched[0]).toBe(100)
  expect(fetched.filter((count) => count > 100 && count < 400).length).toBeGreaterThan(0)
  expect(seen.at(-1)).toEqual(log)
  expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
})

it('a run that fails is watched to its end as well', async () => {
  const store = await functions.openStore()
  const shop = await openShop()
  const { id } = await shop.connect(store, { name: 'Corner' })
  store.control.revokeCredentials()

  const run = good(await shop.plugboard.syncs.start({ integration_id: id, stream: 'products' }))
  const log = good(await shop.plugboard.syncs.watch(run.sync_log_id))

  expect(run).toMatchObject({ success: false, status: 'failed' })
  expect(log).toMatchObject({ status: 'failed', error: { code: 'provider_unauthorized' } })
  expect(log.error?.message).toContain('Corner')
})
