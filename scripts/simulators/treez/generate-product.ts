// Which products does the simulated store sell? Plausible ones, the same for the same seed.
import type { SeededRandom } from '../parts/seeded-random.ts'
import { CATEGORY_TYPES, type CategoryType, type TreezProduct, treezTimestamp } from './product.ts'

type Line = {
  nouns: readonly string[]
  subtypes: readonly string[]
  sizes: readonly {
    size: string | null
    amount: number | null
    uom: string | null
  }[]
  /** In cents. */
  price: readonly [number, number]
}

const each = { size: '1 EA', amount: 1, uom: 'EACH' } as const
const grams = (amount: number) => ({
  size: `${amount} G`,
  amount,
  uom: 'GRAMS',
})
const milligrams = (amount: number) => ({
  size: `${amount} MG`,
  amount,
  uom: 'MILLIGRAMS',
})
const millilitres = (amount: number) => ({
  size: `${amount} ML`,
  amount,
  uom: 'MILLILITERS',
})

const LINES: Record<CategoryType, Line> = {
  BEVERAGE: {
    nouns: ['Seltzer', 'Iced Tea', 'Lemonade', 'Cold Brew'],
    subtypes: ['DRINK', 'SHOT'],
    sizes: [millilitres(60), millilitres(355)],
    price: [500, 1800],
  },
  CARTRIDGE: {
    nouns: ['Vape Cartridge', 'Disposable', 'Pod'],
    subtypes: ['510', 'POD', 'DISPOSABLE'],
    sizes: [grams(0.3), grams(0.5), grams(1)],
    price: [2000, 6500],
  },
  EDIBLE: {
    nouns: [
      'Gummies',
      'Chocolate Bar',
      'Mints',
      'Caramels',
      'Crème Brûlée Bites',
    ],
    subtypes: ['GUMMY', 'CHOCOLATE', 'CANDY'],
    sizes: [milligrams(10), milligrams(100)],
    price: [600, 3200],
  },
  EXTRACT: {
    nouns: ['Live Resin', 'Badder', 'Diamonds', 'Rosin', 'Shatter'],
    subtypes: ['RESIN', 'ROSIN', 'WAX'],
    sizes: [grams(0.5), grams(1), grams(2)],
    price: [1800, 9000],
  },
  FLOWER: {
    nouns: ['Flower', 'Smalls', 'Shake', 'Reserve Flower'],
    subtypes: ['PRE-PACK', 'BULK'],
    sizes: [grams(1), grams(3.5), grams(7), grams(14), grams(28)],
    price: [800, 28000],
  },
  MERCH: {
    nouns: [
      'T-Shirt',
      'Rolling Tray',
      'Enamel Pin',
      'Beanie',
      'Grinder',
      'Lighter',
    ],
    subtypes: ['APPAREL', 'ACCESSORY'],
    sizes: [each, { size: 'L', amount: 1, uom: 'EACH' }],
    price: [200, 6000],
  },
  MISC: {
    nouns: ['Exit Bag', 'Battery', 'Humidity Pack'],
    subtypes: ['SUPPLIES'],
    sizes: [each],
    price: [100, 3500],
  },
  'NON-INV': {
    nouns: ['Delivery Fee', 'Gift Card', 'Donation'],
    subtypes: ['SERVICE'],
    sizes: [{ size: null, amount: null, uom: null }],
    price: [100, 10000],
  },
  PILL: {
    nouns: ['Capsules', 'Tablets', 'Softgels'],
    subtypes: ['CAPSULE', 'TABLET'],
    sizes: [milligrams(5), milligrams(25)],
    price: [1500, 6000],
  },
  PLANT: {
    nouns: ['Clone', 'Seed Pack', 'Teen'],
    subtypes: ['CLONE', 'SEED'],
    sizes: [each],
    price: [1200, 12000],
  },
  PREROLL: {
    nouns: ['Pre-Roll', 'Infused Pre-Roll', 'Mini Pre-Rolls 5 pk'],
    subtypes: ['SINGLE', 'PACK', 'INFUSED'],
    sizes: [grams(0.5), grams(1), grams(3.5)],
    price: [500, 4500],
  },
  TINCTURE: {
    nouns: ['Tincture', 'Sublingual Drops'],
    subtypes: ['OIL', 'ALCOHOL'],
    sizes: [millilitres(15), millilitres(30)],
    price: [2200, 8000],
  },
  TOPICAL: {
    nouns: ['Balm', 'Lotion', 'Bath Salts', 'Transdermal Patch'],
    subtypes: ['BALM', 'PATCH'],
    sizes: [grams(30), millilitres(100)],
    price: [1500, 7500],
  },
}

const FIRST = 'Lemon Blue Purple Golden Midnight Velvet Wild Cosmic Frosted Coastal Sunset Emerald'
  .split(' ')
const SECOND = 'Drift Dream Haze Punch Kush Orchard Cookie Tide Lantern Mirage Ember Canyon'
  .split(' ')
const BRANDS = [
  'Acme',
  'Harbor & Pine',
  'Kindred Farms',
  "O'Malley's",
  'Northlight',
  'Casa Añejo',
  'Tall Grass Co.',
  'Moonrise™',
  'Fieldnotes',
  'Pacific Stone Works',
]
const FLAVORS = [
  'LEMON',
  'EARTHY',
  'PINE',
  'BERRY',
  'DIESEL',
  'VANILLA',
  'GRAPE',
]
const EFFECTS = ['HAPPY', 'RELAXED', 'UPLIFTED', 'SLEEPY', 'FOCUSED']
const GENERAL = ['GLUTEN FREE', 'VEGAN', 'LOCAL', 'SUN GROWN']
/** Flower by weight is what stores sell in tiers; the cents are of the kind that upset floats. */
const TIERS = [
  { start_value: 1, price_per_value: 12 },
  { start_value: 3.5, price_per_value: 10.29 },
  { start_value: 7, price_per_value: 9.1 },
  { start_value: 28, price_per_value: 7.995 },
]

