// What becomes of a message as Slack shows it?
import { z } from 'zod'
import type { MessageColumns } from '../../contracts/messages.ts'
import { requiresResponse } from '../../text/requires-response.ts'
import { sentimentScore } from '../../text/sentiment.ts'
import type { AccountFacts } from '../vocabulary/auth.ts'
import { timeOf, TS } from './timestamps.ts'

const ts = z.string().regex(TS, 'must be like 1780000000.000100')

export const Message = z.object({
  type: z.literal('message'),
  /** Added when it is read: Slack's own answer is about one channel. */
  channel: z.string().min(1),
  ts,
  subtype: z.string().nullish(),
  text: z.string().nullish(),
  user: z.string().nullish(),
  bot_id: z.string().nullish(),
  username: z.string().nullish(),
  bot_profile: z.object({ name: z.string().nullish() }).nullish(),
  /** Added when it is read. */
  user_name: z.string().nullish(),
  thread_ts: ts.nullish(),
  deleted_ts: ts.nullish(),
  files: z.array(z.object({
    id: z.string().nullish(),
    name: z.string().nullish(),
    mimetype: z.string().nullish(),
    size: z.number().nullish(),
  })).nullish(),
  attachments: z.array(z.object({ fallback: z.string().nullish(), text: z.string().nullish() }))
    .nullish(),
})
export type Message = z.output<typeof Message>

/** A message has its `ts` in its channel only. A deletion names the message it deletes. */
export function sourceId(raw: unknown): unknown {
  const { channel, ts, deleted_ts } = (raw ?? {}) as Record<string, unknown>
  return typeof channel === 'string' && typeof ts === 'string'
    ? `${channel}:${deleted_ts ?? ts}`
    : null
}

/** `tombstone` stands where the first message of a thread was deleted. */
export const isDeleted = ({ subtype }: Message) =>
  subtype === 'tombstone' || subtype === 'message_deleted'

export function columnsOf(message: Message, account: AccountFacts): MessageColumns {
  const { channel, ts, thread_ts, user, bot_id } = message
  const isOurs = !!bot_id && bot_id === account.bot_id || !!user && user === account.user_id
  const direction = isOurs ? 'outbound' : 'inbound'
  const body_text = textOf(message)
  const thread = thread_ts ?? ts
  return {
    channel,
    direction,
    thread_id: `${channel}:${thread}`,
    reply_to_id: thread === ts ? null : `${channel}:${thread}`,
    sender_name: message.user_name || message.username || message.bot_profile?.name || null,
    sender_address: user ?? bot_id ?? null,
    recipients: [],
    subject: null,
    body_text,
    snippet: body_text?.replace(/\s+/g, ' ').slice(0, 140).toWellFormed() ?? null,
    sent_at: timeOf(ts),
    is_read: null, // Slack tells a bot nothing about what people have read
    attachments: (message.files ?? []).map(({ id, name, mimetype, size }) => ({
      source_id: id ?? null,
      name: name ?? null,
      content_type: mimetype ?? null,
      byte_size: Number.isSafeInteger(size) && size! >= 0 ? size! : null,
    })),
    sentiment_score: sentimentScore(body_text),
    requires_response: requiresResponse({
      direction,
      body_text,
      // in a channel somebody has to name us; a direct message is to us
      isToUs: channel.startsWith('D') ||
        mentions(message.text ?? '', account.user_id),
      isAutomated: !!bot_id,
    }),
    permalink: account.url
      ? `${account.url}archives/${channel}/p${ts.replace('.', '')}` +
        (thread === ts ? '' : `?thread_ts=${thread}&cid=${channel}`)
      : null,
  }
}

/** A mention may carry the name beside the id. */
const mentions = (text: string, user: string | undefined) =>
  !!user && (text.includes(`<@${user}>`) || text.includes(`<@${user}|`))

/** The text, or what a message made of attachments says instead. */
function textOf({ text, attachments }: Message): string | null {
  const said = text ||
    (attachments ?? []).flatMap(({ fallback, text }) => fallback || text || []).join('\n')
  return plainText(said).trim() || null
}

/** Slack's own marks (`<@U01>`, `<https://x|here>`, `&amp;`) as a person reads them. */
export const plainText = (text: string) =>
  text
    .replace(/<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>/g, (_, mark: string, target: string, label) => {
      if (mark === '!') return `@${label || target.replace(/^subteam\^/, '')}`.replace('@@', '@')
      if (mark !== '') return `${mark}${label || target}`
      const address = target.replace(/^mailto:/, '')
      return label && label !== address ? `${label} (${address})` : address
    })
    .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
