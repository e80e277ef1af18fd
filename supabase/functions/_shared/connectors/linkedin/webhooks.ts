// What does a webhook of LinkedIn say? Who liked, shared or commented on a page's posts: events, and no records.
import { readPath } from '../vocabulary/read-path.ts'
import { hashOf, idAt, inOrder, textAt, type Webhooks } from '../vocabulary/webhooks.ts'

export const webhooks: Webhooks = {
  scheme: 'linkedin',
  doors: [{
    at: 'app',
    setup: inOrder(
      'Have LinkedIn approve our app for webhooks.',
      'Set `OAUTH_CLIENTS` with the app’s `client_secret` before you go on: LinkedIn looks at once whether the address ' +
        'answers with it.',
      'In our app there, under Webhooks, add {address}.',
      'Subscribe each page to `ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS` (`PUT /rest/eventSubscriptions/…`).',
    ),
  }],
  accounts: ({ body }) =>
    notificationsOf(body).flatMap((notification) => {
      const page = /^urn:li:organization:(\d+)$/
        .exec(textAt(notification, 'organizationalEntity') ?? '')
      return page ? [`organization:${page[1]}`] : []
    }),
  type: ({ body }) => textAt(body, 'type'),
  dedupeKey({ body }) {
    const ids = notificationsOf(body).map((notification) => idAt(notification, 'notificationId'))
    return ids.length > 0 && !ids.includes(null) ? hashOf(ids.sort()) : null
  },
  notices: () => [],
}

/** Ten at most. */
function notificationsOf(body: unknown): unknown[] {
  const list = readPath(body, 'notifications')
  return Array.isArray(list) ? list : []
}
