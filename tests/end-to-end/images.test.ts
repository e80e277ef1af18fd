// Images the whole way: a store's products show addresses, members see stored files, each content once.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ImageSimulator, startImageSimulator } from '../../scripts/simulators/images.ts'
import { makeJpeg, makePng } from '../../scripts/simulators/images/make-image.ts'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { useFunctions } from '../support/functions.ts'
import { good, openShop, type Shop } from '../support/shop.ts'
import { imagesAreFetched, imagesAreLeft } from '../support/worker-rings.ts'

const functions = useFunctions()
let images: ImageSimulator
let otherHost: ImageSimulator
beforeAll(async () => {
  await imagesAreFetched(functions.database.admin)
  images = await startImageSimulator()
  otherHost = await startImageSimulator()
})
afterAll(async () => {
  await imagesAreLeft(functions.database.admin)
  await Promise.all([images.stop(), otherHost.stop()])
})

type ShowingShop = Shop & {
  store: TreezSimulator
  productIds: string[]
  integrationId: string
  /** Changes what a product shows, at the store. */
  show(productId: string, url: string | null): void
}

/** A shop, its store connected and synced, whose products show these addresses, one each. */
async function openShopShowing(...urls: string[]): Promise<ShowingShop> {
  const store = await functions.openStore({ products: urls.length })
  const productIds = store.catalog('all').map((product) => String(product['product_id']))
  const show = (productId: string, url: string | null) =>
    store.control.change([productId], { e_commerce: { all_images: [], primary_image: url } })
  productIds.forEach((id, index) => show(id, urls[index]!))
  const shop = await openShop()
  const { id: integrationId } = await shop.connect(store)
  await shop.sync(integrationId)
  return { ...shop, store, productIds, integrationId, show }
}

/** Resolves when the image of every address has been tried. */
async function settled({ plugboard, productIds }: ShowingShop): Promise<void> {
  await expect.poll(async () => {
    const sources = good(await plugboard.images.sources())
    return sources.filter(({ status, attempt_count }) => status !== 'queued' || attempt_count > 0)
  }, { timeout: 20_000 }).toHaveLength(productIds.length)
}

