// What does a webhook of X say? One activity of an account: a post of its own, a mention, a deletion.
import { readPath } from '../vocabulary/read-path.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import { inOrder, textAt, type WebhookNotice, type Webhooks } from '../vocabulary/webhooks.ts'
import { appSubscriptions } from './app-subscriptions.ts'

const KINDS: Record<string, WebhookNotice['kind']> = {
  'post.create': 'changed',
  'post.mention.create': 'changed',
  'post.delete': 'deleted',
}

/** @param postsOf The posts of an answer of X, each with its author and pictures. */
export const webhooks = (postsOf: (body: unknown) => unknown): Webhooks => ({
  scheme: 'x',
  doors: [{
    at: 'app',
    setup: inOrder(
      'In the developer portal, under our app’s keys and tokens, copy the API key’s secret (the consumer secret) into ' +
        '`OAUTH_CLIENTS` as `signing_secret`: X signs with that, and not with the client secret of OAuth 2.0. Set it ' +
        'before you go on: X looks at once whether the address answers with it.',
      'With the app-only token (bearer token) from there, `POST https://api.x.com/2/webhooks` with `{"url":"…"}`, where ' +
        'the URL is {address}. Note the id in the answer.',
      'With the same token, for each account and each of `post.create`, `post.mention.create` and `post.delete`, ' +
        '`POST https://api.x.com/2/activity/subscriptions` with ' +
        '`{"event_type":"post.create","filter":{"user_id":"…"},"webhook_id":"…"}`. X bills each post that it delivers.',
    ),
  }],
  accounts: ({ body }) => [accountOf(body)].filter((account) => account !== null),
  type: ({ body }) => textAt(body, 'data.event_type'),
  dedupeKey: ({ body }) => textAt(body, 'data.event_uuid'),
  notices({ body, received_at, hash }): WebhookNotice[] {
    const type = textAt(body, 'data.event_type') ?? ''
    const payload = readPath(body, 'data.payload')
    const source_id = textAt(payload, 'id')
    const account = accountOf(body)
    if (account === null || source_id === null || !/^\d{1,19}$/.test(source_id)) return []
    if (!Object.hasOwn(KINDS, type)) return []
    const kind = KINDS[type]!
    const created = kind === 'deleted' ? null : timestampText(readPath(payload, 'created_at'))
    return [{
      account,
      stream: 'social_posts',
      source_id,
      kind,
      occurred_at: created ?? received_at,
      dedupe_key: `${textAt(body, 'data.event_uuid') ?? hash}:${source_id}`,
      ...(created === null
        ? {}
        : wholePost(postsOf({ data: [payload], includes: readPath(body, 'data.includes') }))),
    }]
  },
  appSubscriptions: appSubscriptions(Object.keys(KINDS)),
})

function accountOf(body: unknown): string | null {
  const id = textAt(body, 'data.filter.user_id') ?? textAt(body, 'for_user_id') // the older API's
  return id !== null && /^\d+$/.test(id) ? id : null
}

/** Without its author it would be less than what a sync reads. */
function wholePost(posts: unknown): { record?: unknown } {
  const post = readPath(posts, '0')
  const isWhole = textAt(post, 'author_id') !== null && textAt(post, 'author.username') !== null &&
    typeof readPath(post, 'text') === 'string'
  return isWhole ? { record: post } : {}
}
