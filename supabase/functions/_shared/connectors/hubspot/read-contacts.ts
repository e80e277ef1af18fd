// How are HubSpot's contacts read? All of them by list, changes by search, deletions from the recycle bin.
import { AppError, isCode } from '../../platform/errors.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { timestamp } from '../vocabulary/timestamp.ts'

export const CONTACTS = '/crm/v3/objects/contacts'
/** What a contact's columns are made of. */
export const SYNCED_PROPERTIES = [
  'email',
  'firstname',
  'lastname',
  'phone',
  'mobilephone',
  'company',
  'jobtitle',
  'lifecyclestage',
  'hs_email_optout',
  'hs_email_hard_bounce_reason_enum',
  'address',
  'city',
  'state',
  'zip',
  'country',
]
/** HubSpot answers with a few properties only, unless it is told which. */
export const PROPERTIES = [
  ...SYNCED_PROPERTIES,
  'createdate',
  'lastmodifieddate',
  'hs_merged_object_ids',
]

/** The search lags some seconds behind. */
export const OVERLAP_SECONDS = 60

type Times = {
  /** The newest change seen, RFC 3339. */
  changed: string | null
  /** The newest deletion seen. */
  archived: string | null
  /** When this run began. */
  started: string
}
/** Epoch milliseconds as text, as HubSpot filters by them. */
type Milliseconds = string
type ContactsPlace =
  & Times
  & (
    | { step: 'all'; after: string | null }
    /** `past`: what changed at `from` itself has been read. */
    | { step: 'changed'; from: Milliseconds; past: boolean; archivedFrom: string }
    /** Contacts that all changed at one time, in the order of their ids. */
    | { step: 'same_time'; at: Milliseconds; behind: string; archivedFrom: string }
    | { step: 'archived'; archivedFrom: string; after: string | null; pages: number }
  )

const LIST_SIZE = 100
const SEARCH_SIZE = 200
/** Of the recycle bin: it is in no order of time, so that all of it would have to be read each time. */
const ARCHIVED_PAGES = 20

export async function readContacts(context: ReadContext): Promise<ReadResult> {
  const place = (context.place as ContactsPlace | null) ?? firstPlace(context)
  switch (place.step) {
    case 'all':
      return await readAll(place, context)
    case 'changed':
      return await readChanged(place, context)
    case 'same_time':
      return await readSameTime(place, context)
    case 'archived':
      return await readArchived(place, context)
  }
}

function firstPlace({ since, bookmark, now }: ReadContext): ContactsPlace {
  const times: Times = { changed: null, archived: null, started: now.toISOString() }
  if (since === null) return { ...times, step: 'all', after: null }
  // changes and deletions have times of their own: one newest time of both would skip some of the other
  const from = (kept: unknown) =>
    typeof kept === 'string'
      ? new Date(Date.parse(kept) - OVERLAP_SECONDS * 1000).toISOString()
      : since
  const changedFrom = from(bookmark?.changed)
  return {
    ...times,
    changed: typeof bookmark?.changed === 'string' ? bookmark.changed : since,
    step: 'changed',
    from: String(Date.parse(changedFrom)),
    past: false,
    archivedFrom: from(bookmark?.archived),
  }
}

async function readAll(
  place: ContactsPlace & { step: 'all' },
  context: ReadContext,
): Promise<ReadResult> {
  const { records, after } = await list(place.after, false, context)
  const changed = newest(place.changed, records, 'properties.lastmodifieddate')
  // what changed behind our back while the list was read is newer than its beginning
  const bookmark = {
    changed: earlier(changed ?? place.started, place.started),
    archived: place.started,
  }
  return { records, next: after === null ? null : { ...place, changed, after }, bookmark }
}

/**
 * The oldest change first, each page a search of its own that begins at the last time of the page before:
 * no search comes near the 10,000 results HubSpot shows, and a contact that changes meanwhile, which moves
 * to the end, makes none slip through.
 */
