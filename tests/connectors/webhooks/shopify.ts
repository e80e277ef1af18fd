import { createHmac } from 'node:crypto'
import type { WebhookFixtures } from '../webhook-conformance.ts'

const headers = (topic: string, event = '98880550-7158-44d4-b7cd-2c97c8a091b5') => ({
  'x-shopify-topic': topic,
  'x-shopify-shop-domain': 'Acme.myshopify.com',
  'x-shopify-event-id': event,
  'x-shopify-webhook-id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
  'x-shopify-triggered-at': '2026-11-20T08:59:59.123456789Z',
})
const tee = {
  id: 788_032_119,
  admin_graphql_api_id: 'gid://shopify/Product/788032119',
  title: 'Tee',
  updated_at: '2026-11-20T03:59:58-05:00',
  variants: [{ id: 1, price: '199.00' }],
}

export const shopifyWebhooks: WebhookFixtures = {
  secrets: {
    signing: [],
    app: { client_id: 'c', client_secret: 'secret-of-our-app' },
    pathTokenMatches: false,
  },
  sign: (body) => ({
    'x-shopify-hmac-sha256': createHmac('sha256', 'secret-of-our-app').update(body)
      .digest('base64'),
  }),
  webhooks: [
    {
      name: 'a changed product',
      headers: headers('products/update'),
      body: JSON.stringify(tee),
      again: {
        headers: {
          ...headers('products/update'),
          'x-shopify-webhook-id': 'another-delivery',
          'x-shopify-triggered-at': '2026-11-20T09:30:00Z',
        },
        body: JSON.stringify(tee),
      },
      type: 'products/update',
      accounts: ['acme.myshopify.com'],
      notices: [{
        account: 'acme.myshopify.com',
        stream: 'products',
        source_id: 'gid://shopify/Product/788032119',
        kind: 'changed',
        occurred_at: '2026-11-20T08:59:58.000Z',
      }],
    },
    {
      name: 'another product of the same action',
      headers: headers('products/update'),
      body: JSON.stringify({ ...tee, id: 7, admin_graphql_api_id: 'gid://shopify/Product/7' }),
      type: 'products/update',
      accounts: ['acme.myshopify.com'],
      notices: [{
        account: 'acme.myshopify.com',
        stream: 'products',
        source_id: 'gid://shopify/Product/7',
        kind: 'changed',
        occurred_at: '2026-11-20T08:59:58.000Z',
      }],
    },
    {
      name: 'a deleted product, of which only the number is left',
      headers: headers('products/delete'),
      body: '{"id":788032119}',
      type: 'products/delete',
      accounts: ['acme.myshopify.com'],
      notices: [{
        account: 'acme.myshopify.com',
        stream: 'products',
        source_id: 'gid://shopify/Product/788032119',
        kind: 'deleted',
        occurred_at: '2026-11-20T08:59:59.123Z',
      }],
    },
    {
      name: 'a change whose unsigned topic was made a deletion’s, and whose event’s number another',
      headers: headers('products/delete', 'e1'),
      body: JSON.stringify(tee),
      again: { headers: headers('products/delete', 'e2'), body: JSON.stringify(tee) },
      type: 'products/delete',
      accounts: ['acme.myshopify.com'],
      notices: [{
        account: 'acme.myshopify.com',
        stream: 'products',
        source_id: 'gid://shopify/Product/788032119',
        kind: 'changed',
        occurred_at: '2026-11-20T08:59:58.000Z',
      }],
    },
    {
      name: 'the newer kind, about something else',
      headers: {
        'shopify-topic': 'app/uninstalled',
        'shopify-shop-domain': 'acme.myshopify.com',
        'shopify-event-id': 'e2',
      },
      body: '{"id":548380009}',
      type: 'app/uninstalled',
      accounts: ['acme.myshopify.com'],
      notices: [],
    },
    {
      name: 'a shop that is none of Shopify’s',
      headers: { ...headers('products/update', 'e3'), 'x-shopify-shop-domain': 'evil.example' },
      body: '{}',
      type: 'products/update',
      accounts: [],
      notices: [],
    },
  ],
}
