// How do local changes of contacts go to Airtable? Into the mapped fields, new ones merged by email where it is mapped.
import { z } from 'zod'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { platformWords } from '../vocabulary/platform-words.ts'
import {
  emailKey,
  emailOf,
  holdsAll,
  itemsOf,
  madeSince,
  type Push,
  type PushContext,
  type PushedRecord,
} from '../vocabulary/push.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { IdLookup } from '../vocabulary/stream-definition.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import { cellText, isEmptyCell } from './cells.ts'
import { addressOf, isFieldId } from './read-tables.ts'
import {
  type Cells,
  createCall,
  deleteCall,
  deletedIds,
  MOST_IN_A_CALL,
  updateCall,
  upsertCall,
} from './write-rows.ts'

const COLUMNS = [
  'email',
  'first_name',
  'last_name',
  'full_name',
  'phone',
  'company',
  'job_title',
  'tags',
  'image_url',
] as const
type Column = (typeof COLUMNS)[number]

/** The table of contacts, and which of its fields holds what. */
type Mapping =
  & { table: string; last_modified?: string | undefined }
  & {
    [Name in Column]?: string | undefined
  }
type Settings = { contacts?: Mapping | undefined }
type Contact = PushedRecord<'contacts'>

/** What Airtable calls a row that is not there any more. */
export const GONE = ['ROW_DOES_NOT_EXIST', 'MODEL_ID_NOT_FOUND']

const MOST_FOUND = 100

export const push: Push<Settings, 'contacts'> = {
  columns: COLUMNS,
  columnsFor: ({ contacts }) => COLUMNS.filter((column) => contacts?.[column] !== undefined),
  batch: MOST_IN_A_CALL,
  key: 'email',
  together: (contact) => emailOf(contact) === null ? 'no email' : 'email',
  find: {
    max: 20, // each is a condition with all of its text in one address
    call: (contacts, context) => findCall(contacts, context),
    records: (body) => readPath(body, 'records'),
    next(body, call) {
      const offset = readPath(body, 'offset')
      return typeof offset === 'string' && offset !== ''
        ? { ...call, query: { ...call.query, offset } }
        : null
    },
    matches(raw, contact, { settings }) {
      const mapping = mappingOf(settings)
      const fields = readPath(raw, 'fields')
      const held = mapping.email === undefined ? undefined : cellOf(fields, mapping.email)
      const email = emailOf(contact)
      if (email !== null) return emailKey(cellText(held)) === email
      const made = timestampText(readPath(raw, 'createdTime'))
      return contact.sending_at !== null && isEmptyCell(held) && made !== null &&
        made >= madeSince(contact.sending_at) && holdsAll(fields, cellsOf(contact, mapping))
    },
  },
  create(contacts, { settings }) {
    const mapping = mappingOf(settings)
    const rows = contacts.map((contact) => cellsOf(contact, mapping))
    return mapping.email === undefined || emailOf(contacts[0]!) === null
      ? createCall(mapping.table, rows, optionsOf(mapping))
      : upsertCall(mapping.table, [mapping.email], rows, optionsOf(mapping))
  },
  update(contacts, { settings }) {
    const mapping = mappingOf(settings)
    return updateCall(
      mapping.table,
      contacts.map((contact) => ({ id: contact.source_id!, fields: cellsOf(contact, mapping) })),
      optionsOf(mapping),
    )
  },
  written({ body }, contacts, { settings }) {
    const { last_modified } = mappingOf(settings)
    return itemsOf('Airtable', Rows.parse(readPath(body, 'records')), contacts).map((row) => {
      const source_updated_at = last_modified === undefined
        ? null
        : timestampText(row.fields[last_modified])
      return { source_id: row.id, ...(source_updated_at === null ? {} : { source_updated_at }) }
    })
  },
  remove: {
    batch: MOST_IN_A_CALL,
    call: (ids, { settings }) => ({
      ...deleteCall(mappingOf(settings).table, ids),
      // one that is gone has all ten refused: alone, the refusal says which it is
      ...(ids.length === 1 ? { accept: [404, 422] } : {}),
    }),
    removed({ status, body }, ids) {
      if (status < 400) {
        const deleted = deletedIds(body)
        return ids.map((source_id) =>
          deleted.includes(source_id) ? { source_id } : {
            retry: { code: 'NOT_DELETED', message: 'Airtable does not say that it is deleted.' },
          }
        )
      }
      const error = readPath(body, 'error')
      const code = platformWords(readPath(error, 'type') ?? error) || String(status)
      const message = platformWords(readPath(error, 'message')) || `Airtable answered ${status}.`
      return ids.map((source_id) =>
        status === 404 || GONE.includes(code) ? { source_id } : { refused: { code, message } }
      )
    },
  },
}