/** One sound product. `index` keeps the names apart; `now` bounds `last_updated_at`. */
export function generateProduct(random: SeededRandom, index: number, now: number): TreezProduct {
  // Every category comes up even in a small catalog.
  const category = index < CATEGORY_TYPES.length
    ? CATEGORY_TYPES[index] as CategoryType
    : random.pick(CATEGORY_TYPES)
  const line = LINES[category]
  const measure = random.pick(line.sizes)
  const title = `${random.pick(FIRST)} ${random.pick(SECOND)} ${random.pick(line.nouns)}`
  const name = `${title}${measure.size ? ` - ${measure.size}` : ''} #${index + 1}`.toUpperCase()
  const id = random.uuid()
  const consumed = !['MERCH', 'MISC', 'NON-INV', 'PLANT'].includes(category)
  const quantity = category === 'NON-INV' || random.chance(0.12) ? 0 : random.between(1, 240)
  const stock = category === 'FLOWER' && random.chance(0.3) ? quantity + 0.25 : quantity
  const front = Math.min(stock, 24)
  const image = `https://images.treez.example/${id}/1.jpg`
  const pictured = random.chance(0.7)
  return {
    product_id: id,
    catalog_parent_id: random.uuid(),
    product_status: random.chance(0.92) ? 'ACTIVE' : 'DEACTIVATED',
    last_updated_at: treezTimestamp(now - random.between(60_000, 400 * 86_400_000)),
    sellable_quantity: stock,
    sellable_quantity_detail: stock === 0 ? [] : [
      {
        inventory_type: 'ADULT',
        location: 'FRONT OF HOUSE',
        sellable_quantity: front,
      },
      ...(stock > front
        ? [{
          inventory_type: random.chance(0.2) ? 'MEDICAL' as const : 'ADULT' as const,
          location: 'BACK OF HOUSE',
          sellable_quantity: stock - front,
        }]
        : []),
    ],
    category_type: category,
    product_configurable_fields: {
      name,
      uom: measure.uom,
      brand: random.chance(0.95) ? random.pick(BRANDS) : null,
      size: measure.size,
      amount: measure.amount,
      classification: consumed ? random.pick(['SATIVA', 'INDICA', 'HYBRID', 'CBD']) : null,
      subtype: random.pick(line.subtypes),
      total_mg_thc: consumed ? random.between(0, 10_000) / 10 : null,
      total_mg_cbd: consumed ? random.between(0, 1_000) / 10 : null,
      doses: category === 'EDIBLE' ? 10 : null,
      mg_per_dose: category === 'EDIBLE' ? 10 : null,
      total_flower_weight_g: category === 'FLOWER' ? measure.amount : null,
      external_id: random.chance(0.2) ? `ERP-${100_000 + index}` : null,
    },
    pricing: category === 'FLOWER' && random.chance(0.4)
      ? {
        price_type: 'TIER',
        price_sell: null,
        discounted_price: null,
        discount_amount: 0,
        discount_percent: 0,
        tier_name: random.pick(['TOP SHELF', 'MID SHELF', 'HOUSE']),
        tier_method: 'WEIGHT',
        tier_pricing_detail: TIERS.slice(0, random.between(1, TIERS.length)),
      }
      : {
        price_type: 'FLAT',
        price_sell: random.between(line.price[0], line.price[1]) / 100,
        discounted_price: null,
        discount_amount: 0,
        discount_percent: 0,
        tier_name: null,
      },
    discounts: [],
    attributes: {
      general: random.chance(0.3) ? [random.pick(GENERAL)] : [],
      flavors: consumed ? [random.pick(FLAVORS)] : [],
      effects: consumed ? [random.pick(EFFECTS)] : [],
      ingredients: [],
      internal_tags: [],
    },
    product_barcodes: random.chance(0.85)
      ? [{
        sku: String(840_000_000_000 + index),
        type: 'UPC',
        created_date: treezTimestamp(now - 500 * 86_400_000),
      }]
      : [],
    e_commerce: {
      all_images: pictured
        ? [
          image,
          ...(random.chance(0.3) ? [image.replace('1.jpg', '2.jpg')] : []),
        ]
        : [],
      primary_image: pictured ? image : null,
      menu_title: random.chance(0.5) ? title : null,
      product_description: random.chance(0.4)
        ? `${title}. Small batch, tested, and packed by hand in the valley.`
        : null,
      minimum_visible_inventory_level: 0,
      hide_from_menu: random.chance(0.05),
    },
    autoupdate_lab_results: true,
    lab_results: consumed ? labResults(random) : [],
    above_threshold: stock > 5,
    merged_from_product_ids: random.chance(0.01) ? [random.uuid()] : [],
    external_references: random.chance(0.1)
      ? [{ type: 'ERP', external_id: `ERP-${100_000 + index}` }]
      : [],
  }
}

/** Treez sends these as numbers or as numeric strings, and clients have to live with both. */
function labResults(random: SeededRandom): TreezProduct['lab_results'] {
  const low = random.between(50, 300) / 10
  const high = low + 2
  const asText = random.chance(0.5)
  return [{
    result_type: 'THC',
    amount: {
      minimum_value: asText ? String(low) : low,
      maximum_value: asText ? String(high) : high,
    },
    amount_type: 'PERCENTAGE',
  }]
}
