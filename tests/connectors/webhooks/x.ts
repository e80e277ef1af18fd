import { createHmac } from 'node:crypto'
import type { WebhookFixtures } from '../webhook-conformance.ts'

const post = {
  id: '1900000000000000001',
  text: '@acme hi',
  author_id: '2',
  conversation_id: '1900000000000000001',
  created_at: '2026-11-01T00:00:00.000Z',
  edit_history_tweet_ids: ['1900000000000000001'],
}
const ada = { id: '2', name: 'Ada', username: 'ada' }
const activity = (event_type: string, payload: object, more: object = {}) =>
  JSON.stringify({
    data: {
      event_uuid: `uuid-${event_type}`,
      filter: { user_id: '42' },
      event_type,
      tag: 'acme',
      payload,
      ...more,
    },
  })
const said = {
  account: '42',
  stream: 'social_posts' as const,
  source_id: '1900000000000000001',
  kind: 'changed' as const,
  occurred_at: '2026-11-01T00:00:00.000Z',
}

export const xWebhooks: WebhookFixtures = {
  secrets: {
    signing: [],
    app: { client_id: 'c', client_secret: 'oauth2', signing_secret: 'consumer-secret' },
    pathTokenMatches: false,
  },
  sign: (body) => ({
    'x-twitter-webhooks-signature': `sha256=${
      createHmac('sha256', 'consumer-secret').update(body).digest('base64')
    }`,
  }),
  webhooks: [
    {
      name: 'a mention, whole',
      body: activity('post.mention.create', post, { includes: { users: [ada] } }),
      type: 'post.mention.create',
      accounts: ['42'],
      notices: [{ ...said, record: { ...post, author: ada, media: [] } }],
    },
    {
      name: 'a post whose author does not come with it',
      body: activity('post.create', post),
      type: 'post.create',
      accounts: ['42'],
      notices: [said],
    },
    {
      name: 'a deleted post',
      body: activity('post.delete', { id: '1900000000000000001' }),
      type: 'post.delete',
      accounts: ['42'],
      notices: [{ ...said, kind: 'deleted', occurred_at: '2026-11-20T09:00:00.000Z' }],
    },
    {
      name: 'what the older API tells',
      body: '{"for_user_id":"42","favorite_events":[]}',
      type: 'unknown',
      accounts: ['42'],
      notices: [],
    },
    {
      name: 'a new follower, who is not synced',
      body: activity('follow.follow', { id: '3' }),
      type: 'follow.follow',
      accounts: ['42'],
      notices: [],
    },
  ],
}