async function readChanged(
  place: ContactsPlace & { step: 'changed' },
  context: ReadContext,
): Promise<ReadResult> {
  const { from, past, archivedFrom } = place
  const { records, isLast } = await search(context, {
    filters: [{ propertyName: 'lastmodifieddate', operator: past ? 'GT' : 'GTE', value: from }],
    sortBy: 'lastmodifieddate',
  })
  const changed = newest(place.changed, records, 'properties.lastmodifieddate')
  const times: Times = { changed, archived: place.archived, started: place.started }
  if (isLast) {
    return {
      records,
      next: { ...times, step: 'archived', archivedFrom, after: null, pages: 0 },
    }
  }
  const last = String(Date.parse(timeOf(records.at(-1), 'properties.lastmodifieddate') ?? ''))
  if (last === 'NaN') {
    throw new AppError('provider_bad_answer', {
      detail: 'HubSpot shows a contact that changed without a time.',
    })
  }
  const first = String(Date.parse(timeOf(records[0], 'properties.lastmodifieddate') ?? ''))
  return first === last
    // a whole page of one time: an import, say
    ? await readSameTime(
      { ...times, step: 'same_time', at: last, behind: '0', archivedFrom },
      context,
    )
    : { records, next: { ...times, step: 'changed', from: last, past: false, archivedFrom } }
}

async function readSameTime(
  place: ContactsPlace & { step: 'same_time' },
  context: ReadContext,
): Promise<ReadResult> {
  const { at, behind, archivedFrom, ...times } = place
  const { records, isLast } = await search(context, {
    filters: [
      { propertyName: 'lastmodifieddate', operator: 'EQ', value: at },
      { propertyName: 'hs_object_id', operator: 'GT', value: behind },
    ],
    sortBy: 'hs_object_id',
  })
  return {
    records,
    next: isLast
      ? { ...times, step: 'changed', from: at, past: true, archivedFrom }
      : { ...place, behind: String(readPath(records.at(-1), 'id')) },
  }
}

async function readArchived(
  place: ContactsPlace & { step: 'archived' },
  context: ReadContext,
): Promise<ReadResult> {
  const { records, after } = await list(place.after, true, context)
  const archived = newest(place.archived, records, 'archivedAt')
  const pages = place.pages + 1
  const gone = records.filter((record) => {
    const at = timeOf(record, 'archivedAt')
    return at === null || Date.parse(at) >= Date.parse(place.archivedFrom)
  })
  return {
    records: gone,
    next: after === null || pages === ARCHIVED_PAGES ? null : { ...place, archived, after, pages },
    bookmark: {
      changed: place.changed,
      archived: earlier(archived ?? place.started, place.started),
    },
  }
}

async function list(after: string | null, archived: boolean, { call }: ReadContext) {
  const { body } = await call({
    path: CONTACTS,
    query: {
      limit: String(LIST_SIZE),
      archived: String(archived),
      properties: PROPERTIES.join(','),
      ...(after === null ? {} : { after }),
    },
  }).catch((error: unknown) => {
    // the first page went through with the same words, so it is the place that HubSpot does not know
    throw after !== null && isCode(error, 'provider_rejected', 'provider_not_found')
      ? new AppError('provider_cursor_expired', { cause: error })
      : error
  })
  const next = readPath(body, 'paging.next.after')
  return {
    records: resultsOf(body),
    after: typeof next === 'string' && next !== '' ? next : null,
  }
}

async function search(
  { call }: ReadContext,
  { filters, sortBy }: { filters: Record<string, string>[]; sortBy: string },
) {
  const { body } = await call({
    method: 'POST',
    path: `${CONTACTS}/search`,
    limit: 'search',
    json: {
      filterGroups: [{ filters }],
      sorts: [{ propertyName: sortBy, direction: 'ASCENDING' }], // HubSpot takes one only
      properties: PROPERTIES,
      limit: SEARCH_SIZE,
    },
  })
  const records = resultsOf(body)
  const total = readPath(body, 'total')
  const isLast = records.length === 0 ||
    (typeof total === 'number' ? total <= records.length : records.length < SEARCH_SIZE)
  return { records, isLast }
}

function resultsOf(body: unknown): unknown[] {
  const results = readPath(body, 'results')
  if (Array.isArray(results)) return results
  throw new AppError('provider_bad_answer', {
    detail: 'HubSpot answered without a list of contacts.',
  })
}

function timeOf(record: unknown, path: string): string | null {
  const parsed = timestamp.safeParse(readPath(record, path))
  return parsed.success ? parsed.data : null
}

function newest(known: string | null, records: unknown[], path: string): string | null {
  return records.reduce<string | null>((newest, record) => {
    const time = timeOf(record, path)
    return time !== null && (newest === null || time > newest) ? time : newest
  }, known)
}

const earlier = (one: string, other: string) => one < other ? one : other
