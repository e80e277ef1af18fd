// What does a webhook of Leafly say? That an order was placed, cancelled or moved on: an event, and no record.
import {
  givenToUs,
  hashOf,
  idAt,
  inOrder,
  ROTATE_PATH,
  textAt,
  type Webhooks,
} from '../vocabulary/webhooks.ts'

export const webhooks: Webhooks = {
  scheme: 'leafly',
  doors: [{
    at: 'integration',
    setup: inOrder(
      ROTATE_PATH,
      'Give Leafly’s integrations team that address for the order events of this menu integration key.',
      givenToUs('the HMAC key that they issue'),
      'Leafly wants orders acknowledged within 15 minutes: have an automation, or a program of yours, answer the event ' +
        '`webhook.received`.',
    ),
  }],
  type: ({ body }) => textAt(body, 'eventType'),
  dedupeKey({ body }) {
    const event = ['orderId', 'eventType', 'eventTime'].map((name) => idAt(body, name))
    return event.includes(null) ? null : hashOf([textAt(body, 'orderIntegrationKey'), ...event])
  },
  notices: () => [],
}
