// The whole way, as a manager walks it: sign up, connect a store, sync, the store changes, sync again.
import { describe, expect, it } from 'vitest'
import { byId, liveProducts, productRequests, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { good, openShop } from '../support/shop.ts'

const functions = useFunctions()
const { database } = functions

describe('a catalog', () => {
  it('is in Postgres after a sync as it is at the store, whatever happened there', async () => {
    const store = await functions.openStore({ products: 400, brokenShare: 0.02 })
    const shop = await openShop()
    const integration = await shop.connect(store, { name: 'Main Street' })

    const first = await shop.sync(integration.id)
    const afterFirst = await liveProducts(database, integration.id)

    expect(integration).toMatchObject({ name: 'Main Street', status: 'connected' })
    expect(first).toMatchObject({
      status: 'partial',
      sync_type: 'manual',
      mode: 'full',
      requested_by: shop.userId,
      fetched_count: 400,
      created_count: store.ids('sound').length,
      error_count: store.ids('broken').length,
    })
    expect(afterFirst).toEqual(soundCatalog(store))

    const neverSynced = store.ids('broken')
    const [loser, survivor] = store.control.change(2) as [string, string]
    store.control.change(20)
    store.control.merge(loser, survivor)
    const removed = store.control.remove(5)
    const broken = store.control.breakRecords(4)
    store.control.sell(6)
    store.control.add(7)
    const second = await shop.sync(integration.id)
    const afterSecond = await liveProducts(database, integration.id)

    // a product that broke stays as it was last understood
    const lastUnderstood = afterFirst.filter(({ source_id }) => broken.includes(source_id))
    expect(afterSecond).toEqual([...soundCatalog(store), ...lastUnderstood].sort(byId))
    expect(second).toMatchObject({
      status: 'partial',
      fetched_count: 401,
      created_count: 7,
      deleted_count: 6,
      error_count: neverSynced.length + 4,
    })
    const gone = await shop.supabase.from('products').select('source_id, deleted_at')
      .in('source_id', [loser, ...removed])
    expect(gone.data?.map((row) => row.source_id).sort()).toEqual([loser, ...removed].sort())
    expect(gone.data?.every((row) => row.deleted_at !== null)).toBe(true)

    const errors = good(await shop.plugboard.syncs.errors({ integration_id: integration.id }))
    const named = errors.flatMap(({ source_id }) => source_id ?? [])
    expect(errors).toHaveLength(neverSynced.length + 4)
    expect(named).toEqual(expect.arrayContaining(broken))

    store.control.repairRecords()
    const third = await shop.sync(integration.id)

    expect(third).toMatchObject({ status: 'success', fetched_count: 401, error_count: 0 })
    expect(await liveProducts(database, integration.id)).toEqual(soundCatalog(store))
  })

  it('is written once: a sync of an unchanged store writes no row', async () => {
    const store = await functions.openStore({ products: 120 })
    const shop = await openShop()
    const { id } = await shop.connect(store)
    await shop.sync(id)
    const versions = () =>
      database.admin`
        select source_id, xmin::text, ctid::text from public.products
        where integration_id = ${id} order by source_id`
    const before = await versions()

    const log = await shop.sync(id)

    expect(log).toMatchObject({ status: 'success', unchanged_count: 120, updated_count: 0 })
    expect(await versions()).toEqual(before)
  })

  it('is seen by members and nobody else', async () => {
    const store = await functions.openStore({ products: 5 })
    const [shop, stranger] = [await openShop(), await openShop('Next door')]
    const { id } = await shop.connect(store)
    const log = await shop.sync(id)

    const mine = await shop.supabase.from('products').select('source_id')
    const theirs = await stranger.supabase.from('products').select('source_id')
    const theirStart = await stranger.plugboard.syncs.start({
      integration_id: id,
      stream: 'products',
    })
    const theirLog = await stranger.plugboard.syncs.get(log.id)

    expect(mine.data).toHaveLength(5)
    expect(theirs.data).toEqual([])
    expect(theirStart.error).toMatchObject({ code: 'integration_not_found', status: 404 })
    expect(theirLog.error).toMatchObject({ code: 'sync_log_not_found' })
  })
})

describe('a colleague', () => {
  it('invited as a viewer reads the catalog, and may not sync it', async () => {
    const store = await functions.openStore({ products: 5 })
    const [shop, colleague] = [await openShop(), await openShop('Their own')]
    const { id } = await shop.connect(store)
    await shop.sync(id)
    const { data: { user } } = await colleague.supabase.auth.getUser()
    const invitation = good(
      await shop.plugboard.organizations.invite({
        organization_id: shop.organizationId,
        email: user!.email!,
        role: 'viewer',
      }),
    )
    const before = await colleague.supabase.from('products').select('source_id')

    good(await colleague.plugboard.organizations.acceptInvitation({ token: invitation.token }))
    const after = await colleague.supabase.from('products').select('source_id')
    const refused = await colleague.plugboard.syncs.start({
      integration_id: id,
      stream: 'products',
    })

    expect(before.data).toEqual([])
    expect(after.data).toHaveLength(5)
    expect(refused.error).toMatchObject({ code: 'not_a_manager', status: 403 })
  })
})

describe('an incremental sync', () => {
  it('reads what changed and nothing else', async () => {
    const store = await functions.openStore({ products: 200 })
    const shop = await openShop()
    const { id } = await shop.connect(store)
    await shop.sync(id)
    const changed = store.control.change(3)
    store.control.clear()

    const log = await shop.sync(id, 'incremental')

    const requests = productRequests(store)
    expect(requests).toHaveLength(1)
    expect(requests[0]).toContain('/product_list/lastUpdated/after/')
    expect(log).toMatchObject({ mode: 'incremental', status: 'success', updated_count: 3 })
    // a minute of overlap may bring a few again; the other 190 stay at the store
    expect(log.fetched_count).toBeLessThan(10)
    const rows = await liveProducts(database, id)
    const catalog = soundCatalog(store)
    expect(rows.filter(({ source_id }) => changed.includes(source_id)))
      .toEqual(catalog.filter(({ source_id }) => changed.includes(source_id)))
    expect(rows).toEqual(catalog)
  })

  it('cannot see what was removed, which the next full one does', async () => {
    const store = await functions.openStore({ products: 60 })
    const shop = await openShop()
    const { id } = await shop.connect(store)
    await shop.sync(id)
    store.control.remove(2)

    const incremental = await shop.sync(id, 'incremental')
    const full = await shop.sync(id, 'full')

    expect(incremental).toMatchObject({ status: 'success', deleted_count: 0 })
    expect(full).toMatchObject({ status: 'success', deleted_count: 2 })
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })
})
