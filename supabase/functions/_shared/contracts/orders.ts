// An order or a payment as every connector's mapping yields it.
import { z } from 'zod'
import { Currency, Decimal } from './amounts.ts'
import { Timestamp } from './contract.ts'

export const LineItem = z.object({
  source_id: z.string().nullable(),
  name: z.string().nullable(),
  sku: z.string().nullable(),
  quantity: Decimal.nullable(),
  unit_amount: Decimal.nullable(),
})
export type LineItem = z.infer<typeof LineItem>

/** The columns of `orders` that come from the platform. */
export const OrderColumns = z.object({
  kind: z.enum(['order', 'payment']),
  number: z.string().nullable(), // what people call it; source_id is the platform's id
  status: z.enum([
    'pending',
    'paid',
    'fulfilled',
    'cancelled',
    'refunded',
    'partially_refunded',
    'failed',
  ]),
  total_amount: Decimal.nullable(),
  refunded_amount: Decimal.nullable(),
  currency: Currency.nullable(), // of both amounts and of the line items
  customer_source_id: z.string().nullable(), // a contact of the same integration
  customer_email: z.string().nullable(),
  description: z.string().nullable(),
  placed_at: Timestamp,
  line_items: z.array(LineItem),
})
export type OrderColumns = z.infer<typeof OrderColumns>
