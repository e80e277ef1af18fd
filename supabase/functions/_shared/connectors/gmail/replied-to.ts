// What does a reply take from the mail it answers, so that it joins its thread in every mail program?
import { readHeaders } from '../../mail/headers.ts'
import { Message } from './message.ts'

const Original = Message.pick({ threadId: true, payload: true })

export type RepliedTo = {
  thread_id: string
  /** `Message-ID` of the original; null when it has none. */
  message_id: string | null
  references: string[]
  subject: string
  /** Whoever wrote it; its recipients where we wrote it ourselves. */
  to: string[]
}

/** @param own The account's own address. */
export function repliedTo(original: unknown, own: string): RepliedTo {
  const { threadId, payload } = Original.parse(original)
  const headers = readHeaders(payload.headers)
  const addressesIn = (name: string) =>
    headers.mailboxes(name).flatMap(({ address }) => address ?? [])
  const subject = headers.text('Subject') ?? ''
  const from = addressesIn('From')
  const answered = addressesIn('Reply-To')
  const message_id = idsIn(headers.text('Message-ID'))[0] ?? null
  return {
    thread_id: threadId,
    message_id,
    references: [...idsIn(headers.text('References')), ...message_id === null ? [] : [message_id]],
    subject: /^re:/i.test(subject) ? subject : `Re: ${subject}`.trim(),
    to: from.includes(own) ? addressesIn('To') : answered.length > 0 ? answered : from,
  }
}

/** `<…@…>`, one after the other. */
const idsIn = (text: string | null) => text?.match(/<[^<>\s]{1,990}>/g) ?? []
