// What is in a mail's parts? The text a person reads, and what is attached.
import { Buffer } from 'node:buffer'
import type { Attachment } from '../contracts/messages.ts'
import { htmlToText } from '../text/html-to-text.ts'
import { decodeWords } from './encoded-words.ts'
import { type Header, readHeaders } from './headers.ts'

/** A part as Gmail takes a mail apart. */
export type MailPart = {
  partId?: string | null | undefined
  mimeType?: string | null | undefined
  filename?: string | null | undefined
  headers?: Header[] | null | undefined
  body?: { size?: number | null | undefined; data?: string | null | undefined } | null | undefined
  parts?: MailPart[] | null | undefined
}

/** Enough to read and to search; the whole mail stays in `source_data`. */
const MOST_CHARACTERS = 200_000

/** A mail that nests deeper than this was made to do harm. */
const MOST_LEVELS = 30

type Text = { text: string; isHtml: boolean }

/** The plain text where there is one, else what the HTML says; null without either. */
export function bodyText(part: MailPart): string | null {
  const text = textOf(part, 0)?.text.replace(/\r\n?/g, '\n').trim() ?? ''
  return text === '' ? null : text.slice(0, MOST_CHARACTERS).toWellFormed()
}

function textOf(part: MailPart, level: number): Text | null {
  const type = part.mimeType?.toLowerCase() ?? ''
  if (type.startsWith('multipart/')) {
    if (level >= MOST_LEVELS) return null
    const texts = (part.parts ?? []).flatMap((inner) => textOf(inner, level + 1) ?? [])
    if (texts.length === 0) return null
    // alternatives say the same: the plain one, unless it is empty
    if (type === 'multipart/alternative') {
      return texts.find(({ isHtml }) => !isHtml) ?? texts.at(-1)!
    }
    return {
      text: texts.map(({ text }) => text).join('\n\n'),
      isHtml: texts.every(({ isHtml }) => isHtml),
    }
  }
  if (isAttached(part)) return null
  if (type !== 'text/plain' && type !== 'text/html') return null
  const decoded = decode(part)
  const text = type === 'text/html' ? htmlToText(decoded) : decoded
  return text.trim() === '' ? null : { text, isHtml: type === 'text/html' }
}

/** Everything that has a name or is no text of the mail itself; the content stays where it is. */
export function attachmentsOf(part: MailPart, level = 0): Attachment[] {
  const type = part.mimeType?.toLowerCase() ?? ''
  if (type.startsWith('multipart/')) {
    if (level >= MOST_LEVELS) return []
    return (part.parts ?? []).flatMap((inner) => attachmentsOf(inner, level + 1))
  }
  if (!isAttached(part)) return []
  const size = part.body?.size
  return [{
    source_id: part.partId || null,
    name: part.filename ? decodeWords(part.filename) : null,
    content_type: part.mimeType ?? null,
    byte_size: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : null,
  }]
}

function isAttached(part: MailPart): boolean {
  if (part.filename) return true
  const disposition = readHeaders(part.headers ?? []).text('Content-Disposition')
  return /^attachment\b/i.test(disposition ?? '') ||
    !/^text\/(?:plain|html)$/i.test(part.mimeType || 'text/plain')
}

/** UTF-8 where it is; what is not is in the charset it names, or in Latin letters of old. */
function decode(part: MailPart): string {
  const bytes = Buffer.from(part.body?.data ?? '', 'base64url')
  const type = readHeaders(part.headers ?? []).text('Content-Type') ?? ''
  const named = /charset\s*=\s*"?([^";\s]+)/i.exec(type)?.[1]
  for (const charset of ['utf-8', named, 'windows-1252']) {
    try {
      if (charset) return new TextDecoder(charset, { fatal: true }).decode(bytes)
    } catch {
      // not in this one, or nobody knows it
    }
  }
  return new TextDecoder().decode(bytes)
}
