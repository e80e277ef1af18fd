// A product as every connector's mapping yields it, whatever the platform calls things.
import { z } from 'zod'
import { Currency, Decimal } from './amounts.ts'

/** From a quantity of `start` on, a unit costs `amount`. */
export const PriceTier = z.object({ start: Decimal, amount: Decimal })
export type PriceTier = z.infer<typeof PriceTier>

/** A size, colour or package of a product that is sold by itself. */
export const ProductVariant = z.object({
  source_id: z.string().min(1),
  name: z.string(),
  sku: z.string().nullable(),
  price_amount: Decimal.nullable(),
  stock_quantity: Decimal.nullable(),
})
export type ProductVariant = z.infer<typeof ProductVariant>

/** The columns of `products` that come from the platform. */
export const ProductColumns = z.object({
  name: z.string().min(1),
  description: z.string().nullable(),
  brand: z.string().nullable(),
  category: z.string().nullable(),
  sku: z.string().nullable(),
  status: z.enum(['active', 'inactive']),
  price_amount: Decimal.nullable(), // null when the price depends on the quantity only
  price_currency: Currency.nullable(),
  price_tiers: z.array(PriceTier),
  variants: z.array(ProductVariant),
  image_urls: z.array(z.string()),
  stock_quantity: Decimal.nullable(), // null when the platform does not count
})
export type ProductColumns = z.infer<typeof ProductColumns>
