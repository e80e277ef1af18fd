// How do local changes of contacts go to Salesforce? New ones by our own id where a field holds it, others by theirs.
import type { ContactColumns } from '../../contracts/contacts.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import {
  emailKey,
  emailOf,
  holdsAll,
  itemsOf,
  madeSince,
  type Push,
  type PushedRecord,
  type PushOutcome,
} from '../vocabulary/push.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { IdLookup, RecordContext } from '../vocabulary/stream-definition.ts'
import { streetOf } from '../vocabulary/street.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import { fieldsOf, recordTypeIs, restCall, soqlText } from './read-people.ts'
import {
  BATCH,
  resultsOf,
  type SObject,
  SOBJECTS,
  upsertContacts,
  writeCall,
  type WriteResult,
} from './write-people.ts'

type Settings = {
  email_opt_out: boolean
  record_type?: string | undefined
  external_id_field?: string | undefined
  api_version: string
}
type Person = PushedRecord<'contacts'>

/** Refusals that another look at what is there, or another time, may end. */
const PASSING = [
  'UNABLE_TO_LOCK_ROW',
  'SERVER_UNAVAILABLE',
  'REQUEST_LIMIT_EXCEEDED',
  'QUERY_TIMEOUT',
]
/** What Salesforce says of a record that is not there any more. */
const GONE = ['ENTITY_IS_DELETED', 'INVALID_CROSS_REFERENCE_KEY', 'NOT_FOUND']

export const push: Push<Settings, 'contacts'> = {
  columns: ['email', 'first_name', 'last_name', 'phone', 'job_title', 'address'],
  batch: BATCH,
  key: null, // two contacts may share an address
  ownId: ({ settings }) => settings.external_id_field !== undefined,
  refuse: ({ columns }) =>
    columns.last_name?.trim() ? null : 'Salesforce wants a last name of every contact and lead.',
  find: {
    max: 50, // a query stands in an address, which holds 16,000 characters
    call: (people, context) => findCall(people, context.settings),
    records: (body) => readPath(body, 'records'),
    next: restCall,
    matches(raw, person, { settings: { external_id_field } }) {
      if (external_id_field && readPath(raw, external_id_field) === person.record_id) return true
      const email = emailOf(person)
      const held = readPath(raw, 'Email')
      if (email !== null) return emailKey(String(held ?? '')) === email
      const made = timestampText(readPath(raw, 'CreatedDate'))
      return person.sending_at !== null && !held && made !== null &&
        made >= madeSince(person.sending_at) && holdsAll(raw, fieldsToWrite('Contact', person))
    },
  },
  create(people, { settings: { external_id_field: field, record_type } }) {
    const records = people.map((person) => ({
      ...fieldsToWrite('Contact', person),
      // with another type it would be none of those that are read
      ...(record_type === undefined ? {} : { RecordType: { Name: record_type } }),
      ...(field === undefined ? {} : { [field]: person.record_id }),
    }))
    return field === undefined
      ? writeCall('POST', '', records.map((record) => ['Contact', record]))
      : upsertContacts(field, records)
  },
  update: (people) =>
    writeCall(
      'PATCH',
      '',
      people.map((person) => {
        const type = typeOf(person.source_id!)
        return [type, { id: person.source_id, ...fieldsToWrite(type, person) }]
      }),
    ),
  written: ({ body }, people) =>
    itemsOf('Salesforce', resultsOf(body), people).map((result, index) =>
      outcomeOf(result, people[index]!.source_id)
    ),
  remove: {
    batch: BATCH,
    call: (ids) => ({
      method: 'DELETE',
      path: SOBJECTS,
      query: { ids: ids.join(','), allOrNone: 'false' },
    }),
    removed: ({ body }, ids) =>
      itemsOf('Salesforce', resultsOf(body), ids).map((result, index) =>
        GONE.includes(result.code) ? { source_id: ids[index]! } : outcomeOf(result, ids[index]!)
      ),
  },
}

function outcomeOf(
  { id, isDone, code, message }: WriteResult,
  source_id: string | null,
): PushOutcome {
  if (isDone) return { source_id: id || source_id || '' }
  const trouble = { code, message: message || 'Salesforce says no more.' }
  return [...PASSING, ...GONE].includes(code) ? { retry: trouble } : { refused: trouble }
}

