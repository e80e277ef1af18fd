// Airtable, a database of tables that its owners invent: contacts by a field mapping, rows of any table.
import { z } from 'zod'
import type { ContactColumns } from '../contracts/contacts.ts'
import { cellAddress, cellText, cellTexts, isEmptyCell } from './airtable/cells.ts'
import { GONE, lookup, push } from './airtable/push-contacts.ts'
import {
  isFieldId,
  OVERLAP_SECONDS,
  readTables,
  TableOfRow,
  withoutTable,
} from './airtable/read-tables.ts'
import { webhooks } from './airtable/webhooks.ts'
import { deleteCall, deletedIds, MOST_IN_A_CALL, upsertCall } from './airtable/write-rows.ts'
import { defineConnector, type Failure } from './define-connector.ts'
import { action, inBatches } from './vocabulary/actions.ts'
import { headerKey, oauth2, secret } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import { timestamp, timestampText } from './vocabulary/timestamp.ts'

const text = z.string().trim().min(1, 'must not be empty')
const field = (title: string) => text.optional().meta({ title })

const settings = z.strictObject({
  base_id: z.string().trim().regex(/^app[A-Za-z0-9]+$/, 'begins with "app" in the base’s address')
    .meta({ title: 'Base', description: 'The part of the base’s address that begins with "app".' }),
  auth: z.enum(['oauth', 'personal_access_token']).default('oauth').meta({
    title: 'Sign-in',
    description: 'oauth: at Airtable. personal_access_token: a token you make there.',
  }),
  contacts: z.strictObject({
    table: text.meta({ title: 'Table', description: 'Id (tbl…) or name.' }),
    email: field('Email'),
    first_name: field('First name'),
    last_name: field('Last name'),
    full_name: field('Full name'),
    phone: field('Phone'),
    company: field('Company'),
    job_title: field('Job title'),
    tags: field('Tags'),
    image_url: field('Image').meta({
      description: 'A URL or text field with the address of a picture; not an attachment.',
    }),
    last_modified: field('Last modified time'),
  }).refine(
    ({ table: _, ...fields }) => {
      const named = Object.values(fields)
      return named.every(isFieldId) || !named.some(isFieldId)
    },
    'name all fields by their id (fld…) or all by their name',
  ).optional().meta({
    title: 'Contacts',
    description: 'The table that holds contacts, and which of its fields (names or ids) is what.',
  }),
  tables: z.array(text).max(50).default([]).meta({
    title: 'Tables',
    description: 'Ids (tbl…) or names of tables whose rows are synced as records.',
  }),
  last_modified_field: text.refine((name) => !isFieldId(name), 'is a name here, not an id')
    .optional().meta({
      title: 'Last modified field',
      description: 'Name of the "Last modified time" field of those tables that have one.',
    }),
})

const Row = z.object({
  id: z.string().min(1),
  createdTime: timestamp,
  fields: z.record(z.string(), z.unknown()),
})
const mergeFields = z.array(text).min(1).max(3)
const tableOf = text.meta({ title: 'Table', description: 'Id (tbl…) or name.' })

