// What does a webhook of Mailchimp say? Which member of an audience changed, in a form instead of JSON.
import { timestampText } from '../vocabulary/timestamp.ts'
import {
  hashOf,
  orByHand,
  ROTATE_PATH,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'
import { subscriptions } from './subscriptions.ts'

/** @param memberId Mailchimp's name for the member with an address. */
export const webhooks = (memberId: (email: string) => string): Webhooks => ({
  scheme: 'mailchimp',
  subscriptions,
  doors: [{
    at: 'integration',
    setup: orByHand(
      'Connect: Plugboard then adds a webhook to the audience',
      ROTATE_PATH,
      'In the audience’s settings, under Webhooks, add that address for subscribes, unsubscribes, profile updates, cleaned ' +
        'addresses and email changes, made by subscribers and admins. Leave out those made by the API, or our own ' +
        'writes come back.',
      'Where signing is turned on there, give us the secret that is shown once: ' +
        '`integrations.setWebhookSecret({ integration_id, secret })`. From then on what is not signed is refused; ' +
        'without it the address itself is the secret.',
    ),
  }],
  type: ({ body }) => textAt(body, 'type'),
  notices({ body, received_at }): WebhookNotice[] {
    const type = textAt(body, 'type') ?? ''
    // UTC, though it does not say so
    const fired = textAt(body, 'fired_at')
    const occurred_at = timestampText(fired && `${fired}Z`) ?? received_at
    const notice = (email: string | null, kind: WebhookNotice['kind']): WebhookNotice[] => {
      if (email === null) return []
      const source_id = memberId(email)
      return [{
        account: null,
        stream: 'contacts',
        source_id,
        kind,
        // in whole seconds: what a sync has read within that second is not newer than a deletion
        occurred_at: kind === 'deleted' ? endOfSecond(occurred_at) : occurred_at,
        dedupe_key: hashOf([textAt(body, 'data.list_id'), type, fired, source_id, body]),
      }]
    }
    const email = textAt(body, 'data.email')
    switch (type) {
      case 'subscribe':
      case 'profile':
      case 'cleaned':
        return notice(email, 'changed')
      case 'unsubscribe':
        return notice(email, textAt(body, 'data.action') === 'delete' ? 'deleted' : 'changed')
      case 'upemail': // a member's name is made of the address
        return [
          ...notice(textAt(body, 'data.old_email'), 'deleted'),
          ...notice(textAt(body, 'data.new_email'), 'changed'),
        ]
      default:
        return []
    }
  },
  // an account has many audiences, and each integration is one
  isSynced: (_, { webhook, settings }) => textAt(webhook.body, 'data.list_id') === settings.list_id,
})

const endOfSecond = (time: string): string =>
  new Date(Math.floor(Date.parse(time) / 1000) * 1000 + 999).toISOString()
