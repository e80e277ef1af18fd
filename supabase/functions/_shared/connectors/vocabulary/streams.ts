// Which kinds of record can a connector sync, and which columns does its mapping owe each of them?
import type { z } from 'zod'
import { AnalyticsColumns } from '../../contracts/analytics.ts'
import { ContactColumns } from '../../contracts/contacts.ts'
import { MessageColumns } from '../../contracts/messages.ts'
import { OrderColumns } from '../../contracts/orders.ts'
import { ProductColumns } from '../../contracts/products.ts'
import { RecordColumns } from '../../contracts/records.ts'
import { SocialPostColumns } from '../../contracts/social-posts.ts'

/** A new kind of record is one line here, one contract, and one table in one migration. */
export const STREAMS = {
  products: ProductColumns,
  contacts: ContactColumns,
  messages: MessageColumns,
  social_posts: SocialPostColumns,
  orders: OrderColumns,
  analytics: AnalyticsColumns,
  records: RecordColumns,
} as const satisfies Record<string, z.ZodObject>

export type StreamName = keyof typeof STREAMS

/** What the mapping of a record yields. */
export type SyncedRecord<Name extends StreamName = StreamName> =
  & {
    /** The platform's id, as text, unique within the account and stream. */
    source_id: string
    /** RFC 3339; null when the platform does not say. Newer wins, so it has to be the platform's own. */
    source_updated_at: string | null
    /** Ids of records the platform merged into this one: their rows end when this one is written. */
    supersedes?: string[]
  }
  & (
    | { columns: z.output<(typeof STREAMS)[Name]>; deleted?: boolean }
    /** The platform says that this record is gone, and perhaps nothing else about it. */
    | { columns?: undefined; deleted: true }
  )
