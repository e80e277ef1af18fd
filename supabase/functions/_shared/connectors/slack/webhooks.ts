// What does a webhook of Slack say? One event of the Events API: a message was sent, changed or deleted.
import { readPath } from '../vocabulary/read-path.ts'
import {
  type InboundWebhook,
  inOrder,
  secondsText,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'
import { NOTICES } from './read-messages.ts'
import { timeOf, TS } from './timestamps.ts'

export const webhooks: Webhooks = {
  scheme: 'slack',
  doors: [{
    at: 'app',
    setup: inOrder(
      'In our app at Slack, under Basic Information, App Credentials, copy the signing secret into `OAUTH_CLIENTS` as ' +
        '`signing_secret`, and set that before you go on: Slack looks at once whether the address answers with it.',
      'Under Event Subscriptions, turn events on and enter {address} as the request URL.',
      'Under Subscribe to bot events, add `message.channels` and `message.groups`, and, to hear of an end, ' +
        '`app_uninstalled` and `tokens_revoked`. Save. Slack has no API for this: it is part of the app.',
      'Invite the bot into the channels: it hears of no others.',
    ),
  }],
  accounts: ({ body }) => accountsOf(body),
  type({ body }) {
    const parts = ['event.type', 'event.subtype'].flatMap((path) => textAt(body, path) ?? [])
    return parts.length > 0 ? parts.join('.') : textAt(body, 'type')
  },
  dedupeKey: ({ body }) => textAt(body, 'event_id'),
  isFarewell: ({ body }) =>
    ['app_uninstalled', 'tokens_revoked'].includes(textAt(body, 'event.type') ?? ''),
  notices: (webhook) => accountsOf(webhook.body).flatMap((account) => noticesOf(account, webhook)),
  // as a sync reads: channels, of those only the ones that are named
  isSynced({ source_id }, { settings }) {
    const channel = source_id?.split(':')[0] ?? ''
    const named = settings.channels as string[]
    return named.length > 0 ? named.includes(channel) : /^[CG]/.test(channel)
  },
}

/** Whose app may see it, where Slack says so: a channel can be shared between workspaces. */
function accountsOf(body: unknown): string[] {
  const list = readPath(body, 'authorizations')
  const authorized = (Array.isArray(list) ? list : []).flatMap((one) =>
    textAt(one, 'team_id') ?? []
  )
  const own = textAt(body, 'team_id')
  return authorized.length > 0 ? [...new Set(authorized)] : own === null ? [] : [own]
}

function noticesOf(account: string, { body, received_at }: InboundWebhook): WebhookNotice[] {
  const event = readPath(body, 'event')
  const channel = textAt(event, 'channel')
  if (textAt(event, 'type') !== 'message' || channel === null) return []
  const subtype = textAt(event, 'subtype') ?? ''
  const isChange = subtype === 'message_changed'
  const isDeletion = subtype === 'message_deleted'
  const message = isChange ? readPath(event, 'message') : event
  const ts = textAt(message, isDeletion ? 'deleted_ts' : 'ts')
  if (ts === null || !TS.test(ts) || NOTICES.test(textAt(message, 'subtype') ?? '')) return []

  const event_ts = textAt(event, 'event_ts') ?? ''
  const source_id = `${channel}:${ts}`
  const isGone = isDeletion || textAt(message, 'subtype') === 'tombstone'
  const app = textAt(body, 'api_app_id')
  return [{
    account,
    stream: 'messages',
    source_id,
    kind: isGone ? 'deleted' : 'changed',
    occurred_at: TS.test(event_ts)
      ? timeOf(event_ts)
      : secondsText(readPath(body, 'event_time')) ?? received_at,
    dedupe_key: `${account}:${textAt(body, 'event_id') ?? event_ts}:${source_id}`,
    // Slack's own answer leaves the channel out
    ...(isGone ? {} : { record: { ...message as object, channel } }),
    ...(app !== null && textAt(message, 'app_id') === app ? { is_own_write: true as const } : {}),
  }]
}
