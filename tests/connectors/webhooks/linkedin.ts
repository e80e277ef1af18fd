import { createHmac } from 'node:crypto'
import type { WebhookFixtures } from '../webhook-conformance.ts'

const notification = (notificationId: number, more: object = {}) => ({
  notificationId,
  organizationalEntity: 'urn:li:organization:2414183',
  action: 'COMMENT',
  sourcePost: 'urn:li:share:6832345',
  generatedActivity: 'urn:li:comment:(urn:li:activity:6832345,1)',
  lastModifiedAt: 1_795_165_200_000,
  subscriber: 'urn:li:person:abc',
  ...more,
})
const body = (...notifications: object[]) =>
  JSON.stringify({ type: 'ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS', notifications })

export const linkedinWebhooks: WebhookFixtures = {
  account: { settings: { post_as: 'page', organization_id: '2414183' }, credentials: {} },
  secrets: {
    signing: [],
    app: { client_id: 'c', client_secret: 'secret-of-our-app' },
    pathTokenMatches: false,
  },
  sign: (body) => ({
    'x-li-signature': createHmac('sha256', 'secret-of-our-app').update(`hmacsha256=${body}`)
      .digest('hex'),
  }),
  webhooks: [
    {
      name: 'a comment on a page’s post',
      body: body(notification(1)),
      again: { body: body(notification(1, { lastModifiedAt: 1_795_165_200_001 })) },
      type: 'ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS',
      accounts: ['organization:2414183'],
      notices: [],
    },
    {
      name: 'comments on posts of two pages',
      body: body(
        notification(2),
        notification(3, { organizationalEntity: 'urn:li:organization:7' }),
      ),
      type: 'ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS',
      accounts: ['organization:2414183', 'organization:7'],
      notices: [],
    },
  ],
}
