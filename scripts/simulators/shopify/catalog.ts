// What does a Shopify shop sell? Products with variants and pictures, the same for the same seed.
import { type Records, records } from '../parts/records.ts'
import { seededRandom } from '../parts/seeded-random.ts'
import { connection, type Node } from './execute.ts'

export type ShopifyVariant = {
  id: string
  title: string
  sku: string | null
  price: string
  inventoryQuantity: number
}

export type ShopifyProduct = {
  id: string
  title: string
  description: string
  vendor: string
  productType: string
  status: 'ACTIVE' | 'ARCHIVED' | 'DRAFT' | 'UNLISTED'
  createdAt: string
  updatedAt: string
  tags: string[]
  tracksInventory: boolean
  images: string[]
  variants: ShopifyVariant[]
}

const DAY_MS = 86_400_000

export function shopifyCatalog(
  options: {
    seed: number
    count: number
    now(): number
    /** What a merchant did, as the topic of a webhook. */
    told?(topic: string, product: ShopifyProduct): void
  },
): Records<ShopifyProduct> {
  const random = seededRandom(options.seed)
  const time = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z') // in seconds
  const started = options.now()
  const variantsOf = (index: number): ShopifyVariant[] => {
    // most have one or a few; the first of a shop has more than fit on one page of them
    const count = index === 0 ? 300 : random.pick([1, 1, 1, 3, 6, 24])
    return Array.from({ length: count }, (_, number) => ({
      id: `gid://shopify/ProductVariant/${(index + 1) * 1000 + number}`,
      title: count === 1 ? 'Default Title' : `Size ${number + 1}`,
      sku: random.chance(0.9) ? `S-${index + 1}-${number + 1}` : null,
      price: (random.between(500, 20_000) / 100).toFixed(2),
      inventoryQuantity: random.between(0, 40),
    }))
  }
  return records<ShopifyProduct>({
    count: options.count,
    id: ({ id }) => id,
    make: (index) => ({
      id: `gid://shopify/Product/${9_007_199_254_741_000n + BigInt(index)}`,
      title: `${random.pick(['Oak', 'Walnut', 'Linen', 'Steel'])} ${
        random.pick(['Stool', 'Lamp', 'Tray', 'Throw'])
      } ${index + 1}`,
      description: random.chance(0.8) ? 'Made to last.' : '',
      vendor: random.pick(['Harbor & Pine', 'Fieldnotes']),
      productType: random.pick(['Furniture', 'Lighting', '']),
      status: random.pick(['ACTIVE', 'ACTIVE', 'ACTIVE', 'UNLISTED', 'DRAFT', 'ARCHIVED'] as const),
      createdAt: time(started - 90 * DAY_MS),
      updatedAt: time(started - random.between(1, 60) * DAY_MS),
      tags: [],
      tracksInventory: random.chance(0.9),
      images: Array.from(
        { length: random.between(0, 3) },
        (_, number) => `https://cdn.shopify.example/${index + 1}-${number + 1}.jpg`,
      ),
      variants: variantsOf(index),
    }),
    changed(product, fields) {
      const changed = {
        ...product,
        ...(fields ?? { description: `${product.description} Now in another box.` }),
        updatedAt: time(options.now()),
      }
      options.told?.('PRODUCTS_UPDATE', changed)
      return changed
    },
    added: (product) => options.told?.('PRODUCTS_CREATE', product),
    removed: (product) => options.told?.('PRODUCTS_DELETE', product),
  })
}

/** As the API shows it: pictures beside a film, variants in pages. */
export function productNode(product: ShopifyProduct): Node {
  const media: Node[] = [
    ...product.images.map((url) => ({
      __typename: 'MediaImage',
      id: url,
      image: { __typename: 'Image', url },
    })),
    { __typename: 'Video', id: 'film' },
  ]
  return {
    __typename: 'Product',
    ...product,
    media: (args: object) => connection(media, args),
    variants: (args: object) =>
      connection(
        product.variants.map((variant) => ({ __typename: 'ProductVariant', ...variant })),
        args,
      ),
  }
}
