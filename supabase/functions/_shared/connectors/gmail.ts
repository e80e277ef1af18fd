// Gmail: the messages of a mailbox, and sending from it.
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { composeMail } from '../mail/compose-mail.ts'
import { defineConnector } from './define-connector.ts'
import { readFailure } from './gmail/failure.ts'
import { columnsOf, Gone, Message, sentAt } from './gmail/message.ts'
import { readHistory, readList } from './gmail/read-messages.ts'
import { repliedTo } from './gmail/replied-to.ts'
import { UNITS } from './gmail/units.ts'
import { webhooks } from './gmail/webhooks.ts'
import { action } from './vocabulary/actions.ts'
import { oauth2 } from './vocabulary/auth.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { readPath } from './vocabulary/read-path.ts'

const settings = z.strictObject({
  days: z.int().min(1).max(3650).default(30).meta({
    title: 'Days',
    description: 'How far back messages are read.',
  }),
  label_ids: z.array(z.string().trim().min(1)).max(10).default([]).meta({
    title: 'Labels',
    description: 'Only messages that carry all of these labels, by their ids such as INBOX.',
  }),
  quota_units_per_minute: z.int().min(600).max(1_000_000).default(6_000).meta({
    title: 'Quota units a minute',
    description:
      'What Google lets one user of your project use: 6000, or 15000 for projects older than May 2026.',
  }),
})

const SCOPE = 'https://www.googleapis.com/auth/gmail'

/** 5 MB of attachments, in base64. */
const MOST_BASE64 = Math.ceil(5 * 1024 * 1024 / 3) * 4

