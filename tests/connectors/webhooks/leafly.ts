import { createHmac } from 'node:crypto'
import type { WebhookFixtures } from '../webhook-conformance.ts'

const order = (eventType: string, more: object = {}) =>
  JSON.stringify({
    eventTime: '2026-11-20T08:59:59.000Z',
    eventType,
    orderIntegrationKey: 'acme-key',
    orderId: 4711,
    ...more,
  })

export const leaflyWebhooks: WebhookFixtures = {
  secrets: { signing: ['hmac-key'], app: null, pathTokenMatches: false },
  sign: (body) => ({
    'x-leafly-signature': createHmac('sha256', 'hmac-key').update(body).digest('hex'),
  }),
  webhooks: [
    {
      name: 'a new order',
      body: order('order_submit', { acknowledgeBy: '2026-11-20T09:14:59.000Z' }),
      again: { body: order('order_submit', { acknowledgeBy: '2026-11-20T09:14:59Z' }) },
      type: 'order_submit',
      notices: [],
    },
    {
      name: 'the end of that order',
      body: order('order_cancel'),
      type: 'order_cancel',
      notices: [],
    },
  ],
}
