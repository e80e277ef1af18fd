// What does the store hold right now, in list order, and what did somebody just do to it?
import { type SeededRandom, seededRandom } from '../parts/seeded-random.ts'
import { breakProduct } from './break-product.ts'
import { generateProduct } from './generate-product.ts'
import { type TreezProduct, treezTimestamp } from './product.ts'

/** Kept as text: a hundred thousand products fit in memory and a page is a join. */
type Entry = {
  id: string
  name: string
  active: boolean
  category: string
  updatedAt: number
  /** The sound product, also while it is broken on the wire. */
  sound: string
  /** What the wire shows; the same string unless broken. */
  wire: string
  broken: boolean
}

export type ProductPatch = {
  [Key in keyof TreezProduct]?: TreezProduct[Key] extends unknown[] ? TreezProduct[Key]
    : TreezProduct[Key] extends object ? Partial<TreezProduct[Key]>
    : TreezProduct[Key]
}

export type ProductFilter = {
  active: 'TRUE' | 'FALSE' | 'ALL'
  category?: string | undefined
  /** Strictly after, in ms. */
  updatedAfter?: number | undefined
  ids?: readonly string[] | undefined
}

export type CatalogPage = { products: string[]; total: number }

export type Catalog = {
  page(filter: ProductFilter, page: number, size: number): CatalogPage
  find(id: string): string | undefined
  /** Products as the wire shows them, in list order. */
  list(which?: 'all' | 'sound' | 'broken'): Record<string, unknown>[]
  ids(which?: 'all' | 'sound' | 'broken'): string[]
  /** Changes details: moves `last_updated_at`. Answers the ids it changed. */
  change(which: number | readonly string[], patch?: ProductPatch): string[]
  merge(loser: string, survivor: string): void
  remove(which: number | readonly string[]): string[]
  add(count: number): string[]
  break(which: number | readonly string[]): string[]
  repair(which?: number | readonly string[]): string[]
  /** Changes stock only: `last_updated_at` stays, as it does at Treez. */
  sell(which: number | readonly string[], quantity?: number): string[]
}

export type CatalogOptions = {
  seed: number
  products: number
  /** Share of products that are broken from the start. */
  brokenShare: number
  /** `compact` leaves out what few clients read: about 600 bytes a product instead of 1500. */
  recordSize: 'full' | 'compact'
  now(): number
}

