// How are Salesforce's contacts and leads read? By one query each, in its own query language.
import { AppError } from '../../platform/errors.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { timestamp } from '../vocabulary/timestamp.ts'
import type { SObject } from './write-people.ts'

type Settings = { leads: boolean; email_opt_out: boolean; record_type?: string | undefined }
type PeoplePlace = {
  object: SObject
  /** The rest of the query under way, as Salesforce names it. */
  url: string | null
  /** The newest SystemModstamp seen of each, and when the run began. */
  newest: Partial<Record<SObject, string>>
  started: string
}

const FIELDS = ['Id', 'FirstName', 'LastName', 'Name', 'Email', 'Phone', 'MobilePhone', 'Title']
const OPT_OUT_FIELDS = ['HasOptedOutOfEmail', 'EmailBouncedDate']
const FIELDS_OF: Record<SObject, string[]> = {
  Contact: [
    'Account.Name',
    'MailingStreet',
    'MailingCity',
    'MailingState',
    'MailingPostalCode',
    'MailingCountry',
  ],
  Lead: ['Company', 'Street', 'City', 'State', 'PostalCode', 'Country', 'IsConverted'],
}

/** A change carries the time it was made and shows when its transaction ends, which may take minutes. */
export const OVERLAP_SECONDS = 300

export async function readPeople(context: ReadContext<Settings>): Promise<ReadResult> {
  const { settings, now, call } = context
  const place = (context.place as PeoplePlace | null) ??
    { object: 'Contact', url: null, newest: {}, started: now.toISOString() }
  const { body } = await call(
    place.url === null ? firstCall(place.object, context) : { path: queryPath(place.url) },
  )
  const records = readPath(body, 'records')
  if (!Array.isArray(records)) {
    throw new AppError('provider_bad_answer', {
      detail: 'Salesforce answered a query without records.',
    })
  }
  const newest = { ...place.newest, ...newestOf(place, records) }
  const next = nextPlace({ ...place, newest }, body, settings)
  if (records.length === 0 && next !== null) return await readPeople({ ...context, place: next })
  return { records, next, bookmark: bookmarkOf(newest, place.started, context) }
}

function firstCall(
  object: SObject,
  { settings, since, bookmark }: ReadContext<Settings>,
): PlatformCall {
  const from = startOf(object, since, bookmark)
  const conditions = [
    ...recordTypeIs(settings),
    ...(from === null ? [] : [`SystemModstamp >= ${from}`]),
    // of what was converted long ago there is nothing to end
    ...(from === null && object === 'Lead' ? ['IsConverted = false'] : []),
  ]
  return {
    // queryAll shows what is in the recycle bin as well
    path: `/services/data/{api_version}/${from === null ? 'query' : 'queryAll'}`,
    query: {
      q: `SELECT ${fieldsOf(object, settings).join(', ')} FROM ${object}` +
        (conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`) +
        (from === null ? '' : ' ORDER BY SystemModstamp ASC, Id ASC'),
    },
    headers: { 'sforce-query-options': 'batchSize=2000' },
  }
}

/** What a person's columns are made of. */
export const fieldsOf = (
  object: SObject,
  { email_opt_out }: Pick<Settings, 'email_opt_out'>,
): string[] => [
  ...FIELDS,
  ...FIELDS_OF[object],
  ...(email_opt_out ? OPT_OUT_FIELDS : []),
  'IsDeleted',
  'SystemModstamp',
]

/** The condition of a query, or none. */
export const recordTypeIs = ({ record_type }: Pick<Settings, 'record_type'>): string[] =>
  record_type === undefined ? [] : [`RecordType.Name = ${soqlText(record_type)}`]

/** Each object has its own newest time: the other's would skip what changed while it was read. */
function startOf(
  object: SObject,
  since: string | null,
  bookmark: ReadContext['bookmark'],
): string | null {
  if (since === null) return null
  const kept = bookmark?.[object]
  if (typeof kept !== 'string') return since
  return new Date(Date.parse(kept) - OVERLAP_SECONDS * 1000).toISOString()
}

/** A string literal of SOQL: what stands in it cannot end it. */
export function soqlText(value: string): string {
  return `'${
    value.replaceAll(/[\\'"]/g, (character) => `\\${character}`)
      .replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')
  }'`
}

function nextPlace(place: PeoplePlace, body: unknown, settings: Settings): PeoplePlace | null {
  const url = restOf(body)
  if (url !== null) return { ...place, url }
  if (place.object === 'Contact' && settings.leads) return { ...place, object: 'Lead', url: null }
  return null
}

/** What a query left out, as Salesforce names it. */
function restOf(body: unknown): string | null {
  const url = readPath(body, 'nextRecordsUrl')
  return readPath(body, 'done') === false && typeof url === 'string' ? url : null
}

/** The call for what a query left out; null: nothing. */
export function restCall(body: unknown): PlatformCall | null {
  const url = restOf(body)
  return url === null ? null : { path: queryPath(url) }
}

/** The path comes from outside; only one that goes on with a query is followed, at the org's own host. */
function queryPath(url: string): string {
  if (/^\/services\/data\/v[\d.]+\/query(All)?\/[\w-]+$/.test(url)) return url
  throw new AppError('provider_redirect_refused', {
    detail: 'Salesforce names a next page that is no part of a query.',
  })
}

function newestOf({ object, newest }: PeoplePlace, records: unknown[]) {
  const times = records.flatMap((record) => {
    const parsed = timestamp.safeParse(readPath(record, 'SystemModstamp'))
    return parsed.success ? [parsed.data] : []
  })
  const last = [newest[object] ?? '', ...times].reduce((a, b) => a > b ? a : b)
  return last === '' ? {} : { [object]: last }
}

/** What changed after this run began may have been missed by it, however new what it saw is. */
function bookmarkOf(
  newest: PeoplePlace['newest'],
  started: string,
  { since, bookmark }: ReadContext<Settings>,
) {
  const of = (object: SObject) => {
    const seen = newest[object] ?? (since === null ? started : bookmark?.[object])
    return typeof seen === 'string' ? { [object]: seen < started ? seen : started } : {}
  }
  return { ...of('Contact'), ...of('Lead') }
}
