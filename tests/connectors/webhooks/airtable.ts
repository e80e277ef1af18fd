import { createHmac } from 'node:crypto'
import type { WebhookFixtures } from '../webhook-conformance.ts'

const SECRET = 'dGVzdF9zZWNyZXRfMDEyMzQ1Njc4OQ=='
const ping = (timestamp: string) =>
  JSON.stringify({
    base: { id: 'appEXAMPLE00000001' },
    webhook: { id: 'achEXAMPLE00000001' },
    timestamp,
  })

export const airtableWebhooks: WebhookFixtures = {
  secrets: { signing: [SECRET], app: null, pathTokenMatches: false },
  sign: (body) => ({
    'x-airtable-content-mac': `hmac-sha256=${
      createHmac('sha256', Buffer.from(SECRET, 'base64')).update(body).digest('hex')
    }`,
  }),
  webhooks: [
    {
      name: 'a ping',
      body: ping('2026-11-20T08:00:00.000Z'),
      type: 'notification',
      notices: [],
    },
    {
      name: 'a later ping',
      body: ping('2026-11-20T08:00:01.000Z'),
      type: 'notification',
      notices: [],
    },
  ],
}
