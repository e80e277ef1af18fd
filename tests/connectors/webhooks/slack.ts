import { createHmac } from 'node:crypto'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const message = {
  type: 'message',
  user: 'U01',
  text: 'Hi',
  ts: '1780000000.000100',
  channel: 'C01',
  event_ts: '1780000000.000100',
  channel_type: 'channel',
}
const envelope = (event: object, event_id: string, more: object = {}) =>
  JSON.stringify({
    token: 'old-token',
    team_id: 'T01',
    api_app_id: 'A01',
    event,
    type: 'event_callback',
    event_id,
    event_time: 1_780_000_000,
    authorizations: [{ enterprise_id: null, team_id: 'T01', user_id: 'UBOT01', is_bot: true }],
    ...more,
  })
const said = {
  account: 'T01',
  stream: 'messages' as const,
  source_id: 'C01:1780000000.000100',
  kind: 'changed' as const,
  occurred_at: '2026-05-28T20:26:40.000Z',
}
const edited = { ...message, text: 'Hi!', edited: { user: 'U01', ts: '1780000060.000000' } }

export const slackWebhooks: WebhookFixtures = {
  secrets: {
    signing: [],
    app: { client_id: 'c', client_secret: 'oauth', signing_secret: 'signing-secret' },
    pathTokenMatches: false,
  },
  sign(body) {
    const time = String(Date.parse(SENT_AT) / 1000)
    const hex = createHmac('sha256', 'signing-secret').update(`v0:${time}:${body}`).digest('hex')
    return { 'x-slack-request-timestamp': time, 'x-slack-signature': `v0=${hex}` }
  },
  webhooks: [
    {
      name: 'a message',
      body: envelope(message, 'Ev01'),
      again: { headers: { 'x-slack-retry-num': '1' }, body: envelope(message, 'Ev01') },
      type: 'message',
      accounts: ['T01'],
      notices: [{ ...said, record: message }],
      unwantedWith: { channels: ['C02'] },
    },
    {
      name: 'an edited message',
      body: envelope({
        type: 'message',
        subtype: 'message_changed',
        channel: 'C01',
        ts: '1780000060.000200',
        event_ts: '1780000060.000200',
        message: edited,
        previous_message: message,
      }, 'Ev02'),
      type: 'message.message_changed',
      accounts: ['T01'],
      notices: [{ ...said, occurred_at: '2026-05-28T20:27:40.000Z', record: edited }],
    },
    {
      name: 'a deleted message',
      body: envelope({
        type: 'message',
        subtype: 'message_deleted',
        channel: 'C01',
        ts: '1780000090.000300',
        deleted_ts: '1780000000.000100',
        event_ts: '1780000090.000300',
      }, 'Ev03'),
      type: 'message.message_deleted',
      accounts: ['T01'],
      notices: [{ ...said, kind: 'deleted', occurred_at: '2026-05-28T20:28:10.000Z' }],
    },
    {
      name: 'a message that our app wrote',
      body: envelope(
        { ...message, subtype: 'bot_message', bot_id: 'BBOT01', app_id: 'A01' },
        'Ev04',
      ),
      type: 'message.bot_message',
      accounts: ['T01'],
      notices: [{
        ...said,
        record: { ...message, subtype: 'bot_message', bot_id: 'BBOT01', app_id: 'A01' },
        is_own_write: true,
      }],
    },
    {
      name: 'a message in a channel that two workspaces share, of which one has our app',
      body: envelope(message, 'Ev05', { team_id: 'T99' }),
      type: 'message',
      accounts: ['T01'],
      notices: [{ ...said, record: message }],
    },
    {
      name: 'somebody joining a channel',
      body: envelope({ ...message, subtype: 'channel_join' }, 'Ev06'),
      type: 'message.channel_join',
      accounts: ['T01'],
      notices: [],
    },
    {
      name: 'the end of a connection',
      body: envelope({ type: 'app_uninstalled' }, 'Ev07', { authorizations: undefined }),
      type: 'app_uninstalled',
      accounts: ['T01'],
      notices: [],
    },
  ],
}
