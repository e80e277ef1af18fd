// A row of any table of a platform whose tables its owner invents, such as Airtable.
import { z } from 'zod'

/** The columns of `records` that come from the platform. */
export const RecordColumns = z.object({
  collection: z.string().min(1), // the platform's id of the table
  collection_name: z.string().nullable(),
  name: z.string().nullable(), // what people call the row
  fields: z.record(z.string(), z.unknown()), // any JSON, as the platform sends it
})
export type RecordColumns = z.infer<typeof RecordColumns>
