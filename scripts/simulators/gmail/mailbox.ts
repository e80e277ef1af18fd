// What does one mailbox hold, and what happened in it? Messages, and a history that reaches back only so far.
import { randomBytes } from 'node:crypto'

export type GmailHeader = { name: string; value: string }
export type GmailPart = {
  partId: string
  mimeType: string
  filename: string
  headers: GmailHeader[]
  body: { size: number; data?: string; attachmentId?: string }
  parts?: GmailPart[]
}
export type GmailMessage = {
  id: string
  threadId: string
  labelIds: string[]
  snippet: string
  historyId: string
  internalDate: string
  sizeEstimate: number
  payload: GmailPart
}
export type NewMail = {
  payload: GmailPart
  labelIds: string[]
  /** RFC 3339. */
  at: string
  threadId?: string
  snippet?: string
}

type Kind = 'messagesAdded' | 'messagesDeleted' | 'labelsAdded' | 'labelsRemoved'
type Entry = { id: bigint; kind: Kind; message: Partial<GmailMessage>; labelIds?: string[] }

export type Mailbox = {
  email: string
  /** Newest first. */
  list(): GmailMessage[]
  find(id: string): GmailMessage | undefined
  deliver(mail: NewMail): GmailMessage
  label(id: string, add: string[], remove: string[]): void
  /** For good, not into the trash. */
  remove(id: string): void
  historyId(): string
  /** What happened behind this id; null when that is too long ago. */
  history(after: bigint): Entry[] | null
  /** Gmail forgets everything up to now. */
  forgetHistory(): void
}

/** Just below 2^53: after a few changes ids pass what a number can tell apart. */
const FIRST_HISTORY_ID = 2n ** 53n - 3n

export function createMailbox(email: string, firstId: number): Mailbox {
  const messages = new Map<string, GmailMessage>()
  let history: Entry[] = []
  let last = FIRST_HISTORY_ID
  let forgotten = 0n
  let made = firstId

  const note = (kind: Kind, message: GmailMessage, labelIds?: string[]) => {
    last += 1n
    message.historyId = String(last)
    const { id, threadId } = message
    history.push({
      id: last,
      kind,
      message: { id, threadId, labelIds: [...message.labelIds] },
      ...(labelIds === undefined ? {} : { labelIds }),
    })
  }
  const need = (id: string) => {
    const message = messages.get(id)
    if (!message) throw new Error(`there is no ${id}`)
    return message
  }
  const time = (message: GmailMessage) => Number(message.internalDate)

  return {
    email,
    list: () => [...messages.values()].sort((a, b) => time(b) - time(a) || (a.id < b.id ? 1 : -1)),
    find: (id) => messages.get(id),
    deliver({ payload, labelIds, at, threadId, snippet = '' }) {
      made += 1
      const id = `19a0c0ff${made.toString(16).padStart(8, '0')}`
      const message: GmailMessage = {
        id,
        threadId: threadId ?? id,
        labelIds,
        snippet,
        historyId: '',
        internalDate: String(Date.parse(at)),
        sizeEstimate: JSON.stringify(payload).length,
        payload,
      }
      messages.set(id, message)
      note('messagesAdded', message)
      return message
    },
    label(id, add, remove) {
      const message = need(id)
      message.labelIds = [
        ...new Set([...message.labelIds, ...add]),
      ].filter((label) => !remove.includes(label))
      if (add.length > 0) note('labelsAdded', message, add)
      if (remove.length > 0) note('labelsRemoved', message, remove)
    },
    remove(id) {
      const message = need(id)
      messages.delete(id)
      note('messagesDeleted', message)
    },
    historyId: () => String(last),
    history: (after) => after < forgotten ? null : history.filter(({ id }) => id > after),
    forgetHistory() {
      history = []
      last += 1n
      forgotten = last
    },
  }
}

/** As an answer shows it: the same attachment has another id each time. */
export function shown(message: GmailMessage, format: string, headers: string[]): object {
  const { payload, ...rest } = message
  if (format === 'minimal') return rest
  if (format === 'metadata') {
    const asked = headers.map((name) => name.toLowerCase())
    return {
      ...rest,
      payload: {
        mimeType: payload.mimeType,
        headers: payload.headers.filter(({ name }) =>
          asked.length === 0 || asked.includes(name.toLowerCase())
        ),
      },
    }
  }
  const part = (value: GmailPart): GmailPart => ({
    ...value,
    body: value.filename === ''
      ? value.body
      : { size: value.body.size, attachmentId: `ANGjdJ${randomBytes(12).toString('base64url')}` },
    ...(value.parts ? { parts: value.parts.map(part) } : {}),
  })
  return { ...rest, payload: part(payload) }
}
