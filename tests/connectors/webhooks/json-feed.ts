import { Webhook } from 'standardwebhooks'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const body = (type: string) => JSON.stringify({ type, timestamp: '2026-11-20T08:59:59Z', data: {} })
const said = {
  account: null,
  stream: 'products' as const,
  source_id: null,
  kind: 'changed' as const,
  whole_stream: true as const,
  occurred_at: '2026-11-20T08:59:59.000Z',
}

export const jsonFeedWebhooks: WebhookFixtures = {
  secrets: { signing: [SECRET], app: null, pathTokenMatches: false },
  sign: (body) => ({
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Date.parse(SENT_AT) / 1000),
    'webhook-signature': new Webhook(SECRET).sign('msg_1', new Date(SENT_AT), body),
  }),
  webhooks: [
    {
      name: 'a changed feed',
      headers: { 'webhook-id': 'msg_1' },
      body: body('products.changed'),
      again: {
        headers: { 'webhook-id': 'msg_1', 'webhook-timestamp': '1795165500' },
        body: body('products.changed'),
      },
      type: 'products.changed',
      notices: [said],
    },
    {
      name: 'the same words, said another time',
      headers: { 'webhook-id': 'msg_2' },
      body: body('products.changed'),
      type: 'products.changed',
      notices: [said],
    },
    {
      name: 'something else',
      headers: { 'webhook-id': 'msg_3' },
      body: body('order.created'),
      type: 'order.created',
      notices: [],
    },
  ],
}