/** What the products show, by their id at the store. */
async function shownBy({ supabase }: Shop): Promise<Map<string, string | null>> {
  const { data } = await supabase.from('products')
    .select('source_id, asset:media_assets (content_hash)').throwOnError()
  const rows = data as unknown as { source_id: string; asset: { content_hash: string } | null }[]
  return new Map(rows.map(({ source_id, asset }) => [source_id, asset?.content_hash ?? null]))
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe("a store's images", () => {
  it('are in Storage after a sync, each content once, and linked; members load them, strangers do not', async () => {
    const urls = ['png/1/a', 'png/1/b', 'png/1/c.gif', 'jpeg/2/d.png', 'redirect?to=']
      .map((path) => `${images.url}/${path}`)
    urls[4] += `${otherHost.url}/png/5/e`
    const shop = await openShopShowing(...urls)
    const stranger = await openShop()

    await settled(shop)

    const contents = [makePng(1), makePng(1), makePng(1), makeJpeg(2), makePng(5)]
    await expect.poll(async () => await shownBy(shop), { timeout: 10_000 }).toEqual(
      new Map(shop.productIds.map((id, index) => [id, sha256(contents[index]!)])),
    )
    const assets = good(await shop.plugboard.images.list())
    expect(
      assets.map(({ content_hash, content_type, width, height, byte_size }) => ({
        content_hash,
        content_type,
        width,
        height,
        byte_size,
      })),
    ).toEqual(expect.arrayContaining([
      {
        content_hash: sha256(makePng(1)),
        content_type: 'image/png',
        width: 4,
        height: 3,
        byte_size: makePng(1).byteLength,
      },
      {
        content_hash: sha256(makeJpeg(2)),
        content_type: 'image/jpeg',
        width: 8,
        height: 8,
        byte_size: makeJpeg(2).byteLength,
      },
    ]))
    expect(assets).toHaveLength(3)
    const objects = await functions.database.admin`
      select name from storage.objects where bucket_id = 'media' and name like ${
      shop.organizationId + '/%'
    }`
    expect(objects.map(({ name }) => name).sort()).toEqual(
      assets.map(({ storage_path }) => storage_path).sort(),
    )
    for (const { content_hash, storage_path, content_type } of assets) {
      const mine = await shop.supabase.storage.from('media').download(storage_path)
      expect(sha256(new Uint8Array(await mine.data!.arrayBuffer()))).toBe(content_hash)
      expect(mine.data!.type).toBe(content_type)
      const signed = await shop.supabase.storage.from('media').createSignedUrl(storage_path, 60)
      const shown = await fetch(signed.data!.signedUrl)
      expect(sha256(new Uint8Array(await shown.arrayBuffer()))).toBe(content_hash)
      const theirs = await stranger.supabase.storage.from('media').download(storage_path)
      expect(theirs.error).not.toBeNull()
    }
    expect(good(await stranger.plugboard.images.list())).toEqual([])
    const written = await shop.supabase.storage.from('media')
      .upload(`${shop.organizationId}/mine.png`, makePng(9), { contentType: 'image/png' })
    expect(written.error?.message).toContain('row-level security')
  })

  it('that cannot be kept say why, and keep no other from being stored', async () => {
    const paths: [path: string, outcome: string][] = [
      ['page/photo.jpg', 'queued not_an_image'],
      ['svg/logo.png', 'queued not_an_image'],
      ['status/404/gone.jpg', 'queued provider_not_found'],
      ['status/503/busy.jpg', 'queued provider_unavailable'],
      ['cut/half.png', 'queued provider_unavailable'],
      ['large/10485760/huge.png', 'dead provider_answer_too_large'],
      ['endless/1/endless.png', 'dead provider_answer_too_large'],
      ['png/7/good.png', 'stored undefined'],
    ]
    const urls = paths.map(([path]) => `${images.url}/${path}`)
    const shop = await openShopShowing(...urls, 'ftp://images.example/a.png')

    await settled(shop)

    const sources = good(await shop.plugboard.images.sources())
    const outcomes = new Map(
      sources.map(({ url, status, last_error }) => [url, `${status} ${last_error?.code}`]),
    )
    expect(outcomes).toEqual(
      new Map([
        ...paths.map(([, outcome], index): [string, string] => [urls[index]!, outcome]),
        ['ftp://images.example/a.png', 'dead private_network_refused'],
      ]),
    )
    // a server that says when to come back is believed
    const busy = sources.find(({ url }) => url.includes('503'))!
    expect(Date.parse(busy.run_at) - Date.now()).toBeGreaterThan(50 * 60_000)
  })

  it('are linked anew when a product shows another one, without asking for a known one again', async () => {
    const urls = ['png/11/a', 'png/12/b'].map((path) => `${images.url}/${path}`)
    const shop = await openShopShowing(...urls)
    const [first, second] = shop.productIds as [string, string]
    await expect.poll(async () => (await shownBy(shop)).get(second), { timeout: 20_000 })
      .toBe(sha256(makePng(12)))
    const asked = images.requests.length

    shop.show(first, urls[1]!)
    shop.show(second, null)
    await shop.sync(shop.integrationId)

    await expect.poll(async () => await shownBy(shop), { timeout: 20_000 }).toEqual(
      new Map([[first, sha256(makePng(12))], [second, null]]),
    )
    expect(images.requests.length).toBe(asked)
  })

  it('that failed are tried again when a manager asks', async () => {
    const shop = await openShopShowing(`${images.url}/flaky/1/${Date.now()}.png`)
    const organization_id = shop.organizationId
    await settled(shop)
    const nothingNew = good(await shop.plugboard.images.sync({ organization_id }))

    const again = good(await shop.plugboard.images.sync({ organization_id, retry_dead: true }))

    expect(nothingNew).toEqual({ queued: 0, waiting: 1, stored: 0, dead: 0 })
    expect(again).toMatchObject({ queued: 1, dead: 0 })
    await expect.poll(
      async () => good(await shop.plugboard.images.sync({ organization_id })),
      { timeout: 20_000 },
    ).toEqual({ queued: 0, waiting: 0, stored: 1, dead: 0 })
  })
})
