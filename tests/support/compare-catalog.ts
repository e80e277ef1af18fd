// Is in Postgres what is at the store? Both sides in the same few words, ready for toEqual.
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import type { TestDatabase } from './database.ts'

/** What a shop would notice if it were wrong. Amounts are exact text. */
export type CatalogEntry = {
  source_id: string
  name: string
  status: string
  price_amount: string | null
  stock_quantity: string | null
}

/** The rows of an integration that are not deleted, by id. */
export async function liveProducts(
  { admin: sql }: TestDatabase,
  integrationId: string,
): Promise<CatalogEntry[]> {
  const rows = await sql<CatalogEntry[]>`
    select source_id, name, status, price_amount, stock_quantity from public.products
    where integration_id = ${integrationId} and deleted_at is null
    order by source_id collate "C"`
  return [...rows]
}

/** The store's products that can be read, by id. */
export function soundCatalog(store: TreezSimulator): CatalogEntry[] {
  return store.catalog('sound').map((product) => toEntry(product as StoreProduct)).sort(byId)
}

export const byId = (a: CatalogEntry, b: CatalogEntry) => a.source_id < b.source_id ? -1 : 1

type StoreProduct = {
  product_id: string
  product_status: string
  sellable_quantity: number
  product_configurable_fields: { name: string }
  pricing: { price_type: string; price_sell: number | null }
}

function toEntry(product: StoreProduct): CatalogEntry {
  const { price_type, price_sell } = product.pricing
  return {
    source_id: product.product_id,
    name: product.product_configurable_fields.name,
    status: product.product_status === 'ACTIVE' ? 'active' : 'inactive',
    price_amount: price_type === 'TIER' || price_sell === null ? null : String(price_sell),
    stock_quantity: String(product.sellable_quantity),
  }
}

/** Calls that asked the store for products, not for tokens. */
export function productRequests({ requests }: TreezSimulator): string[] {
  return requests.map(({ path }) => path).filter((path) => path.includes('/product/product_list'))
}
