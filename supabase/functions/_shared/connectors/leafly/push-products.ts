// How do products go to Leafly? Each as an item of the menu under its own id, whole every time.
import type { z } from 'zod'
import type { ProductColumns, ProductVariant } from '../../contracts/products.ts'
import type { Push, PushedRecord } from '../vocabulary/push.ts'
import { deleteCall, Item, MOST_IN_A_CALL, putCall, TYPES, type Unit } from './menu-item.ts'

type Product = PushedRecord<'products'>
type Columns = Partial<ProductColumns>

export const push: Push<Record<string, unknown>, 'products'> = {
  columns: [
    'name',
    'description',
    'brand',
    'category',
    'status',
    'price_amount',
    'price_currency',
    'variants',
    'image_urls',
    'stock_quantity',
  ],
  batch: MOST_IN_A_CALL,
  key: null,
  ownId: () => true,
  refuse(product) {
    const item = itemOf(product)
    return typeof item === 'string' ? item : null
  },
  create: (products) => putCall(itemsOf(products)),
  update: (products) => putCall(itemsOf(products)),
  // taken whole or not at all
  written: (_, products) => products.map((product) => ({ source_id: idOf(product) })),
  remove: {
    batch: MOST_IN_A_CALL,
    call: deleteCall,
    removed: (_, ids) => ids.map((source_id) => ({ source_id })),
  },
}

const idOf = ({ source_id, record_id }: Product) => source_id ?? record_id

function itemsOf(products: Product[]): z.output<typeof Item>[] {
  return products.map((product) => {
    const item = itemOf(product)
    if (typeof item === 'string') throw new TypeError(`a refused product was pushed: ${item}`)
    return item
  })
}

/** The item, or why Leafly cannot take the product. */
function itemOf(product: Product): z.output<typeof Item> | string {
  const { columns } = product
  const id = idOf(product)
  const type = typeOf(columns.category)
  if (type === null) {
    const known = Object.keys(TYPES).join(', ')
    return columns.category
      ? `Leafly has no type "${columns.category}": the category has to be one of ${known}.`
      : `Leafly needs a type of every item: the category has to be one of ${known}.`
  }
  const currency = columns.price_currency
  if (currency && !['USD', 'CAD'].includes(currency)) {
    return `Leafly takes prices in USD and CAD only, and this one is in ${currency}.`
  }
  const variants = variantsOf(id, type, columns)
  if (typeof variants === 'string') return variants
  const item = Item.safeParse({
    id,
    type,
    name: columns.name ?? '',
    ...(columns.brand?.trim() ? { brand: columns.brand } : {}),
    ...(columns.description?.trim() ? { description: columns.description } : {}),
    variants,
    imageUrl: columns.image_urls?.[0] ?? null,
  })
  if (item.success) return item.data
  const [issue] = item.error.issues
  return `Leafly cannot take this product: ${issue?.path.join('.')} ${issue?.message}.`
}

/** `pre-rolls` and `Pre Roll` are PreRoll. */
function typeOf(category: string | null | undefined): string | null {
  const plain = (text: string) =>
    text.toLowerCase().replaceAll(/[^a-z]/g, '').replace(/ies$/, 'y').replace(/s$/, '')
  const wanted = plain(category ?? '')
  return Object.keys(TYPES).find((type) => plain(type) === wanted) ?? null
}

type Variant = z.input<typeof Item>['variants'][number]

/** Those of the product, or the product itself as the only one. */
function variantsOf(id: string, type: string, columns: Columns): Variant[] | string {
  const only = {
    source_id: null,
    name: columns.name ?? '',
    price_amount: columns.price_amount ?? null,
    stock_quantity: columns.stock_quantity ?? null,
  }
  const variants: Variant[] = []
  for (const variant of columns.variants?.length ? columns.variants : [only]) {
    const made = variantOf(id, type, variant, columns)
    if (typeof made === 'string') return made
    variants.push(made)
  }
  return variants
}

type Sold = Omit<ProductVariant, 'source_id' | 'sku'> & { source_id: string | null }

function variantOf(id: string, type: string, variant: Sold, columns: Columns): Variant | string {
  const { source_id, name } = variant
  const price = variant.price_amount ?? columns.price_amount
  if (!price) return `Leafly needs a price of every variant, and "${name}" has none.`
  const stock = variant.stock_quantity ?? columns.stock_quantity
  if (stock === null || stock === undefined) {
    return `Leafly needs to know how much there is of "${name}", and its stock is not counted.`
  }
  const weight = weightIn(name)
  const { units } = TYPES[type]!
  if (weight === null && !units.includes('each')) {
    return `Leafly sells ${type} by weight: "${name}" has to say how much it is, such as 3.5g.`
  }
  const isByWeight = weight !== null && units.includes(weight.unit)
  return {
    id: source_id === null ? id : `${id}:${source_id}`, // unique over the menu
    medical: false,
    price,
    ...(isByWeight ? weight : { amount: 1, unit: 'each' as const }),
    inventoryLevel: columns.status === 'inactive' ? 0 : Math.max(0, Number(stock)),
  }
}

/** The first weight in a text: `3.5g`, `1/8 oz`, `1 gram`. */
function weightIn(text: string): { amount: number; unit: Unit } | null {
  const [, number, divisor, unit] =
    /(?<![\d.])(\d*\.?\d+)(?:\/(\d+))?\s*(g|grams?|oz|ounces?)\b/i.exec(text) ?? []
  if (number === undefined || unit === undefined) return null
  const amount = Number(number) / Number(divisor ?? 1)
  if (!(amount > 0 && Number.isFinite(amount))) return null
  return { amount, unit: unit.toLowerCase().startsWith('g') ? 'g' : 'oz' }
}
