import { createHmac } from 'node:crypto'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const headers = { 'content-type': 'application/x-www-form-urlencoded' }
const form = (type: string, data: Record<string, string>, list = 'abc123def4') =>
  new URLSearchParams([
    ['type', type],
    ['fired_at', '2026-11-20 08:00:00'],
    ...Object.entries({ id: '8a25ff1d98', list_id: list, ...data })
      .map(([name, value]) => [`data${name.startsWith('[') ? name : `[${name}]`}`, value]),
  ]).toString()
const said = {
  account: null,
  stream: 'contacts' as const,
  source_id: '3e3417d7ef77d5932a6734b916515ed5', // MD5 of ada@example.com
  kind: 'changed' as const,
  occurred_at: '2026-11-20T08:00:00.000Z',
}

export const mailchimpWebhooks: WebhookFixtures = {
  secrets: { signing: ['secret-of-the-webhook'], app: null, pathTokenMatches: false },
  sign(body) {
    const time = Date.parse(SENT_AT) / 1000
    const hex = createHmac('sha256', 'secret-of-the-webhook').update(`${time}.${body}`).digest(
      'hex',
    )
    return { 'x-mailchimp-signature': `t=${time},v1=${hex}` }
  },
  webhooks: [
    {
      name: 'a new member',
      headers,
      body: form('subscribe', { email: 'Ada@Example.com', '[merges][FNAME]': 'Ada' }),
      type: 'subscribe',
      notices: [said],
      unwantedWith: { list_id: 'otherlist0' },
    },
    {
      name: 'a member who left',
      headers,
      body: form('unsubscribe', { email: 'ada@example.com', action: 'unsub' }),
      type: 'unsubscribe',
      notices: [said],
    },
    {
      name: 'a member who was taken out',
      headers,
      body: form('unsubscribe', { email: 'ada@example.com', action: 'delete' }),
      type: 'unsubscribe',
      notices: [{ ...said, kind: 'deleted', occurred_at: '2026-11-20T08:00:00.999Z' }],
    },
    {
      name: 'a new address, which makes another member',
      headers,
      body: form('upemail', { old_email: 'ada@example.com', new_email: 'a.l@example.com' }),
      type: 'upemail',
      notices: [
        { ...said, kind: 'deleted', occurred_at: '2026-11-20T08:00:00.999Z' },
        { ...said, source_id: '96b4731a9f1b6f5c7ced3316c16c5ea8' },
      ],
    },
    {
      name: 'a campaign, which is not synced',
      headers,
      body: form('campaign', { status: 'sent' }),
      type: 'campaign',
      notices: [],
    },
  ],
}
