// What does a push of Gmail say? That something in a mailbox changed, up to a place in its history.
import { Buffer } from 'node:buffer'
import { readPath } from '../vocabulary/read-path.ts'
import { storable } from '../vocabulary/storable.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import {
  givenToUs,
  type InboundWebhook,
  inOrder,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'

/** @param project Whose Pub/Sub it is. */
const stepsAtGoogle = (project: string): string[] => [
  `In ${project}, make a Pub/Sub topic and grant Publish on it to \`gmail-api-push@system.gserviceaccount.com\`.`,
  'Add a push subscription to the topic, with {address} as its endpoint and with authentication turned on, by a service ' +
  'account of yours. Leave the audience empty.',
]

const WATCH =
  'Once a day, have each mailbox watched: `POST /gmail/v1/users/me/watch` with `{"topicName":"projects/…/topics/…"}`.'

export const webhooks: Webhooks = {
  scheme: 'google-oidc',
  doors: [
    {
      at: 'app',
      setup: inOrder(
        ...stepsAtGoogle('the Google Cloud project of our OAuth app'),
        'Put the service account’s email address into `OAUTH_CLIENTS` as `service_account`; and as `audience` the ' +
          'audience, where the subscription has one of its own.',
        WATCH,
      ),
    },
    {
      at: 'integration',
      setup: inOrder(
        ...stepsAtGoogle('a Google Cloud project of this mailbox’s own'),
        givenToUs('the service account’s email address, which stands for a signing secret'),
        WATCH,
      ),
    },
  ],
  accounts: ({ body }) => [changeOf(body)?.email].filter((email) => email !== undefined),
  type: ({ body }) => changeOf(body) && 'history',
  dedupeKey: ({ body }) => textAt(body, 'message.messageId') ?? textAt(body, 'message.message_id'),
  notices({ body, received_at }: InboundWebhook): WebhookNotice[] {
    const change = changeOf(body)
    return change === null ? [] : [{
      account: change.email,
      stream: 'messages',
      source_id: null,
      kind: 'changed',
      whole_stream: true,
      occurred_at: timestampText(readPath(body, 'message.publishTime')) ?? received_at,
      dedupe_key: `${change.email}:${change.history_id}`,
    }]
  },
}

/** `historyId` comes as a number or as text. */
function changeOf(body: unknown): { email: string; history_id: string } | null {
  const data = textAt(body, 'message.data')
  if (data === null) return null
  try {
    const json = Buffer.from(data, 'base64').toString()
    const change = storable(JSON.parse(json), json)
    const email = textAt(change, 'emailAddress')
    const history_id = String(readPath(change, 'historyId'))
    return email !== null && /^\d{1,30}$/.test(history_id)
      ? { email: email.toLowerCase(), history_id }
      : null
  } catch {
    return null
  }
}
