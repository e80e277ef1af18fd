// Which messages does a sync of a Gmail mailbox read? A list of recent ones, then what Gmail's history names.
import { AppError, isCode } from '../../platform/errors.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { UNITS } from './units.ts'

type Settings = { days: number; label_ids: string[] }
type Reading = ReadContext<Settings>

/** Messages to a page: at 20 units each a page takes ten seconds of the usual quota. */
const PAGE_SIZE = 50

/** Gmail's own search decides at the edge of the time it is asked for; this far inside it is certain. */
const EDGE_SECONDS = 3_600

/** Everything of the last days, newest first. What changes meanwhile is in the history behind the bookmark. */
export async function readList(context: Reading): Promise<ReadResult> {
  const { call, place, settings, now } = context
  const bookmark = place
    ? undefined
    : { history_id: historyId((await call({ path: '/profile' })).body) }
  const after = Number(place?.after ?? Math.floor(now.getTime() / 1000) - settings.days * 86_400)
  const { body } = await call({
    path: '/messages',
    query: {
      q: `after:${after} -in:drafts`,
      maxResults: String(PAGE_SIZE),
      ...(settings.label_ids.length > 0 ? { labelIds: settings.label_ids } : {}),
      ...(place?.page ? { pageToken: String(place.page) } : {}),
    },
    cost: UNITS.list,
  }).catch((error: unknown) => {
    throw place?.page && isCode(error, 'provider_rejected') ? expired(error) : error
  })
  const listed = listAt(body, 'messages')
  // an empty list has no `messages`, but its estimate
  if (!listed && readPath(body, 'resultSizeEstimate') === undefined) throw badAnswer('messages')
  const ids = (listed ?? []).flatMap((message) => textAt(message, 'id') ?? [])
  const records = await readMessages(context.all, ids)
  const page = textAt(body, 'nextPageToken')
  return {
    records: records.filter((message) => message !== null && isSynced(message, settings)),
    next: page === undefined ? null : { page, after },
    ...(bookmark && {
      bookmark,
      reachesBackTo: new Date((after + EDGE_SECONDS) * 1000).toISOString(),
    }),
  }
}

/** What changed since the bookmark. A message is read again for each page that names it, not for each change. */
export async function readHistory(context: Reading): Promise<ReadResult> {
  const { call, settings } = context
  const place = (context.place ?? {}) as HistoryPlace
  const start = String(place.history ?? context.bookmark!.history_id)
  const page = place.left ? null : await historyPage(call, start, place.page)
  const changes = place.left ?? changesOf(page!.body).filter(({ id }) => !place.read?.includes(id))
  const now = changes.slice(0, PAGE_SIZE)
  const left = changes.slice(PAGE_SIZE)

  const living = now.filter(({ deleted }) => !deleted)
  const found = await readMessages(context.all, living.map(({ id }) => id))
  const messages = new Map(living.map(({ id }, index) => [id, found[index]]))
  const records = now.map(({ id, deleted }) => {
    const message = deleted ? null : messages.get(id) ?? null
    // also where it came since the bookmark: a run that failed may have stored it, and left the bookmark
    return message !== null && isSynced(message, settings) ? message : { id, gone: true }
  })

  const nextPage = page ? textAt(page.body, 'nextPageToken') : place.next
  // Read after the first page's historyId: what changes about these later is in the next run's history.
  const read = now.map(({ id }) => id)
  const next = left.length > 0
    ? { history: start, left, read, ...(nextPage === undefined ? {} : { next: nextPage }) }
    : nextPage === undefined
    ? null
    : { history: start, page: nextPage, read }
  const isFirst = context.place === null
  return {
    records,
    next,
    ...(isFirst && { bookmark: { history_id: later(start, historyId(page!.body)) } }),
  }
}

type Change = { id: string; deleted: boolean }

/** Where a run is in the history: a page of it, or messages of one that are still to be read. */
type HistoryPlace = {
  history?: string
  page?: string
  left?: Change[]
  next?: string
  /** Just read, and named again by the next page. */
  read?: string[]
}

