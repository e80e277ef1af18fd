import { createHmac } from 'node:crypto'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const event = {
  eventId: 100,
  subscriptionId: 7001,
  portalId: 62515,
  appId: 4321,
  occurredAt: 1_795_165_200_000,
  subscriptionType: 'contact.propertyChange',
  attemptNumber: 0,
  objectId: 90_011_223_344,
  changeSource: 'CRM_UI',
  propertyName: 'email',
  propertyValue: 'ada@people.example',
}
const created = {
  ...event,
  eventId: 101,
  subscriptionType: 'contact.creation',
  objectId: 21,
  portalId: 70_000,
}

export const hubspotWebhooks: WebhookFixtures = {
  secrets: {
    signing: [],
    app: { client_id: 'c', client_secret: 'secret-of-our-app' },
    pathTokenMatches: false,
  },
  sign(body) {
    const time = String(Date.parse(SENT_AT))
    const content = `POSThttps://project.example/functions/v1/webhook-receive/acme${body}${time}`
    return {
      'x-hubspot-request-timestamp': time,
      'x-hubspot-signature-v3': createHmac('sha256', 'secret-of-our-app').update(content)
        .digest('base64'),
    }
  },
  webhooks: [
    {
      name: 'a changed contact',
      body: JSON.stringify([event]),
      again: { body: JSON.stringify([{ ...event, attemptNumber: 1 }]) },
      type: 'contact.propertyChange',
      accounts: ['62515'],
      notices: [{
        account: '62515',
        stream: 'contacts',
        source_id: '90011223344',
        kind: 'changed',
        occurred_at: '2026-11-20T09:00:00.000Z',
      }],
    },
    {
      name: 'contacts of two accounts, one changed by a program',
      body: JSON.stringify([{ ...event, eventId: 102, changeSource: 'INTEGRATION' }, created]),
      type: 'several',
      accounts: ['62515', '70000'],
      notices: [
        {
          account: '62515',
          stream: 'contacts',
          source_id: '90011223344',
          kind: 'changed',
          occurred_at: '2026-11-20T09:00:00.000Z',
          is_own_write: true,
        },
        {
          account: '70000',
          stream: 'contacts',
          source_id: '21',
          kind: 'changed',
          occurred_at: '2026-11-20T09:00:00.000Z',
        },
      ],
    },
    {
      name: 'a company, which is not synced',
      body: JSON.stringify([{ ...event, subscriptionType: 'company.creation' }]),
      type: 'company.creation',
      accounts: ['62515'],
      notices: [],
    },
  ],
}
