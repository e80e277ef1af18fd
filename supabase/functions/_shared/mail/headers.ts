// What do a mail's headers say? Names vary in case and repeat; addresses come in every form of RFC 5322.
import addressparser from 'nodemailer/lib/addressparser'
import { decodeWords } from './encoded-words.ts'

/** One header as it came. */
export type Header = { name: string; value: string }

export type Mailbox = { name: string | null; address: string | null }

export type Headers = {
  /** The first of that name, unfolded and decoded. */
  text(name: string): string | null
  has(name: string): boolean
  /** The mailboxes of all headers of that name; those in a group too. */
  mailboxes(name: string): Mailbox[]
}

export function readHeaders(headers: readonly Header[]): Headers {
  const of = (name: string) =>
    headers.filter((header) => header.name.toLowerCase() === name.toLowerCase())
      .map((header) => header.value.replace(/\r?\n(?=[ \t])/g, ''))
  return {
    text: (name) => decodeWords(of(name)[0] ?? '').trim() || null,
    has: (name) => of(name).length > 0,
    // parsed before it is decoded: an encoded name may hold a comma
    mailboxes: (name) =>
      of(name).flatMap((value) => addressparser(value, { flatten: true })).map((mailbox) => ({
        name: decodeWords(mailbox.name).trim() || null,
        address: mailbox.address.trim().toLowerCase() || null,
      })),
  }
}

/** Did it come to a list of many? RFC 2919, RFC 2369, and what older software says. */
export const isMailingList = (headers: Headers) =>
  headers.has('List-Id') || headers.has('List-Unsubscribe') ||
  /^(?:bulk|list|junk)$/i.test(headers.text('Precedence') ?? '')

/** Did a machine write it? RFC 3834, a bounce's empty return path, and what older software says. */
export const isAutomatic = (headers: Headers) =>
  !/^(?:no\b.*)?$/i.test(headers.text('Auto-Submitted') ?? '') ||
  headers.has('X-Autoreply') || headers.has('X-Autorespond') ||
  /^auto_reply$/i.test(headers.text('Precedence') ?? '') ||
  headers.text('Return-Path') === '<>'
