// Can a manager bring a refused record in, with the client library alone?
import { expect, it } from 'vitest'
import { liveProducts } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { good, openShop } from '../support/shop.ts'

const functions = useFunctions()

it('a record is repaired and replayed, another is dismissed, a stranger changes neither', async () => {
  const store = await functions.openStore({ products: 10 })
  const [shop, stranger] = [await openShop(), await openShop('Across the street')]
  const { id: integration_id } = await shop.connect(store)
  const sound = new Map(store.catalog().map((product) => [String(product.product_id), product]))
  store.control.breakRecords(2)
  await shop.sync(integration_id)
  const { syncs } = shop.plugboard
  const [first, second] = good(await syncs.errors({ integration_id }))
  const payload = { ...sound.get(first!.source_id!), sellable_quantity: 77.5 }
  const repair = { sync_error_id: first!.id, payload }
  const dismissal = { sync_error_ids: [second!.id] }

  const refusals = [
    await stranger.plugboard.syncs.repair(repair),
    await stranger.plugboard.syncs.dismiss(dismissal),
  ]
  const repaired = good(await syncs.repair(repair))
  const dismissed = good(await syncs.dismiss(dismissal))
  const replayed = good(await syncs.replay({ integration_id, stream: 'products' }))
  const again = await syncs.repair(repair)

  expect(refusals.map(({ error }) => error?.code))
    .toEqual(['sync_error_not_found', 'sync_error_not_found'])
  expect(repaired).toMatchObject({ id: first!.id, payload, resolved_at: null })
  expect(repaired.repaired_at).not.toBeNull()
  expect(dismissed).toMatchObject([{ id: second!.id, resolution: 'dismissed' }])
  expect(replayed).toEqual({ replayed: 1, resolved: 1, failed: 0, remaining: 0, next: null })
  expect(again.error?.code).toBe('sync_error_not_found')
  expect(await liveProducts(functions.database, integration_id)).toContainEqual(
    expect.objectContaining({ source_id: first!.source_id, stock_quantity: '77.5' }),
  )
})
