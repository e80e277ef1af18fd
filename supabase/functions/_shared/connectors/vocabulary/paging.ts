// How does one get from one page to the next? The kinds of paging, each in one place.
import { AppError } from '../../platform/errors.ts'
import { readPath } from './read-path.ts'
import type { Place } from './stream-definition.ts'

export type Pagination =
  /** Everything in one answer. */
  | { type: 'none' }
  /** `?page=1&pagesize=50`; `first` is the number of the first page, 1 when not said. */
  | {
    type: 'page'
    param: string
    sizeParam?: string
    size: number
    first?: number
  }
  /** `?offset=0&limit=100`, counted in records. */
  | { type: 'offset'; param: string; sizeParam?: string; size: number }
  /** `next` is where the answer keeps the next cursor (`paging.next`); missing, null or '' ends it. */
  | {
    type: 'cursor'
    param: string
    next: string
    sizeParam?: string
    size?: number
  }
  /** `next` is where the answer keeps the next address, or `header` for RFC 8288's `Link` header. */
  | { type: 'link'; next: string; sizeParam?: string; size?: number }

/** The place to continue from; saved between runs, so plain JSON. */
export type PageCursor =
  /** `seen`: records on the pages before. */
  | { page: number; seen?: number }
  | { offset: number }
  | { cursor: string }
  | { url: string }
  /** The connector's own, of a stream that it reads page by page. */
  | { place: Place }

/** A page as it came, for finding the next. */
export type PageAnswer = {
  body: unknown
  headers: Headers
  /** Records on this page. */
  count: number
  /** Records in the whole list, if the platform says. */
  total: number | undefined
}

/** Whether a complete scan proves that a record it did not show is gone. Pages counted by number or
 * offset shift while records come and go, so there a record can slip between two pages. */
export function confirmsAbsence(pagination: Pagination): boolean {
  return pagination.type !== 'page' && pagination.type !== 'offset'
}

/**
 * Whether a refusal of this status to a saved place means that the platform forgot the place. The
 * first page went through with the same settings, so nothing else can be meant.
 */
export function isExpired(cursor: PageCursor | null, status: number | undefined): boolean {
  const opaque = cursor !== null && ('cursor' in cursor || 'url' in cursor)
  return opaque && status !== undefined &&
    [400, 404, 410, 422].includes(status)
}

export function pageSize(pagination: Pagination, wanted?: number): number | undefined {
  if (pagination.type === 'none' || pagination.size === undefined) {
    return undefined
  }
  return Math.max(1, Math.min(wanted ?? pagination.size, pagination.size))
}

/** The query that asks for the page at `cursor` (null: the first); a `url` cursor needs none. */
export function pageQuery(
  pagination: Pagination,
  cursor: PageCursor | null,
  size: number | undefined,
): Record<string, string> {
  if (pagination.type === 'none' || (cursor && 'url' in cursor)) return {}
  const query: Record<string, string> = {}
  if (pagination.sizeParam !== undefined && size !== undefined) {
    query[pagination.sizeParam] = `${size}`
  }
  switch (pagination.type) {
    case 'page':
      query[pagination.param] = `${pageOf(pagination, cursor)}`
      break
    case 'offset':
      query[pagination.param] = `${offsetOf(cursor)}`
      break
    case 'cursor':
      if (cursor && 'cursor' in cursor) query[pagination.param] = cursor.cursor
      break
  }
  return query
}

/** The place after this page, or null when this was the last. */
export function nextCursor(
  pagination: Pagination,
  cursor: PageCursor | null,
  size: number | undefined,
  answer: PageAnswer,
): PageCursor | null {
  switch (pagination.type) {
    case 'none':
      return null
    case 'page':
      return nextPage(pagination, cursor, size ?? pagination.size, answer)
    case 'offset':
      return nextOffset(cursor, size ?? pagination.size, answer)
    case 'cursor': {
      const next = readPath(answer.body, pagination.next)
      if (next === undefined || next === null || next === '') return null
      if (typeof next !== 'string' && typeof next !== 'number') {
        throw new AppError('provider_bad_answer', {
          detail: `no readable cursor at ${pagination.next}`,
        })
      }
      return moved(cursor, { cursor: String(next) })
    }
    case 'link': {
      const next = pagination.next === 'header'
        ? linkHeader(answer.headers)
        : readPath(answer.body, pagination.next)
      if (next === undefined || next === null || next === '') return null
      if (typeof next !== 'string') {
        throw new AppError('provider_bad_answer', {
          detail: `no readable link at ${pagination.next}`,
        })
      }
      return moved(cursor, { url: next })
    }
  }
}

/**
 * Without a total, a short page is the last. With one, the records seen decide: a platform that
 * quietly gives smaller pages than asked would otherwise end the list early, and the records behind
 * would look deleted.
 */
function nextPage(
  pagination: { first?: number },
  cursor: PageCursor | null,
  size: number,
  { count, total }: PageAnswer,
): PageCursor | null {
  const page = pageOf(pagination, cursor)
  const before = (page - (pagination.first ?? 1)) * size
  const seen = (cursor && 'page' in cursor ? cursor.seen ?? before : 0) + count
  refuseSuddenEmptiness(seen, count, total)
  if (total === undefined ? count < size : seen >= total) return null
  if (total !== undefined && count === 0) {
    // A platform that filters after paging never fills its total; its pages still end here.
    if (before >= total) return null
    throw endedEarly(seen, total)
  }
  return { page: page + 1, seen }
}

function nextOffset(
  cursor: PageCursor | null,
  size: number,
  { count, total }: PageAnswer,
): PageCursor | null {
  const seen = offsetOf(cursor) + count
  refuseSuddenEmptiness(seen, count, total)
  if (total === undefined ? count < size : seen >= total) return null
  if (count === 0) throw endedEarly(seen, total)
  return { offset: seen }
}

/**
 * A list that had records a page ago and now calls itself empty is a platform in trouble: taken for the
 * end, the records behind would look deleted.
 */
function refuseSuddenEmptiness(seen: number, count: number, total: number | undefined): void {
  if (total !== 0 || count > 0 || seen === 0) return
  throw new AppError('provider_bad_answer', {
    detail: `the list was suddenly empty after ${seen} records`,
  })
}

const endedEarly = (seen: number, total: number | undefined) =>
  new AppError('provider_bad_answer', {
    detail: `the list ended after ${seen} of ${total} records`,
  })

/** A platform that hands out the place we came from would keep us in a circle. */
function moved(from: PageCursor | null, to: PageCursor): PageCursor {
  if (from && JSON.stringify(from) === JSON.stringify(to)) {
    throw new AppError('provider_repeated_page')
  }
  return to
}

const pageOf = (pagination: { first?: number }, cursor: PageCursor | null) =>
  cursor && 'page' in cursor ? cursor.page : pagination.first ?? 1

const offsetOf = (cursor: PageCursor | null) => cursor && 'offset' in cursor ? cursor.offset : 0

/** The target of `rel="next"` (RFC 8288). */
function linkHeader(headers: Headers): string | null {
  for (const part of (headers.get('link') ?? '').split(/,(?=\s*<)/)) {
    const [, target, parameters] = /^\s*<([^>]*)>(.*)$/.exec(part) ?? []
    const [, quoted, bare] = /;\s*rel=(?:"([^"]*)"|([^;\s]+))/i.exec(parameters ?? '') ?? []
    if ((quoted ?? bare ?? '').toLowerCase().split(/\s+/).includes('next')) return target!
  }
  return null
}
