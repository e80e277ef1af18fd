// One number of one day as every connector's mapping yields it.
import { z } from 'zod'
import { Decimal } from './amounts.ts'

/** The columns of `analytics` that come from the platform. */
export const AnalyticsColumns = z.object({
  day: z.iso.date(), // as the platform counts days
  metric: z.string().regex(/^[a-z][a-z0-9_]*$/, 'must be a name like unique_opens'),
  value: Decimal,
  dimension: z.string().nullable(), // such as an audience's or account's name; null for the whole
})
export type AnalyticsColumns = z.infer<typeof AnalyticsColumns>
