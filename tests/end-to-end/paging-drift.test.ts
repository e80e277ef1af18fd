// What if the list moves while it is read? Nothing that is still there may be deleted.
import { expect, it } from 'vitest'
import { betweenPages } from '../support/between-pages.ts'
import { liveProducts, productRequests, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { openShop } from '../support/shop.ts'

const functions = useFunctions()
const { database } = functions

it('a product removed from page 1 while page 2 is on its way: the one that is skipped stays', async () => {
  const store = await functions.openStore({ products: 150 })
  const shop = await openShop()
  const { id } = await shop.connect(store)
  await shop.sync(id)
  const [removed, skipped] = [store.ids()[0]!, store.ids()[50]!]

  await betweenPages(store, () => shop.sync(id), () => store.control.remove([removed]))
  const afterDrift = (await liveProducts(database, id)).map(({ source_id }) => source_id)
  const lookups = productRequests(store).filter((path) => path.includes('ID='))
  const next = await shop.sync(id)

  expect(afterDrift).toContain(skipped)
  expect(store.ids().filter((id) => !afterDrift.includes(id))).toEqual([])
  expect(lookups).toEqual([expect.stringContaining(skipped)])
  expect(next).toMatchObject({ status: 'success', deleted_count: 1 })
  expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
})

it('a product that moves to page 1 while page 2 is on its way is counted, and kept once', async () => {
  const store = await functions.openStore({ products: 150 })
  const shop = await openShop()
  const { id } = await shop.connect(store)
  await shop.sync(id)
  const moved = store.ids()[120]!

  await betweenPages(store, () => shop.sync(id), () => {
    store.control.change([moved], { product_configurable_fields: { name: '0 FIRST IN THE LIST' } })
  })

  expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
})