export const gmail = defineConnector({
  slug: 'gmail',
  name: 'Gmail',
  description: 'Messages of a Gmail mailbox; sends mail and replies from it.',
  category: 'communication',
  docs: 'https://developers.google.com/workspace/gmail/api/reference/rest', // read 2026-11-20
  guide: [
    'The owner signs in with Google. Reading (`gmail.readonly`) has to be allowed; whoever unticks sending',
    '(`gmail.send`) can read and not send. Reading mail is a restricted scope: Google reviews your app before',
    'strangers may use it, and while its status is Testing a sign-in lasts seven days.',
    '',
    'A first sync reads the messages of the last `days`, without drafts, spam and trash. After that Gmail says what',
    'was added, deleted or relabelled; it remembers about a week, and after a longer pause everything is read',
    'again. A message that goes to the trash ends here. What is older than `days` stays as it was when it was',
    'read, and comes in when something changes about it.',
    '',
    'Each message costs 20 of the 6,000 quota units a minute that Google gives a user, so about five come in a',
    'second. `source_id` of an attachment is the id of its part in the message.',
  ].join('\n'),
  settings,

  auth: oauth2({
    authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
    token_endpoint: 'https://oauth2.googleapis.com/token',
    revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
    token_endpoint_auth_method: 'client_secret_post',
    scope: `${SCOPE}.readonly ${SCOPE}.send`,
    requiredScope: `${SCOPE}.readonly`, // people can untick each of them
    // a refresh token comes with `offline`, and a second time only when consent is asked for again
    parameters: { access_type: 'offline', prompt: 'consent', include_granted_scopes: 'true' },
  }),
  baseUrl: 'https://gmail.googleapis.com/gmail/v1/users/me',
  check: {
    path: '/profile',
    accountName: (body) => textAt(body, 'emailAddress'),
    account: (body) => ({ email: (textAt(body, 'emailAddress') ?? '').toLowerCase() }),
  },
  accountId: ({ account }) => account.email ?? '',
  // a turn is a unit, and the dearest call may begin with the last unit of a minute
  rateLimit: ({ quota_units_per_minute }) =>
    perWindow({ requests: quota_units_per_minute - UNITS.send, seconds: 60, burst: 100 }),
  failure: readFailure,
  webhooks,

  streams: {
    messages: {
      incremental: { overlapSeconds: 0 },
      id: 'id',
      record: z.discriminatedUnion('gone', [Message, Gone]),
      toRecord: (message, { account }) =>
        message.gone ? { source_id: message.id, source_updated_at: null, deleted: true } : {
          source_id: message.id,
          // a message never changes but for its labels; of two readings the later one counts
          source_updated_at: sentAt(message),
          columns: columnsOf(message, account.email ?? ''),
        },
      read: (context) =>
        context.place?.history !== undefined || !context.place && context.bookmark
          ? readHistory(context)
          : readList(context),
    },
  },

  actions: {
    send_message: action({
      settings,
      title: 'Send a message',
      description: 'Sends a mail from the account, or a reply in the thread of a message.',
      repeatable: false, // Gmail would send it twice
      input: z.strictObject({
        to: addresses().meta({ description: 'Left out in a reply: whoever wrote it.' }),
        cc: addresses(),
        bcc: addresses(),
        subject: line(998).optional().meta({ description: 'Left out in a reply: its subject.' }),
        text: z.string().max(1_000_000).optional(),
        html: z.string().max(1_000_000).optional(),
        from_name: line(200).optional(),
        reply_to_message_id: z.string().regex(/^[\da-zA-Z_-]{1,64}$/, 'is no id of a message')
          .optional().meta({ description: 'The `source_id` of the message that is answered.' }),
        attachments: z.array(z.strictObject({
          name: line(255).min(1),
          content_type: z.string().regex(/^[\w.+-]+\/[\w.+-]+$/, 'must be like image/png')
            .default('application/octet-stream'),
          content: z.base64().meta({ description: 'Base64.' }),
        })).max(20).default([]).refine(
          (all) => all.reduce((sum, { content }) => sum + content.length, 0) <= MOST_BASE64,
          'must have 5 MB in all at most',
        ),
      }).superRefine((input, context) => {
        const refuse = (path: string, message: string) =>
          context.addIssue({ code: 'custom', path: [path], message })
        if (input.text === undefined && input.html === undefined) refuse('text', 'must be given')
        if (input.reply_to_message_id !== undefined) return
        if (input.subject === undefined) refuse('subject', 'must be given')
        if (input.to.length + input.cc.length + input.bcc.length === 0) {
          refuse('to', 'must be given')
        }
      }),
      output: z.object({
        message_id: z.string(),
        thread_id: z.string(),
        label_ids: z.array(z.string()),
      }),
      before: ({ reply_to_message_id: id }) =>
        id === undefined ? [] : [{
          path: `/messages/${id}`,
          query: {
            format: 'metadata',
            metadataHeaders: ['Message-ID', 'References', 'Subject', 'From', 'To', 'Reply-To'],
          },
          cost: UNITS.get,
        }],
      requests: async (input, { account, idempotency_key, now, found: [original] }) => {
        const reply = original === undefined ? null : repliedTo(original, account.email ?? '')
        const mail = await composeMail({
          from: { name: input.from_name ?? '', address: account.email ?? '' },
          to: input.to.length === 0 && reply ? reply.to : input.to,
          cc: input.cc,
          bcc: input.bcc,
          subject: input.subject ?? reply?.subject ?? '',
          text: input.text,
          html: input.html,
          attachments: input.attachments,
          in_reply_to: reply?.message_id ?? null,
          references: reply?.references ?? [],
          key: createHash('sha256').update(`${account.email} ${idempotency_key}`)
            .digest('hex').slice(0, 32),
          date: now,
        })
        const raw = Buffer.from(mail).toString('base64url')
        return [{
          method: 'POST',
          path: '/messages/send',
          json: reply ? { raw, threadId: reply.thread_id } : { raw },
          cost: UNITS.send,
        }]
      },
      read: ([answer]) => ({
        message_id: textAt(answer?.body, 'id')!,
        thread_id: textAt(answer?.body, 'threadId')!,
        label_ids: (readPath(answer?.body, 'labelIds') ?? []) as string[],
      }),
    }),
  },
})

function textAt(value: unknown, path: string): string | undefined {
  const text = readPath(value, path)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function addresses() {
  return z.array(z.email().max(320)).max(100).default([])
}

/** Text that stays on its line: a line break in a header would begin another one. */
function line(length: number) {
  return z.string().trim().max(length).regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must be one line')
}