export function createCatalog(options: CatalogOptions): Catalog {
  const random: SeededRandom = seededRandom(options.seed)
  const entries = new Map<string, Entry>()
  let generated = 0
  let sorted: Entry[] | null = null
  let filtered: { key: string; entries: Entry[] } | null = null

  const touch = () => {
    sorted = null
    filtered = null
  }
  const inOrder = () => {
    sorted ??= [...entries.values()].sort((a, b) =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1
    )
    return sorted
  }
  const put = (product: TreezProduct, previous?: Entry) => {
    const sound = JSON.stringify(options.recordSize === 'compact' ? compact(product) : product)
    const entry: Entry = {
      id: product.product_id,
      name: product.product_configurable_fields.name,
      active: product.product_status === 'ACTIVE',
      category: product.category_type,
      updatedAt: Date.parse(product.last_updated_at),
      sound,
      wire: sound,
      broken: previous?.broken ?? false,
    }
    if (entry.broken) entry.wire = JSON.stringify(breakProduct(product, false))
    entries.set(entry.id, entry)
    touch()
  }
  const read = (entry: Entry) => JSON.parse(entry.sound) as TreezProduct
  const addOne = () => {
    const product = generateProduct(random, generated, options.now())
    generated += 1
    put(product)
    return product.product_id
  }
  const need = (id: string) => {
    const entry = entries.get(id)
    if (!entry) throw new Error(`the catalog has no product ${id}`)
    return entry
  }
  /** A number means that many sound, active products spread over the whole list. */
  const choose = (
    which: number | readonly string[],
    from = (entry: Entry) => entry.active && !entry.broken,
  ) => {
    if (typeof which !== 'number') return which.map(need)
    const candidates = inOrder().filter(from)
    const step = candidates.length / Math.max(which, 1)
    return Array.from(
      { length: Math.min(which, candidates.length) },
      (_, index) => candidates[Math.floor(index * Math.max(step, 1))] as Entry,
    )
  }
  const setBroken = (chosen: Entry[], broken: boolean) =>
    chosen.map((entry) => {
      // Breaking and repairing are edits at the store, so a delta shows them.
      put({ ...read(entry), last_updated_at: treezTimestamp(options.now()) }, {
        ...entry,
        broken,
      })
      return entry.id
    })
  const kind = (which: 'all' | 'sound' | 'broken') =>
    inOrder().filter((entry) => which === 'all' || entry.broken === (which === 'broken'))

  for (let index = 0; index < options.products; index++) {
    const id = addOne()
    if (!random.chance(options.brokenShare)) continue
    const entry = need(id)
    entry.broken = true
    entry.wire = JSON.stringify(breakProduct(read(entry), true))
  }

  return {
    page(filter, page, size) {
      const key = JSON.stringify(filter)
      if (filtered?.key !== key) {
        const ids = filter.ids && new Set(filter.ids)
        const entriesInOrder = inOrder().filter((entry) =>
          (filter.active === 'ALL' ||
            entry.active === (filter.active === 'TRUE')) &&
          (filter.category === undefined ||
            entry.category === filter.category) &&
          (filter.updatedAfter === undefined ||
            entry.updatedAt > filter.updatedAfter) &&
          (!ids || ids.has(entry.id))
        )
        filtered = { key, entries: entriesInOrder }
      }
      const slice = filtered.entries.slice((page - 1) * size, page * size)
      return {
        products: slice.map((entry) => entry.wire),
        total: filtered.entries.length,
      }
    },
    find: (id) => entries.get(id)?.wire,
    list: (which = 'all') =>
      kind(which).map((entry) => JSON.parse(entry.wire) as Record<string, unknown>),
    ids: (which = 'all') => kind(which).map((entry) => entry.id),
    change(which, patch) {
      return choose(which).map((entry, index) => {
        const product = read(entry)
        const price = product.pricing.price_sell
        // Without a patch: a new price where there is one, else a new description.
        const fields: ProductPatch = patch ??
          (price === null
            ? {
              e_commerce: {
                product_description: `Updated text ${generated}-${index}`,
              },
            }
            : { pricing: { price_sell: Math.round(price * 100 + 110) / 100 } })
        put({
          ...merged(product, fields),
          last_updated_at: treezTimestamp(options.now()),
        }, entry)
        return entry.id
      })
    },
    merge(loser, survivor) {
      const from = need(loser)
      const into = need(survivor)
      const product = read(into)
      put({
        ...product,
        merged_from_product_ids: [...product.merged_from_product_ids, loser],
        last_updated_at: treezTimestamp(options.now()),
      }, into)
      entries.delete(from.id)
      touch()
    },
    remove(which) {
      const removed = choose(which).map((entry) => entry.id)
      for (const id of removed) entries.delete(id)
      touch()
      return removed
    },
    add: (count) => Array.from({ length: count }, addOne),
    break: (which) => setBroken(choose(which), true),
    repair: (which = Infinity) => setBroken(choose(which, (entry) => entry.broken), false),
    sell(which, quantity = 1) {
      return choose(which).map((entry) => {
        const product = read(entry)
        const left = Math.max(0, product.sellable_quantity - quantity)
        put({ ...product, sellable_quantity: left, above_threshold: left > 5 }, entry)
        return entry.id
      })
    },
  }
}

function compact(product: TreezProduct): Record<string, unknown> {
  const {
    catalog_parent_id: _parent,
    sellable_quantity_detail: _detail,
    attributes: _attributes,
    lab_results: _lab,
    discounts: _discounts,
    external_references: _references,
    autoupdate_lab_results: _update,
    ...rest
  } = product
  const image = product.e_commerce.primary_image
  const { name, brand, size, amount, uom } = product.product_configurable_fields
  return {
    ...rest,
    product_configurable_fields: { name, brand, size, amount, uom },
    e_commerce: { all_images: [], primary_image: image },
  }
}

function merged(product: TreezProduct, patch: ProductPatch): TreezProduct {
  const result: Record<string, unknown> = { ...product }
  for (const [key, value] of Object.entries(patch)) {
    const current = result[key]
    const nested = typeof value === 'object' && value !== null &&
      !Array.isArray(value) &&
      typeof current === 'object' && current !== null
    result[key] = nested ? { ...current, ...value } : value
  }
  return result as TreezProduct
}
