// Does the same catalog arrive by every way in? Two stores, signed tokens, a feed, a direct connection.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type JsonFeedSimulator,
  startJsonFeedSimulator,
} from '../../scripts/simulators/json-feed.ts'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { good, openShop } from '../support/shop.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { database } = functions

describe('two stores of one organization', () => {
  it('are synced side by side and do not meet', async () => {
    const shop = await openShop()
    // the same seed: the same product ids in both, as with two stores of one chain
    const stores = [
      await functions.openStore({ products: 120 }),
      await functions.openStore({ products: 150 }),
    ] as const
    const [north, south] = [
      await shop.connect(stores[0], { name: 'North' }),
      await shop.connect(stores[1], { name: 'South' }),
    ]
    await Promise.all([shop.sync(north.id), shop.sync(south.id)])
    stores[1].control.remove(3)
    stores[1].control.change(4)

    const logs = await Promise.all([shop.sync(north.id), shop.sync(south.id)])

    expect(logs).toMatchObject([
      { status: 'success', unchanged_count: 120, deleted_count: 0 },
      { status: 'success', updated_count: 4, deleted_count: 3 },
    ])
    expect(await liveProducts(database, north.id)).toEqual(soundCatalog(stores[0]))
    expect(await liveProducts(database, south.id)).toEqual(soundCatalog(stores[1]))
    const listed = good(
      await shop.plugboard.integrations.list({ organization_id: shop.organizationId }),
    )
    expect(listed.map(({ name }) => name)).toEqual(['South', 'North'])
  })
})

describe('Treez v3', () => {
  it.each([
    [{}],
    [{ signature_encoding: 'base64', token_prefix: 'Bearer ', audience_includes_query: false }],
  ])('is read with tokens that each request signs: %j', async (options) => {
    const store = await functions.openStore({ products: 120 })
    const shop = await openShop()

    const { id } = await shop.connect(store, {
      settings: { api_version: 'v3', ...options },
      credentials: store.credentials.v3,
    })
    const log = await shop.sync(id)

    expect(log).toMatchObject({ status: 'success', created_count: 120 })
    expect(store.requests.every(({ path }) => /^\/(dispensary\/v3|service)\//.test(path))).toBe(
      true,
    )
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('refuses a key whose certificate Treez does not know', async () => {
    const store = await functions.openStore()
    const shop = await openShop()

    const answer = await shop.plugboard.integrations.connect({
      organization_id: shop.organizationId,
      connector: 'treez',
      settings: { ...store.settings, api_version: 'v3' },
      credentials: { ...store.credentials.v3, certificate_id: 'another' },
    })

    expect(answer.error).toMatchObject({ code: 'invalid_credentials', status: 400 })
  })
})

describe('a JSON feed', () => {
  let feed: JsonFeedSimulator
  beforeAll(async () => {
    feed = await startJsonFeedSimulator({ products: 40 })
  })
  afterAll(() => feed.stop())

  it('is synced without credentials; what leaves it is deleted', async () => {
    const shop = await openShop()
    const { id } = good(
      await shop.plugboard.integrations.connect({
        organization_id: shop.organizationId,
        connector: 'json-feed',
        settings: { url: feed.url },
        credentials: {},
      }),
    )
    const rows = async () => {
      const live = await liveProducts(database, id)
      return live.map(({ source_id, name, price_amount }) => ({ source_id, name, price_amount }))
    }
    const inFeed = () =>
      feed.products.map((product) => ({
        source_id: product.id,
        name: product.name,
        price_amount: String(product.price),
      }))

    const first = await shop.sync(id)
    const afterFirst = await rows()
    const listedFirst = inFeed()
    feed.products.splice(3, 1)
    feed.products[5]!.price = '19.95'
    feed.products[5]!.updated_at = new Date().toISOString()
    const second = await shop.sync(id)

    expect(first).toMatchObject({ status: 'success', created_count: 40 })
    expect(afterFirst).toEqual(listedFirst)
    expect(second).toMatchObject({ status: 'success', updated_count: 1, deleted_count: 1 })
    expect(await rows()).toEqual(inFeed())
  })
})

describe('a JSON feed that has nothing in it any more', () => {
  it('is asked about, and deletes its products when a person says so', async () => {
    const feed = await startJsonFeedSimulator({ products: 30, wrapped: true })
    const shop = await openShop()
    const { id } = good(
      await shop.plugboard.integrations.connect({
        organization_id: shop.organizationId,
        connector: 'json-feed',
        settings: { url: feed.url },
        credentials: {},
      }),
    )
    await shop.sync(id)
    feed.products.length = 0

    const held = await shop.sync(id)
    const afterHeld = await liveProducts(database, id)
    const allowed = good(
      await shop.plugboard.syncs.start({
        integration_id: id,
        stream: 'products',
        allow_mass_delete: true,
      }),
    )
    await feed.stop()

    expect(held).toMatchObject({ status: 'partial', error: { code: 'mass_delete_held' } })
    expect(afterHeld).toHaveLength(30)
    expect(allowed).toMatchObject({ status: 'success', stats: { deleted: 30 } })
    expect(await liveProducts(database, id)).toEqual([])
  })
})

describe('a direct connection', () => {
  beforeAll(() => functions.remote.setFunctionsEnv({ PLUGBOARD_DATABASE_URL: sharedStack.dbUrl }))
  afterAll(() => functions.remote.setFunctionsEnv({ PLUGBOARD_DATABASE_URL: '' }))

  it('syncs as the Data API does', async () => {
    const store = await functions.openStore({ products: 220, brokenShare: 0.02 })
    const shop = await openShop()
    const { id } = await shop.connect(store)

    const first = await shop.sync(id)
    store.control.repairRecords()
    store.control.change(11)
    store.control.remove(3)
    const second = await shop.sync(id)
    const check = good(await shop.plugboard.integrations.check({ integration_id: id }))
    const paused = await shop.plugboard.integrations.update({ integration_id: id, paused: true })
    const refused = await shop.plugboard.syncs.start({ integration_id: id, stream: 'products' })
    const openConnections = await database.admin`
      select 1 from pg_stat_activity
      where usename = 'postgres' and application_name = 'postgres.js' and query like '%public.%'`

    expect(openConnections.length).toBeGreaterThan(0)
    expect(first).toMatchObject({ status: 'partial', fetched_count: 220 })
    expect(second).toMatchObject({ status: 'success', fetched_count: 217, deleted_count: 3 })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
    expect(check).toMatchObject({ status: 'healthy' })
    expect(paused.data).toMatchObject({ status: 'paused' })
    expect(refused.error).toMatchObject({ code: 'integration_paused', status: 409 })
  })
})
