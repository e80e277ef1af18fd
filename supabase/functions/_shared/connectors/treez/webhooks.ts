// What does a webhook of Treez say? Which product, customer or ticket changed. Nothing is signed, so it is a hint only.
import { timestampText } from '../vocabulary/timestamp.ts'
import { readPath } from '../vocabulary/read-path.ts'
import {
  inOrder,
  ROTATE_PATH,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'

export const webhooks: Webhooks = {
  scheme: 'path-token',
  doors: [{
    at: 'integration',
    setup: inOrder(
      ROTATE_PATH,
      'In the store’s portal, under Config, Integration, Webhook Integration, add a webhook with that address for products; ' +
        'those for tickets and customers become events. Treez signs nothing: the address itself is the secret, and ' +
        'there is no other one to give us.',
      'Press Test there: it has to succeed.',
    ),
  }],
  type: ({ body }) => textAt(body, 'event_type'),
  notices({ body, received_at, hash }): WebhookNotice[] {
    const source_id = textAt(body, 'data.product_id')
    if (textAt(body, 'event_type') !== 'PRODUCT' || source_id === null) return []
    return [{
      account: null,
      stream: 'products',
      source_id,
      kind: 'changed', // it is deactivated, never deleted
      occurred_at: timestampText(readPath(body, 'data.last_updated_at')) ?? received_at,
      dedupe_key: hash,
    }]
  },
}
