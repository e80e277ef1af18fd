import type { WebhookFixtures } from '../webhook-conformance.ts'

const product = (more: object = {}) =>
  JSON.stringify({
    event_type: 'PRODUCT',
    data: {
      product_id: '6c0f0c1e-1111-4222-8333-944445555666',
      product_status: 'ACTIVE',
      last_updated_at: '2026-11-20T00:59:00.000-08:00',
      ...more,
    },
  })

export const treezWebhooks: WebhookFixtures = {
  secrets: { signing: [], app: null, pathTokenMatches: true },
  sign: () => ({}),
  webhooks: [
    {
      name: 'a changed product',
      body: product(),
      type: 'PRODUCT',
      notices: [{
        account: null,
        stream: 'products',
        source_id: '6c0f0c1e-1111-4222-8333-944445555666',
        kind: 'changed',
        occurred_at: '2026-11-20T08:59:00.000Z',
      }],
    },
    {
      name: 'a product without a time',
      body: product({ last_updated_at: null }),
      type: 'PRODUCT',
      notices: [{
        account: null,
        stream: 'products',
        source_id: '6c0f0c1e-1111-4222-8333-944445555666',
        kind: 'changed',
        occurred_at: '2026-11-20T09:00:00.000Z',
      }],
    },
    {
      name: 'a ticket, which is not synced',
      body: '{"event_type":"TICKET","data":{"ticket_id":"t1"}}',
      type: 'TICKET',
      notices: [],
    },
  ],
}
