// What becomes of a message as Gmail shows it?
import { z } from 'zod'
import type { MessageColumns } from '../../contracts/messages.ts'
import { isAutomatic, isMailingList, readHeaders } from '../../mail/headers.ts'
import { attachmentsOf, bodyText, type MailPart } from '../../mail/parts.ts'
import { decodeEntities } from '../../text/html-entities.ts'
import { requiresResponse } from '../../text/requires-response.ts'
import { sentimentScore } from '../../text/sentiment.ts'

export const Message = z.object({
  id: z.string().min(1),
  threadId: z.string().min(1),
  labelIds: z.array(z.string()).nullish(),
  snippet: z.string().nullish(),
  /** Milliseconds, as text. */
  internalDate: z.string().regex(/^\d{1,14}$/, 'must be milliseconds'),
  payload: z.object({
    headers: z.array(z.object({ name: z.string(), value: z.string() })),
    mimeType: z.string().nullish(),
    filename: z.string().nullish(),
    body: z.object({ size: z.number().nullish(), data: z.string().nullish() }).nullish(),
    // they nest; what is wrong deep down is met where it is read
    parts: z.array(z.custom<MailPart>((part) => typeof part === 'object' && part !== null))
      .nullish(),
  }),
  gone: z.undefined().optional(),
})
export type Message = z.output<typeof Message>

/** What is read instead of a message that was deleted, or has left what is synced. */
export const Gone = z.object({ id: z.string().min(1), gone: z.literal(true) })

export const sentAt = (message: Message) => new Date(Number(message.internalDate)).toISOString()

/** @param own The account's own address. */
export function columnsOf(message: Message, own: string): MessageColumns {
  const { payload } = message
  const labels = message.labelIds ?? []
  const headers = readHeaders(payload.headers)
  const sender = headers.mailboxes('From')[0]
  const recipients = (['to', 'cc', 'bcc'] as const).flatMap((kind) =>
    headers.mailboxes(kind).map((mailbox) => ({ ...mailbox, kind }))
  )
  // SENT: by another of the account's addresses
  const direction = sender?.address === own || labels.includes('SENT') ? 'outbound' : 'inbound'
  const body_text = bodyText(payload)
  const subject = headers.text('Subject')
  return {
    channel: 'email',
    direction,
    thread_id: message.threadId,
    reply_to_id: null, // mail names another mail by its `Message-ID`, which Gmail does not know it by
    sender_name: sender?.name ?? null,
    sender_address: sender?.address ?? null,
    recipients,
    subject,
    body_text,
    snippet: decodeEntities(message.snippet ?? '').trim() || null,
    sent_at: sentAt(message),
    is_read: !labels.includes('UNREAD'),
    attachments: attachmentsOf(payload),
    sentiment_score: sentimentScore(body_text, headers.text('Content-Language')),
    requires_response: requiresResponse({
      direction,
      body_text,
      subject,
      sender_address: sender?.address ?? null,
      // an alias or a blind copy is meant for us; a mail that has us in copy only is not
      isToUs: !recipients.some(({ kind, address }) => kind === 'cc' && address === own),
      isMailingList: isMailingList(headers),
      isAutomated: isAutomatic(headers),
    }),
    permalink: own === ''
      ? null
      : `https://mail.google.com/mail/?authuser=${encodeURIComponent(own)}#all/${message.id}`,
  }
}