export const airtable = defineConnector({
  slug: 'airtable',
  name: 'Airtable',
  description: 'Contacts and rows of any table of an Airtable base; writes and deletes rows.',
  category: 'productivity',
  docs: 'https://airtable.com/developers/web/api/introduction', // read 2026-11-20
  guide: [
    'One integration is one base. Whoever signs in has to tick this base when Airtable asks which bases to share; a',
    'personal access token needs the base and the scopes `data.records:read`, `data.records:write` and',
    '`schema.bases:read`, and `webhook:manage` where webhooks come.',
    '',
    '- **Contacts**: name the table and say which of its fields holds what, all by name or all by id. A field that is',
    '  not there stops the sync with its name, rather than emptying a column. The image is fetched and kept from the web',
    '  address in a URL or text field. Attachments are no image here: Airtable gives them another address each time they',
    '  are read, so each would be a new picture. Where contacts are pushed, the mapped fields are written; one that is',
    '  computed refuses. Tags go to a field of several choices, and new choices are made as they come.',
    '- **Records**: list the tables. `name` is the primary field; `fields` are the cells as Airtable sends them, which',
    '  leaves empty ones out. Attachments have addresses that end after about two hours.',
    '',
    'What changed is asked for by `LAST_MODIFIED_TIME()` and `CREATED_TIME()`, a minute overlapping. Airtable does not count a',
    'changed formula, lookup or roll-up as a change of its row: those come with the next full sync. With a field of the',
    'kind "Last modified time" named in the settings, a row also knows how old it is.',
    '',
    'Airtable takes 5 requests a second for a base, whoever sends them, and makes everybody wait 30 s after more. A list',
    'that is read too slowly is forgotten at Airtable; the scan then begins again.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://airtable.com/oauth2/v1/authorize',
        token_endpoint: 'https://airtable.com/oauth2/v1/token',
        scope: 'data.records:read data.records:write schema.bases:read webhook:manage',
        requiredScope: 'data.records:read schema.bases:read',
      }),
      personal_access_token: headerKey({
        credentials: z.strictObject({ token: secret('Personal access token') }),
        value: ({ credentials }) => `Bearer ${credentials.token}`,
      }),
    },
  },

  baseUrl: 'https://api.airtable.com/v0',
  // One at a time and a little under 5 a second: then no second, wherever it begins, sees more than 5.
  rateLimit: { requestsPerSecond: 4.5, burst: 1 },
  accountId: ({ settings }) => settings.base_id,
  check: { path: '/meta/bases/{base_id}/tables' }, // shows that this base was shared with us
  failure: ({ status, headers, body }) => readFailure(status, headers, body),
  webhooks,

  streams: {
    contacts: {
      when: ({ contacts }) => contacts !== undefined,
      async read(context) {
        const { table = '', ...fields } = context.settings.contacts ?? {}
        const page = await readTables(context, [table], Object.values(fields))
        // as a look-up by id shows them, so that what has not changed is known as such
        return { ...page, records: page.records.map(withoutTable) }
      },
      incremental: { overlapSeconds: OVERLAP_SECONDS },
      lookup,
      push,
      id: 'id',
      record: Row,
      toRecord: ({ id, fields }, { settings: { contacts } }) => {
        const cell = (name: string | undefined) => name === undefined ? undefined : fields[name]
        const columns: ContactColumns = {
          kind: 'contact',
          email: cellText(cell(contacts?.email)),
          first_name: cellText(cell(contacts?.first_name)),
          last_name: cellText(cell(contacts?.last_name)),
          full_name: cellText(cell(contacts?.full_name)),
          phone: cellText(cell(contacts?.phone)),
          company: cellText(cell(contacts?.company)),
          job_title: cellText(cell(contacts?.job_title)),
          marketing_status: null,
          tags: cellTexts(cell(contacts?.tags)),
          address: null,
          image_url: cellAddress(cell(contacts?.image_url)),
        }
        return {
          source_id: id,
          source_updated_at: timestampText(cell(contacts?.last_modified)),
          columns,
        }
      },
    },
    records: {
      when: ({ tables }) => tables.length > 0,
      read: (context) => readTables(context, context.settings.tables, []),
      incremental: { overlapSeconds: OVERLAP_SECONDS },
      id: 'id',
      record: Row.extend({ table: TableOfRow }),
      toRecord: ({ id, fields, table }, { settings }) => ({
        source_id: id, // no two rows of a base share one
        source_updated_at: timestampText(fields[settings.last_modified_field ?? '']),
        columns: {
          collection: table.id,
          collection_name: table.name,
          name: table.primary_field === null ? null : cellText(fields[table.primary_field]),
          fields,
        },
      }),
    },
  },

  actions: {
    upsert_records: action({
      settings,
      title: 'Write rows',
      description:
        'Changes the row in which the merge fields have the same values, or makes a new one; ten rows a call. ' +
        'Each row needs a value in each merge field. Fields that are not named stay as they are.',
      input: z.strictObject({
        table: tableOf,
        merge_on: mergeFields.meta({
          title: 'Merge fields',
          description: 'Names of the fields that tell a row from every other.',
        }),
        records: z.array(z.record(z.string(), z.unknown())).min(1).max(1000).meta({
          title: 'Rows',
          description: 'Cells by field name; null empties one.',
        }),
        typecast: z.boolean().default(false).meta({
          title: 'Typecast',
          description:
            'Airtable makes text fit the field, and new choices where a select lacks them.',
        }),
      }).superRefine(({ merge_on, records }, { addIssue }) => {
        const seen = new Set<string>()
        for (const [index, row] of records.entries()) {
          const refuse = (name: string, message: string) =>
            addIssue({ code: 'custom', path: ['records', index, name], message })
          // nothing would match: a second try would make the row again
          const empty = merge_on.filter((name) => isEmptyCell(row[name]))
          for (const name of empty) refuse(name, 'needs a value, since rows are merged on it')
          // neither is there yet when one call looks for both
          const key = JSON.stringify(merge_on.map((name) => row[name]))
          if (empty.length === 0 && seen.has(key)) refuse(merge_on[0]!, 'is there twice')
          seen.add(key)
        }
      }),
      output: z.object({
        created: z.array(z.string()).meta({ description: 'Ids of the new rows' }),
        updated: z.array(z.string()).meta({ description: 'Ids of the rows that were there' }),
      }),
      repeatable: true, // the merge fields find the row that the first try made
      requests: ({ table, merge_on, records, typecast }) =>
        inBatches(
          records,
          MOST_IN_A_CALL,
          (batch) => upsertCall(table, merge_on, batch, { typecast }),
        ),
      read: (answers) => ({
        created: answers.flatMap(({ body }) => idsAt(body, 'createdRecords')),
        updated: answers.flatMap(({ body }) => idsAt(body, 'updatedRecords')),
      }),
    }),
    delete_records: action({
      settings,
      title: 'Delete rows',
      description:
        'Deletes rows by their ids, ten a call; Airtable refuses a call with an id it does not know.',
      input: z.strictObject({
        table: tableOf,
        ids: z.array(z.string().regex(/^rec[A-Za-z0-9]+$/, 'begins with "rec"')).min(1).max(1000)
          .meta({ title: 'Row ids' }),
      }),
      output: z.object({ deleted: z.array(z.string()) }),
      // The second try would be refused for ids the first one deleted, and say that nothing was done.
      repeatable: false,
      requests: ({ table, ids }) =>
        inBatches(ids, MOST_IN_A_CALL, (batch) => deleteCall(table, batch)),
      read: (answers) => ({ deleted: answers.flatMap(({ body }) => deletedIds(body)) }),
    }),
  },
})

