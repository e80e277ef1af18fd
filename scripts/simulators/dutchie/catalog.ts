// What does a Dutchie location sell? Products as its documentation writes them, the same for the same seed.
import { type Records, records } from '../parts/records.ts'
import { seededRandom } from '../parts/seeded-random.ts'

export type DutchieProduct = {
  productId: number
  sku: string
  productName: string
  internalName: string
  description: string | null
  masterCategory: string
  category: string
  brandName: string | null
  strainType: string | null
  price: number | null
  recPrice: number | null
  medPrice: number | null
  unitType: string
  isActive: boolean
  isCannabis: boolean
  onlineAvailable: boolean
  thcContent: number | null
  thcContentUnit: string
  imageUrl: string | null
  imageUrls: string[]
  pricingTierName: string | null
  tags: string[]
  upc: string | null
  lastModifiedDateUTC: string
}

const DAY_MS = 86_400_000

export function dutchieCatalog(
  options: { seed: number; count: number; now(): number },
): Records<DutchieProduct> {
  const random = seededRandom(options.seed)
  const started = options.now()
  return records<DutchieProduct>({
    count: options.count,
    id: ({ productId }) => String(productId),
    make(index) {
      const category = random.pick(['Flower', 'Edibles', 'Vaporizers', 'Concentrates', 'Apparel'])
      const isCannabis = category !== 'Apparel'
      const name = `${random.pick(['Lemon', 'Harbor', 'Velvet', 'Granite', 'Juniper'])} ${
        random.pick(['Drift', 'Bloom', 'Haze', 'Ember'])
      } ${index + 1}`
      const price = random.between(800, 9000) / 100
      const id = 100_001 + index
      const image = random.chance(0.8) ? `https://images.dutchie.example/${id}.png` : null
      return {
        productId: id,
        sku: `D-${id}`,
        productName: name,
        internalName: name.toUpperCase(),
        description: random.chance(0.7) ? `${name}, as sold at the counter.` : null,
        masterCategory: category,
        category,
        brandName: random.chance(0.9) ? random.pick(['Acme', 'Northwind', 'Fieldnotes']) : null,
        strainType: isCannabis ? random.pick(['Sativa', 'Indica', 'Hybrid']) : null,
        price,
        recPrice: price,
        medPrice: random.chance(0.5) ? Math.round(price * 90) / 100 : null,
        unitType: 'Each',
        isActive: random.chance(0.9),
        isCannabis,
        onlineAvailable: random.chance(0.8),
        thcContent: isCannabis ? random.between(50, 300) / 10 : null,
        thcContentUnit: '%',
        imageUrl: image,
        imageUrls: image === null ? [] : [image],
        pricingTierName: null,
        tags: [],
        upc: null,
        lastModifiedDateUTC: new Date(started - random.between(1, 60) * DAY_MS).toISOString(),
      }
    },
    changed: (product, fields) => ({
      ...product,
      ...(fields ?? { price: Math.round((product.price ?? 10) * 100 + 110) / 100 }),
      lastModifiedDateUTC: new Date(options.now()).toISOString(),
    }),
  })
}
