// Events on the wire: facts that were committed, and what is known of their types.
import { z } from 'zod'
import { JsonSchema } from './connectors.ts'
import { Timestamp } from './contract.ts'

/** One committed fact: a row of `events`, kept 30 days. */
export const Event = z.object({
  id: z.uuid(), // also the webhook-id of its deliveries
  organization_id: z.uuid(),
  type: z.string(), // words with dots between: order.created
  subject: z.string().nullable(), // what it is about, such as integration/<id>
  data: z.record(z.string(), z.unknown()),
  origin: z.enum(['plugboard', 'app']), // app: an app's own, written through `events.emit` or sent by a business app
  created_at: Timestamp,
})
export type Event = z.infer<typeof Event>

/** One of Plugboard's own event types: a row of `event_types`, written from the code. */
export const EventTypeInfo = z.object({
  name: z.string(),
  description: z.string(),
  data_schema: JsonSchema,
  example: z.record(z.string(), z.unknown()), // of `data`
})
export type EventTypeInfo = z.infer<typeof EventTypeInfo>
