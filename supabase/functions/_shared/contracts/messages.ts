// A message as every connector's mapping yields it: a mail, a chat message, a direct message.
import { z } from 'zod'
import { Timestamp } from './contract.ts'

export const Recipient = z.object({
  name: z.string().nullable(),
  address: z.string().nullable(), // a mail address, or the platform's id of the person
  kind: z.enum(['to', 'cc', 'bcc']),
})
export type Recipient = z.infer<typeof Recipient>

/** What is attached; the content stays at the platform. */
export const Attachment = z.object({
  source_id: z.string().nullable(),
  name: z.string().nullable(),
  content_type: z.string().nullable(),
  byte_size: z.int().nonnegative().nullable(),
})
export type Attachment = z.infer<typeof Attachment>

/** -1 (negative) to 1 (positive), by a word list: a hint, not a judgement. */
export const SentimentScore = z.number().min(-1).max(1)

/** The columns of `messages` that come from the platform. */
export const MessageColumns = z.object({
  channel: z.string().min(1), // `email` for mail, else the platform's id of the channel
  direction: z.enum(['inbound', 'outbound']),
  thread_id: z.string().nullable(), // the platform's ids, unique within the account
  reply_to_id: z.string().nullable(),
  sender_name: z.string().nullable(),
  sender_address: z.string().nullable(),
  recipients: z.array(Recipient),
  subject: z.string().nullable(),
  body_text: z.string().nullable(),
  snippet: z.string().nullable(),
  sent_at: Timestamp,
  is_read: z.boolean().nullable(), // null when the platform does not say
  attachments: z.array(Attachment),
  sentiment_score: SentimentScore.nullable(),
  requires_response: z.boolean(),
  permalink: z.string().nullable(),
})
export type MessageColumns = z.infer<typeof MessageColumns>
