// How are products broken at the source? Each way is one a careful reader has to refuse.
import type { TreezProduct } from './product.ts'

type Damage = (product: TreezProduct) => Record<string, unknown>

const loseId: Damage = ({ product_id: _, ...rest }) => rest

const KEEP_ID: readonly Damage[] = [
  (product) => ({
    ...product,
    pricing: { ...product.pricing, price_type: 'FLAT', price_sell: 'call us' },
  }),
  (product) => ({
    ...product,
    product_configurable_fields: {
      ...product.product_configurable_fields,
      name: undefined,
    },
  }),
  (product) => ({ ...product, product_configurable_fields: null }),
  (product) => ({
    ...product,
    sellable_quantity: { total: product.sellable_quantity },
  }),
  (product) => ({ ...product, last_updated_at: 'yesterday' }),
  (product) => ({
    ...product,
    product_configurable_fields: {
      ...product.product_configurable_fields,
      name: '',
    },
  }),
]

/**
 * The product as the store would send it. The damage follows from the id, so it stays the same until
 * repaired. `mayLoseId` is for products nobody has synced yet: one that loses its id later cannot be
 * told from a new one, and no reader could be right about it.
 */
export function breakProduct(product: TreezProduct, mayLoseId: boolean): Record<string, unknown> {
  const way = Number.parseInt(product.product_id.slice(0, 6), 16)
  if (mayLoseId && way % 7 === 0) return loseId(product)
  return KEEP_ID[way % KEEP_ID.length]!(product)
}
