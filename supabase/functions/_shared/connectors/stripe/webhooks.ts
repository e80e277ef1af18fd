// What does a webhook of Stripe say? Which customer or payment an event is about. The object in it is as old as the event's
// time, of which Stripe gives whole seconds: too little to tell it from what a sync has read, so it is asked for.
import { z } from 'zod'
import { readPath } from '../vocabulary/read-path.ts'
import {
  givenToUs,
  orByHand,
  secondsText,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'
import { subscriptions } from './subscriptions.ts'

const Event = z.object({
  id: z.string().min(1),
  object: z.literal('event'),
  type: z.string(),
  account: z.string().min(1).nullish(),
  created: z.number(),
  livemode: z.boolean().nullish(),
  data: z.object({ object: z.looseObject({ object: z.string() }) }),
})

const CUSTOMERS = ['customer.created', 'customer.updated', 'customer.deleted']

/**
 * @param apiVersion The one that events are to be written in.
 * @param paymentEvents Types of events by which a payment changed.
 */
export const webhooks = (apiVersion: string, paymentEvents: string[]): Webhooks => ({
  scheme: 'stripe',
  subscriptions: subscriptions(apiVersion, [...CUSTOMERS, ...paymentEvents]),
  doors: [{
    at: 'integration',
    setup: orByHand(
      'Connect with a key that may write Webhook Endpoints: Plugboard then adds the endpoint and keeps its secret',
      'In Stripe’s dashboard, under Developers, Webhooks, add an endpoint with the address {address}, the events ' +
        '`customer.*`, `payment_intent.*`, `charge.*` and `refund.*`, and the API version ' +
        `\`${apiVersion}\`.`,
      givenToUs('its signing secret, which begins with `whsec_`'),
    ),
  }],
  type: ({ body }) => textAt(body, 'type'),
  dedupeKey: ({ body }) => textAt(body, 'id'),
  notices({ body }): WebhookNotice[] {
    const event = Event.safeParse(body).data
    const occurred_at = secondsText(event?.created)
    if (!event || occurred_at === null) return []
    const about = event.data.object
    const notice = {
      // only a platform's endpoint for connected accounts says whose it is
      account: event.account ? `${event.account}${event.livemode === false ? ':test' : ''}` : null,
      occurred_at,
      dedupe_key: event.id,
    }
    if (CUSTOMERS.includes(event.type) && about.object === 'customer') {
      const source_id = textAt(about, 'id')
      // also one that is gone: asked for, it says so
      return source_id === null
        ? []
        : [{ ...notice, stream: 'contacts', source_id, kind: 'changed' }]
    }
    if (!paymentEvents.includes(event.type)) return []
    // a payment comes without its charge, where its refunds are counted: it has to be read
    const source_id = about.object === 'payment_intent'
      ? textAt(about, 'id')
      : textAt(about, 'payment_intent') ?? textAt(readPath(about, 'payment_intent'), 'id')
    return source_id === null ? [] : [{ ...notice, stream: 'orders', source_id, kind: 'changed' }]
  },
})
