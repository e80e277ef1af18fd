// How are the members of an audience read? By the time of their change, each page a list of its own.
import { AppError } from '../../platform/errors.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { timestamp } from '../vocabulary/timestamp.ts'

/** What Mailchimp filters by is exclusive and counts in whole seconds. */
export const OVERLAP_SECONDS = 5

const SIZE = 1000
/** Of members who changed within one second, when some of them change again while they are read. */
const MOST_REPEATS = 5

type MembersPlace = {
  /** Who changed in a later second than this one; null: everybody. Seconds since the epoch. */
  since: number | null
  /** Members of the second after `since` that were read. Not 0 only where one second fills a page. */
  read: number
  /** The last of them. */
  last: string | null
  /** How often this second was begun again. */
  repeats: number
}

/**
 * A list by offset alone would lose people: a member who changes moves to the end of it, and the neighbour slips
 * into a page that was read already. So each page begins again at the second in which the page before ended.
 */
export async function readMembers({ place, since, call }: ReadContext): Promise<ReadResult> {
  const at = (place as MembersPlace | null) ?? {
    since: since === null ? null : secondOf(since),
    read: 0,
    last: null,
    repeats: 0,
  }
  // the last one read is asked for once more: still there, nobody before it has moved
  const offset = Math.max(0, at.read - 1)
  const { body } = await call({
    path: '/lists/{list_id}/members',
    query: {
      sort_field: 'last_changed',
      sort_dir: 'ASC',
      exclude_fields: '_links,members._links',
      count: String(SIZE),
      offset: String(offset),
      ...(at.since === null ? {} : { since_last_changed: spelled(at.since) }),
    },
  })
  const records = readPath(body, 'members')
  if (!Array.isArray(records)) throw badAnswer('Mailchimp answered without a list of members.')
  const total = readPath(body, 'total_items')
  const page = {
    records: records as unknown[],
    ...(place === null && typeof total === 'number' ? { total } : {}),
  }
  if (at.last !== null && readPath(records[0], 'id') !== at.last) {
    if (at.repeats === MOST_REPEATS) {
      throw badAnswer(
        'The members who changed within one second keep changing while they are read.',
      )
    }
    return { ...page, next: { ...at, read: 0, last: null, repeats: at.repeats + 1 } }
  }
  // taken for the end, a list that had records a page ago would make everybody behind look gone
  if (records.length === 0 && (place !== null || Number(total ?? 0) > 0)) {
    throw badAnswer('Mailchimp’s list of members was suddenly empty.')
  }
  const isLast = typeof total === 'number'
    ? offset + records.length >= total
    : records.length < SIZE
  return { ...page, next: isLast ? null : following(at, offset, records) }
}

function following(at: MembersPlace, offset: number, records: unknown[]): MembersPlace {
  // one that will be refused for having no time keeps none of the others from being read
  const seconds = records.map((record) => {
    const time = timestamp.safeParse(readPath(record, 'last_changed'))
    return time.success ? secondOf(time.data) : null
  })
  const first = seconds[0]
  const last = seconds.findLast((second) => second !== null) ?? null
  if (last === null) {
    throw badAnswer('Mailchimp shows members without the time of their change.')
  }
  const since = last - 1
  if (first !== last) return { since, read: 0, last: null, repeats: 0 }
  // a whole page of one second: an import, say
  return {
    since,
    read: offset + records.length,
    last: String(readPath(records.at(-1), 'id')),
    repeats: since === at.since ? at.repeats : 0,
  }
}

const badAnswer = (detail: string) => new AppError('provider_bad_answer', { detail })

const secondOf = (time: string) => Math.floor(Date.parse(time) / 1000)

const spelled = (second: number) => new Date(second * 1000).toISOString().replace('.000Z', '+00:00')
