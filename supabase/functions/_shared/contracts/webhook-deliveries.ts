// Webhook deliveries on the wire: the call that wakes their worker.
import { z } from 'zod'
import { contract } from './contract.ts'

/** Wakes a worker, which delivers what is due. Called by the database, not by people. */
export const workDeliveries = contract({
  method: 'POST',
  path: '/webhook-deliver/work',
  auth: 'worker',
  request: z.strictObject({ reason: z.string().max(200).optional() }),
  response: z.object({ accepted: z.literal(true) }), // the work itself goes on after the answer
  errors: [],
})
