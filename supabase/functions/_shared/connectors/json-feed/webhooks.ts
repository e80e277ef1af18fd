// What can the owner of a feed tell us? That it is worth reading again, by a webhook signed in one of the usual ways.
import type { WebhookScheme } from '../../webhooks/scheme.ts'
import { readPath } from '../vocabulary/read-path.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import {
  givenToUs,
  inOrder,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'

/** What the setting `webhook_signature` may say besides Standard Webhooks. */
export const otherSchemes = ['github', 'x-webhook-signature'] as const

/** `products.changed`, `product.updated`: anything about products. A `push` at GitHub changes files, perhaps the feed. */
const ABOUT_PRODUCTS = /^(products?(\.|$)|push$)/

export const webhooks: Webhooks = {
  scheme: 'standard-webhooks',
  otherSchemes: { setting: 'webhook_signature', schemes: [...otherSchemes] },
  headers: ['x-github-event', 'x-github-delivery'],
  doors: [{
    at: 'integration',
    setup: inOrder(
      'Choose in the settings how they are signed (`webhook_signature`): as a [Standard ' +
        'Webhook](https://www.standardwebhooks.com), as GitHub does, or in `X-Webhook-Signature`.',
      givenToUs(
        'what they are signed with: a `whsec_` secret or a `whpk_` public key for Standard Webhooks, any text of 8 ' +
          'characters or more for the others',
      ),
      'Whoever writes the feed sends to {address}, by POST, the body ' +
        '`{"type":"products.changed","timestamp":"…","data":{}}`. For a feed in a GitHub repository, add {address} ' +
        'there under Settings, Webhooks, with the content type `application/json`, the same secret and the push event. The ' +
        'feed is then read again; other types become events.',
      'In `X-Webhook-Signature` no number is sent along, so two with the same bytes count as one: have the time in the body.',
    ),
  }],
  // GitHub names the event in a header, which is not signed
  type: ({ body, headers }) => textAt(body, 'type') ?? headers.get('x-github-event'),
  dedupeKey: ({ headers }, scheme) => numberOf(headers, scheme),
  notices(webhook): WebhookNotice[] {
    const { body, headers, received_at, hash } = webhook
    if (!ABOUT_PRODUCTS.test(webhooks.type(webhook) ?? '')) return []
    return [{
      account: null,
      stream: 'products',
      source_id: null,
      kind: 'changed',
      whole_stream: true,
      occurred_at: timestampText(readPath(body, 'timestamp')) ?? received_at,
      dedupe_key: headers.get('webhook-id') ?? headers.get('x-github-delivery') ?? hash,
    }]
  },
}

/** What another scheme would number says nothing: anybody may have written it. */
function numberOf(headers: Headers, scheme: WebhookScheme): string | null {
  switch (scheme) {
    case 'standard-webhooks':
      return headers.get('webhook-id')
    case 'github':
      return headers.get('x-github-delivery')
    default:
      return null
  }
}
