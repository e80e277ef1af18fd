import { createHmac } from 'node:crypto'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const ada = {
  id: 'cus_ada',
  object: 'customer',
  email: 'ada@example.com',
  name: 'Ada Byron',
  phone: null,
  address: null,
  created: 1_780_000_000,
  metadata: {},
}
const event = (type: string, object: object, more: object = {}) =>
  JSON.stringify({
    id: `evt_${type}`,
    object: 'event',
    api_version: '2026-07-29.dahlia',
    created: 1_780_000_000,
    type,
    livemode: true,
    pending_webhooks: 1,
    data: { object },
    ...more,
  })
const said = {
  account: null,
  kind: 'changed' as const,
  occurred_at: '2026-05-28T20:26:40.000Z',
}

export const stripeWebhooks: WebhookFixtures = {
  secrets: { signing: ['whsec_new', 'whsec_endpoint'], app: null, pathTokenMatches: false },
  sign(body) {
    const time = Date.parse(SENT_AT) / 1000
    const hex = createHmac('sha256', 'whsec_endpoint').update(`${time}.${body}`).digest('hex')
    return { 'stripe-signature': `t=${time},v1=${hex}` }
  },
  webhooks: [
    {
      name: 'a changed customer',
      body: event('customer.updated', ada),
      again: { body: event('customer.updated', ada, { pending_webhooks: 0 }) },
      type: 'customer.updated',
      notices: [{ ...said, stream: 'contacts', source_id: 'cus_ada' }],
    },
    {
      name: 'a deleted customer',
      body: event('customer.deleted', ada),
      type: 'customer.deleted',
      notices: [{ ...said, stream: 'contacts', source_id: 'cus_ada' }],
    },
    {
      name: 'a payment',
      body: event('payment_intent.succeeded', { id: 'pi_1', object: 'payment_intent' }),
      type: 'payment_intent.succeeded',
      notices: [{ ...said, stream: 'orders', source_id: 'pi_1' }],
    },
    {
      name: 'a refunded charge of a connected account’s payment, in test mode',
      body: event('charge.refunded', { id: 'ch_1', object: 'charge', payment_intent: 'pi_1' }, {
        account: 'acct_2',
        livemode: false,
      }),
      type: 'charge.refunded',
      notices: [{ ...said, account: 'acct_2:test', stream: 'orders', source_id: 'pi_1' }],
    },
    {
      name: 'a charge without a payment',
      body: event('charge.captured', { id: 'ch_1', object: 'charge', payment_intent: null }),
      type: 'charge.captured',
      notices: [],
    },
    {
      name: 'a subscription, which is not synced',
      body: event('customer.subscription.created', { id: 'sub_1', object: 'subscription' }),
      type: 'customer.subscription.created',
      notices: [],
    },
    {
      name: 'a thin event',
      body: '{"id":"evt_2","object":"v2.core.event","type":"v1.billing.meter.no_meter_found"}',
      type: 'v1.billing.meter.no_meter_found',
      notices: [],
    },
  ],
}
