// Which of Gmail's addresses answer, and with what? Profile, messages, history and sending.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { Consent } from '../parts/oauth-server.ts'
import type { UnitLimit } from '../parts/unit-limit.ts'
import { type Mailbox, shown } from './mailbox.ts'
import { parseMail } from './parse-mail.ts'

const BASE = '/gmail/v1/users/me'
const SCOPE = 'https://www.googleapis.com/auth/gmail'

export type GmailRoutes = {
  verify(access_token: string): Consent | null
  mailbox(email: string): Mailbox | undefined
  units: UnitLimit
  now(): Date
}

export function answerGmail(request: SimulatorRequest, parts: GmailRoutes): SimulatorAnswer {
  const { pathname, searchParams: query } = request.url
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const consent = parts.verify(token)
  const mailbox = consent && parts.mailbox(consent.account)
  if (!consent || !mailbox) return refusal(401, 'authError', 'Invalid Credentials')

  const path = pathname.startsWith(`${BASE}/`) ? pathname.slice(BASE.length) : ''
  const method = `${request.method} ${path}`
  const spend = (units: number) => parts.units.take(mailbox.email, units)
  const may = (...scopes: string[]) =>
    scopes.some((scope) => consent.scopes.includes(`${SCOPE}.${scope}`))
  const forbidden = () => refusal(403, 'insufficientPermissions', 'Insufficient Permission')
  const throttled = () =>
    refusal(403, 'userRateLimitExceeded', `User-rate limit exceeded for ${mailbox.email}`)

  if (method === 'POST /messages/send') {
    if (!may('send')) return forbidden()
    if (!spend(100)) return throttled()
    return send(request, mailbox, parts)
  }
  if (!may('readonly')) return forbidden()
  switch (method) {
    case 'GET /profile':
      if (!spend(1)) return throttled()
      return {
        body: {
          emailAddress: mailbox.email,
          messagesTotal: mailbox.list().length,
          threadsTotal: mailbox.list().length,
          historyId: mailbox.historyId(),
        },
      }
    case 'GET /messages':
      return spend(5) ? listMessages(query, mailbox) : throttled()
    case 'GET /history':
      return spend(2) ? listHistory(query, mailbox) : throttled()
  }
  const id = /^GET \/messages\/([^/]+)$/.exec(method)?.[1]
  if (id === undefined) return refusal(404, 'notFound', 'Not Found')
  if (!spend(20)) return throttled()
  const message = mailbox.find(decodeURIComponent(id))
  if (!message) return refusal(404, 'notFound', 'Requested entity was not found.')
  return { body: shown(message, query.get('format') ?? 'full', query.getAll('metadataHeaders')) }
}

function listMessages(query: URLSearchParams, mailbox: Mailbox): SimulatorAnswer {
  const words = (query.get('q') ?? '').split(' ').filter((word) => word !== '')
  const after = Number(words.find((word) => word.startsWith('after:'))?.slice(6) ?? 0)
  const noDrafts = words.includes('-in:drafts')
  const labels = query.getAll('labelIds')
  const found = mailbox.list().filter((message) =>
    Number(message.internalDate) >= after * 1000 &&
    !(noDrafts && message.labelIds.includes('DRAFT')) &&
    !message.labelIds.some((label) => label === 'SPAM' || label === 'TRASH') &&
    labels.every((label) => message.labelIds.includes(label))
  )
  const page = paged(query, found, 100)
  if (!page) return refusal(400, 'invalidArgument', 'Invalid pageToken')
  return {
    body: {
      // the key is missing when there is nothing
      ...(page.items.length === 0
        ? {}
        : { messages: page.items.map(({ id, threadId }) => ({ id, threadId })) }),
      ...page.next,
      resultSizeEstimate: found.length,
    },
  }
}

function listHistory(query: URLSearchParams, mailbox: Mailbox): SimulatorAnswer {
  const start = query.get('startHistoryId') ?? ''
  if (!/^\d+$/.test(start)) return refusal(400, 'invalidArgument', 'Invalid startHistoryId')
  const entries = mailbox.history(BigInt(start))
  if (!entries) return refusal(404, 'notFound', 'Requested entity was not found.')
  const page = paged(query, entries, 100)
  if (!page) return refusal(400, 'invalidArgument', 'Invalid pageToken')
  const history = page.items.map(({ id, kind, message, labelIds }) => ({
    id: String(id),
    messages: [message],
    [kind]: [{ message, ...(labelIds ? { labelIds } : {}) }],
  }))
  return {
    body: {
      ...(history.length === 0 ? {} : { history }),
      ...page.next,
      historyId: mailbox.historyId(),
    },
  }
}

function paged<Item>(query: URLSearchParams, items: Item[], usual: number) {
  const size = Math.min(500, Number(query.get('maxResults') ?? usual))
  const token = query.get('pageToken')
  const start = token === null ? 0 : Number(Buffer.from(token, 'base64url').toString())
  if (!Number.isInteger(start) || start < 0 || !Number.isInteger(size) || size < 1) return null
  const end = start + size
  const next = end < items.length
    ? { nextPageToken: Buffer.from(String(end)).toString('base64url') }
    : {}
  return { items: items.slice(start, end), next }
}

/** Recipients with a mailbox here get it; nobody but the sender sees who was in blind copy. */
function send(request: SimulatorRequest, mailbox: Mailbox, parts: GmailRoutes): SimulatorAnswer {
  const body = jsonOf(request) as { raw?: unknown; threadId?: unknown } | null
  if (typeof body?.raw !== 'string') return refusal(400, 'invalidArgument', "'raw' is required")
  let payload
  try {
    payload = parseMail(Buffer.from(body.raw, 'base64url').toString('latin1'))
  } catch (error) {
    return refusal(400, 'invalidArgument', String(error))
  }
  const of = (name: string) =>
    payload.headers.filter((header) => header.name.toLowerCase() === name)
      .map(({ value }) => value).join(', ')
  const recipients = [...`${of('to')}, ${of('cc')}, ${of('bcc')}`.matchAll(/[^\s<>,]+@[^\s<>,]+/g)]
    .map(([address]) => address)
  if (recipients.length === 0) {
    return refusal(400, 'invalidArgument', 'Recipient address required')
  }
  const threadId = typeof body.threadId === 'string' ? body.threadId : undefined
  if (threadId !== undefined && !mailbox.list().some((message) => message.threadId === threadId)) {
    return refusal(404, 'notFound', 'Requested entity was not found.')
  }
  const at = parts.now().toISOString()
  const sent = mailbox.deliver({
    payload,
    labelIds: ['SENT'],
    at,
    ...(threadId === undefined ? {} : { threadId }),
  })
  const seen = {
    ...payload,
    headers: payload.headers.filter(({ name }) => name.toLowerCase() !== 'bcc'),
  }
  for (const address of new Set(recipients)) {
    parts.mailbox(address)?.deliver({ payload: seen, labelIds: ['INBOX', 'UNREAD'], at })
  }
  const { id, labelIds } = sent
  return { body: { id, threadId: sent.threadId, labelIds } }
}

/** Google's envelope of an error. */
export function refusal(code: number, reason: string, message: string): SimulatorAnswer {
  return {
    status: code,
    body: { error: { code, message, errors: [{ message, domain: 'global', reason }] } },
  }
}
