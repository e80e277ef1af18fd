// What does a product look like on Treez's wire? The fields the store answers with.

export type CategoryType = (typeof CATEGORY_TYPES)[number]

export const CATEGORY_TYPES = [
  'BEVERAGE',
  'CARTRIDGE',
  'EDIBLE',
  'EXTRACT',
  'FLOWER',
  'MERCH',
  'MISC',
  'NON-INV',
  'PILL',
  'PLANT',
  'PREROLL',
  'TINCTURE',
  'TOPICAL',
] as const

export type TreezProduct = {
  product_id: string
  catalog_parent_id: string
  product_status: 'ACTIVE' | 'DEACTIVATED'
  /** `yyyy-MM-ddTHH:mm:ss.SSS-08:00` */
  last_updated_at: string
  sellable_quantity: number
  sellable_quantity_detail: {
    inventory_type: 'ADULT' | 'MEDICAL'
    location: string
    sellable_quantity: number
  }[]
  category_type: CategoryType
  product_configurable_fields: {
    name: string
    uom: string | null
    brand: string | null
    size: string | null
    amount: number | null
    classification: string | null
    subtype: string | null
    total_mg_thc: number | null
    total_mg_cbd: number | null
    doses: number | null
    mg_per_dose: number | null
    total_flower_weight_g: number | null
    external_id: string | null
  }
  pricing: {
    price_type: 'FLAT' | 'TIER'
    price_sell: number | null
    discounted_price: number | null
    discount_amount: number
    discount_percent: number
    tier_name: string | null
    tier_method?: 'UNIT' | 'WEIGHT'
    tier_pricing_detail?: { start_value: number; price_per_value: number }[]
  }
  discounts: unknown[]
  attributes: {
    general: string[]
    flavors: string[]
    effects: string[]
    ingredients: string[]
    internal_tags: string[]
  }
  product_barcodes: { sku: string; type: string; created_date: string }[]
  e_commerce: {
    all_images: string[]
    primary_image: string | null
    menu_title: string | null
    product_description: string | null
    minimum_visible_inventory_level: number
    hide_from_menu: boolean
  }
  autoupdate_lab_results: boolean
  lab_results: {
    result_type: string
    amount: { minimum_value: string | number; maximum_value: string | number }
    amount_type: string
  }[]
  above_threshold: boolean
  merged_from_product_ids: string[]
  external_references: { type: string; external_id: string }[]
}

/** Treez writes local time with its offset; summer time is taken by month, near enough here. */
export function treezTimestamp(ms: number): string {
  const month = new Date(ms).getUTCMonth()
  const hours = month >= 3 && month <= 9 ? 7 : 8
  return `${new Date(ms - hours * 3_600_000).toISOString().slice(0, -1)}-0${hours}:00`
}