async function historyPage(call: ReadContext['call'], start: string, page: string | undefined) {
  return await call({
    path: '/history',
    query: {
      startHistoryId: start,
      maxResults: String(PAGE_SIZE),
      ...(page === undefined ? {} : { pageToken: page }),
    },
    cost: UNITS.history,
  }).catch((error: unknown) => {
    // 404: Gmail has forgotten this history id, after about a week. 400: it has forgotten the page.
    const isLost = isCode(error, 'provider_not_found') ||
      page !== undefined && isCode(error, 'provider_rejected')
    throw isLost ? expired(error) : error
  })
}

/** The messages a page of the history names, each once. */
function changesOf(body: unknown): Change[] {
  const changes = new Map<string, Change>()
  for (const entry of listAt(body, 'history') ?? []) {
    for (const kind of ['messagesAdded', 'messagesDeleted', 'labelsAdded', 'labelsRemoved']) {
      for (const change of listAt(entry, kind) ?? []) {
        const id = textAt(change, 'message.id')
        if (id === undefined) continue
        const deleted = changes.get(id)?.deleted || kind === 'messagesDeleted'
        changes.set(id, { id, deleted })
      }
    }
  }
  return [...changes.values()]
}

/** In the order of the ids; null for one that is gone. */
async function readMessages(
  all: Reading['all'],
  ids: string[],
  format: 'full' | 'metadata' = 'full',
): Promise<(Record<string, unknown> | null)[]> {
  try {
    const answers = await all(
      ids.map((id) => ({
        path: `/messages/${encodeURIComponent(id)}`,
        query: { format },
        cost: UNITS.get,
        accept: [404],
      })),
    )
    return answers.map(({ status, body }) => status === 404 ? null : withoutAttachmentIds(body))
  } catch (error) {
    if (!isCode(error, 'provider_answer_too_large') || format === 'metadata') throw error
    // one of them is a giant: halve until it is alone, and take only its headers
    if (ids.length === 1) return await readMessages(all, ids, 'metadata')
    const middle = Math.ceil(ids.length / 2)
    return [
      ...await readMessages(all, ids.slice(0, middle)),
      ...await readMessages(all, ids.slice(middle)),
    ]
  }
}

/**
 * Gmail names an attachment differently in each answer: kept, a message would look changed whenever it is
 * read. Its part's id stays.
 */
function withoutAttachmentIds(message: unknown): Record<string, unknown> {
  const part = (value: Record<string, unknown>): Record<string, unknown> => {
    const { body, parts, ...rest } = value
    const { attachmentId: _, ...kept } = (body ?? {}) as Record<string, unknown>
    return {
      ...rest,
      ...(body === undefined ? {} : { body: kept }),
      ...(Array.isArray(parts) ? { parts: parts.map(part) } : {}),
    }
  }
  const { payload, ...rest } = message as Record<string, unknown>
  return payload === undefined ? rest : { ...rest, payload: part(payload as typeof rest) }
}

/** Sent or received, not deleted, and with the labels that are asked for. */
function isSynced(message: Record<string, unknown>, { label_ids }: Settings): boolean {
  const labels = Array.isArray(message.labelIds) ? message.labelIds : []
  return !labels.some((label) => ['DRAFT', 'SPAM', 'TRASH'].includes(label)) &&
    label_ids.every((label) => labels.includes(label))
}

/** A number of any size, as text. */
function historyId(body: unknown): string {
  const id = textAt(body, 'historyId')
  if (id === undefined || !/^\d{1,30}$/.test(id)) throw badAnswer('history id')
  return id
}

/** History ids pass 2^53, where numbers no longer tell neighbours apart. */
const later = (a: string, b: string) => BigInt(a) >= BigInt(b) ? a : b

function textAt(value: unknown, path: string): string | undefined {
  const text = readPath(value, path)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function listAt(value: unknown, path: string): unknown[] | null {
  const list = readPath(value, path)
  return Array.isArray(list) ? list : null
}

const expired = (cause: unknown) => new AppError('provider_cursor_expired', { cause })

const badAnswer = (what: string) =>
  new AppError('provider_bad_answer', { detail: `Gmail answered without ${what}.` })