/** By the formula that is true of these rows. */
export const lookup: IdLookup<Settings> = {
  max: MOST_FOUND,
  call: (ids, { settings }) =>
    listCall(mappingOf(settings), anyOf(ids.map((id) => `RECORD_ID() = ${formulaText(id)}`))),
  records: (body) => readPath(body, 'records'),
}

const Rows = z.array(z.object({ id: z.string(), fields: z.record(z.string(), z.unknown()) }))

/** A push is asked for only where the contacts have a table. */
const mappingOf = ({ contacts }: Settings): Mapping => contacts ?? { table: '' }

const isById = (mapping: Mapping) => Object.values(mapping).some((name) => isFieldId(name ?? ''))

const optionsOf = (mapping: Mapping) => ({ typecast: true, byFieldId: isById(mapping) })

/** The cells to be written; null empties one. */
function cellsOf({ source_id, columns, changed }: Contact, mapping: Mapping): Cells {
  return Object.fromEntries(
    COLUMNS.filter((column) => changed.includes(column)).flatMap((column) => {
      const field = mapping[column]
      const value = column === 'email' ? columns.email?.trim() : columns[column]
      if (field === undefined) return []
      // empty fits any kind of field as null only, and a new row is empty by itself
      if (!isEmptyCell(value)) return [[field, value]]
      return source_id === null ? [] : [[field, null]]
    }),
  )
}

const cellOf = (fields: unknown, name: string): unknown =>
  typeof fields === 'object' && fields !== null ? (fields as Cells)[name] : undefined

function listCall(mapping: Mapping, filterByFormula: string): PlatformCall {
  return {
    path: addressOf(mapping.table),
    query: {
      pageSize: String(MOST_FOUND),
      ...(isById(mapping) ? { returnFieldsByFieldId: 'true' } : {}),
      filterByFormula,
    },
  }
}

function findCall(
  contacts: Contact[],
  { settings }: PushContext<Settings>,
): PlatformCall | null {
  const mapping = mappingOf(settings)
  const conditions = contacts.flatMap((contact) => {
    const email = emailOf(contact)
    if (email !== null) {
      return mapping.email === undefined
        ? []
        : [`LOWER(TRIM(${reference(mapping.email)})) = ${formulaText(email)}`]
    }
    if (!contact.uncertain || contact.sending_at === null) return []
    const texts = Object.entries(cellsOf(contact, mapping)).flatMap(([field, value]) =>
      typeof value === 'string' && isShort(value)
        ? [`TRIM(${reference(field)}) = ${formulaText(value.trim())}`]
        : []
    )
    const since = `IS_AFTER(CREATED_TIME(), ${formulaText(madeSince(contact.sending_at))})`
    return [`AND(${[since, ...texts].join(', ')})`]
  })
  return conditions.length === 0 ? null : listCall(mapping, anyOf(conditions))
}

const anyOf = (conditions: string[]) => `OR(${conditions.join(', ')})`

/** An address holds 16,000 characters; what is left out here is compared in the answer. */
const isShort = (value: string) => /^.{1,100}$/.test(value.trim())

/** A field, by its name or id. */
const reference = (field: string) => `{${field.replaceAll('}', '\\}')}}`

/** A string literal of a formula: what stands in it cannot end it. */
const formulaText = (value: string) =>
  `'${value.replaceAll(/[\\']/g, (character) => `\\${character}`)}'`