/** Contacts and leads share a stream; what an id begins with says which it is. */
const typeOf = (id: string): SObject => id.startsWith('00Q') ? 'Lead' : 'Contact'

function findCall(people: Person[], settings: Settings): PlatformCall | null {
  const { external_id_field } = settings
  const emails = people.flatMap((person) => emailOf(person) ?? [])
  const unnamed = people.filter((person) =>
    person.uncertain && person.sending_at !== null && emailOf(person) === null
  )
  const since = unnamed.map(({ sending_at }) => madeSince(sending_at!)).sort()[0]
  const anyOf = [
    ...(emails.length === 0 ? [] : [isOneOf('Email', emails)]),
    ...(external_id_field === undefined
      ? []
      : [isOneOf(external_id_field, people.map(({ record_id }) => record_id))]),
    ...(since === undefined ? [] : [
      `(CreatedDate >= ${since} AND ` +
      `${isOneOf('LastName', unnamed.map(({ columns }) => columns.last_name?.trim() ?? ''))})`,
    ]),
  ]
  if (anyOf.length === 0) return null
  return queryCall('Contact', settings, `(${anyOf.join(' OR ')})`, [
    'CreatedDate',
    ...(external_id_field === undefined ? [] : [external_id_field]),
  ])
}

const isOneOf = (field: string, values: string[]) =>
  `${field} IN (${[...new Set(values)].map(soqlText).join(', ')})`

function queryCall(
  object: SObject,
  settings: Settings,
  condition: string,
  more: string[] = [],
): PlatformCall {
  return {
    path: '/services/data/{api_version}/query',
    query: { q: soql(object, settings, condition, more) },
  }
}

const soql = (object: SObject, settings: Settings, condition: string, more: string[] = []) =>
  `SELECT ${[...fieldsOf(object, settings), ...more].join(', ')} FROM ${object} WHERE ${
    [...recordTypeIs(settings), condition].join(' AND ')
  }`

export const lookup: IdLookup<Settings> = {
  max: BATCH,
  call(ids, { settings }: RecordContext<Settings>) {
    const asked = (['Contact', 'Lead'] as const).flatMap((object) => {
      const own = ids.filter((id) => typeOf(id) === object)
      return own.length === 0 ? [] : [[object, isOneOf('Id', own)] as const]
    })
    if (asked.length < 2) {
      const [object, condition] = asked[0] ?? ['Contact', isOneOf('Id', ids)] as const
      return queryCall(object, settings, condition)
    }
    return {
      method: 'POST',
      path: '/services/data/{api_version}/composite/batch',
      json: {
        batchRequests: asked.map(([object, condition]) => ({
          method: 'GET',
          url: `${settings.api_version}/query?q=${
            encodeURIComponent(soql(object, settings, condition))
          }`,
        })),
      },
    }
  },
  records(body) {
    const parts = readPath(body, 'results')
    if (!Array.isArray(parts)) return readPath(body, 'records')
    const lists = parts.map((part: unknown) =>
      readPath(part, 'statusCode') === 200 ? readPath(part, 'result.records') : undefined
    )
    return lists.every(Array.isArray) ? lists.flat() : undefined
  },
}

function fieldsToWrite(type: SObject, { columns, changed }: Person): Record<string, string | null> {
  return Object.assign({}, ...changed.map((column) => FIELDS_OF[column]?.(columns, type) ?? {}))
}

type Columns = Partial<ContactColumns>

const FIELDS_OF: Partial<
  Record<keyof ContactColumns, (columns: Columns, type: SObject) => Record<string, string | null>>
> = {
  email: ({ email }) => ({ Email: email?.trim() || null }),
  first_name: ({ first_name }) => ({ FirstName: first_name || null }),
  last_name: ({ last_name }) => ({ LastName: last_name || null }),
  // a mobile number shows as the phone of whoever has no other
  phone: ({ phone }): Record<string, string | null> =>
    phone ? { Phone: phone } : { Phone: null, MobilePhone: null },
  job_title: ({ job_title }) => ({ Title: job_title || null }),
  address: ({ address }, type) =>
    Object.fromEntries(
      Object.entries({
        Street: streetOf(address),
        City: address?.city || null,
        State: address?.region || null,
        PostalCode: address?.postal_code || null,
        Country: address?.country || null,
      }).map(([name, value]) => [type === 'Lead' ? name : `Mailing${name}`, value]),
    ),
}