const idsAt = (body: unknown, path: string) =>
  z.array(z.string()).catch([]).parse(readPath(body, path))

/** `{"error":{"type","message"}}`, `{"error":"NOT_FOUND"}` or, where we are too fast, `{"errors":[{"error","message"}]}`. */
function readFailure(status: number, headers: Headers, body: unknown): Failure | null {
  if (status < 400) return null
  const listed = readPath(body, 'errors.0')
  const error = readPath(body, 'error')
  const type = platformWords(readPath(listed, 'error') ?? readPath(error, 'type') ?? error)
  const message = platformWords(readPath(listed, 'message') ?? readPath(error, 'message'))
  const detail = `Airtable answered ${status}: ${[type, message].filter((part) => part).join(': ')}`
  if (type === 'LIST_RECORDS_ITERATOR_NOT_AVAILABLE') {
    return { code: 'provider_cursor_expired', detail }
  }
  if (type.includes('BILLING_LIMIT')) return { code: 'provider_forbidden', detail } // until next month
  if (status === 429) {
    // Airtable refuses everything for 30 s, and does not say so
    return headers.has('retry-after')
      ? null
      : { code: 'provider_rate_limited', detail, retryAfterMs: 30_000 }
  }
  if (status === 403) return { code: 'provider_forbidden', detail }
  if (status === 404 || GONE.includes(type)) return { code: 'provider_not_found', detail }
  return status === 413 || status === 422 ? { code: 'provider_rejected', detail } : null
}
