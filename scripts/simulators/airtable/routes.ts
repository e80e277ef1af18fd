// Which of Airtable's addresses answer, and with what? The schema of the base and the rows of its tables.
import { z } from 'zod'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { type Base, nonEmpty, type Table } from './base.ts'
import type { BaseLimit } from './base-limit.ts'
import { compileFormula, type FormulaRow } from './formula.ts'
import type { Iterators } from './iterators.ts'
import type { AirtableWebhooks } from './webhooks.ts'

export type AirtableRoutes = {
  base: Base
  limit: BaseLimit
  iterators: Iterators
  webhooks: AirtableWebhooks
  /** The scopes of a token; null for one that is not good. */
  scopesOf(token: string): readonly string[] | null
  /** Whether it is from a sign-in at our app. */
  isOfApp(token: string): boolean
}

const MOST_A_PAGE = 100
const MOST_A_WRITE = 10

export function answerAirtable(request: SimulatorRequest, parts: AirtableRoutes): SimulatorAnswer {
  const { base, limit } = parts
  const [, version, ...path] = request.url.pathname.split('/').map(decodeURIComponent)
  if (version !== 'v0') return plain(404, 'NOT_FOUND')
  const token = (request.headers['authorization'] ?? '').replace(/^Bearer /, '')
  const scopes = parts.scopesOf(token)
  if (!scopes) return refuse(401, 'AUTHENTICATION_REQUIRED', 'Authentication required')
  const needs = (scope: string, answer: () => SimulatorAnswer) =>
    scopes.includes(scope) ? answer() : refuse(403, ...NOT_ALLOWED)

  if (path.join('/') === 'meta/whoami') return { body: { id: 'usrSIMULATED00000', scopes } }
  const baseId = path[0] === 'meta' ? path[2] : path[0] === 'bases' ? path[1] : path[0]
  if (baseId !== base.id) return refuse(403, ...NOT_ALLOWED)
  if (!limit.take()) {
    const message = 'Rate limit exceeded. Please try again later'
    return { status: 429, body: { errors: [{ error: 'RATE_LIMIT_REACHED', message }] } }
  }
  if (path[0] === 'meta') {
    return path[1] === 'bases' && path[3] === 'tables'
      ? needs('schema.bases:read', () => ({ body: { tables: base.tables.map(schemaOf) } }))
      : plain(404, 'NOT_FOUND')
  }
  if (path[0] === 'bases' && path[2] === 'webhooks') {
    return needs(
      'webhook:manage',
      () => parts.webhooks.answer(request, path.slice(3), parts.isOfApp(token)),
    )
  }
  const table = base.find(path[1] ?? '')
  if (!table) return refuse(403, ...NOT_ALLOWED)
  switch (request.method) {
    case 'GET':
      return needs('data.records:read', () => list(request, table, parts))
    case 'POST':
    case 'PATCH':
      return needs('data.records:write', () => write(request, table, base))
    case 'DELETE':
      return needs('data.records:write', () => remove(request, table, base))
  }
  return plain(404, 'NOT_FOUND')
}

function list(request: SimulatorRequest, table: Table, parts: AirtableRoutes): SimulatorAnswer {
  const query = request.url.searchParams
  const size = Number(query.get('pageSize') ?? MOST_A_PAGE)
  if (!Number.isInteger(size) || size < 1 || size > MOST_A_PAGE) {
    return refuse(422, 'INVALID_REQUEST_UNKNOWN', 'Invalid request: parameter validation failed.')
  }
  const offset = query.get('offset')
  const rows = offset === null
    ? filtered(table, query.get('filterByFormula'))
    : parts.iterators.find(offset)
  if (rows === null) {
    return offset === null
      ? refuse(422, 'INVALID_FILTER_BY_FORMULA', 'The formula for filtering records is invalid')
      : refuse(422, 'LIST_RECORDS_ITERATOR_NOT_AVAILABLE', 'The iterator is no longer available')
  }
  const shown = request.fault?.kind === 'empty' ? [] : rows.slice(0, size)
  const byId = query.get('returnFieldsByFieldId') === 'true'
  return {
    body: {
      records: shown.map((row) => parts.base.show(table, row, byId)),
      ...(rows.length > size && shown.length > 0
        ? { offset: parts.iterators.keep(rows.slice(size)) }
        : {}),
    },
  }
}

function filtered(table: Table, formula: string | null): FormulaRow[] | null {
  const rows = [...table.rows.values()]
  if (formula === null) return rows
  const byName = table.fields.reduce(
    (text, { id, name }) => text.replaceAll(`{${id}}`, `{${name}}`),
    formula,
  )
  try {
    return rows.filter(compileFormula(byName))
  } catch {
    return null
  }
}

const Write = z.object({
  performUpsert: z.object({ fieldsToMergeOn: z.array(z.string()).min(1).max(3) }).optional(),
  records: z.array(z.object({
    id: z.string().optional(),
    fields: z.record(z.string(), z.unknown()),
  })).min(1),
  typecast: z.boolean().default(false),
  returnFieldsByFieldId: z.boolean().default(false),
})

/** All of a call's rows or none: made by POST, changed by PATCH with their ids, either by an upsert. */
function write(request: SimulatorRequest, table: Table, base: Base): SimulatorAnswer {
  const parsed = Write.safeParse(jsonOf(request))
  if (!parsed.success || parsed.data.records.length > MOST_A_WRITE) {
    return refuse(422, 'INVALID_RECORDS', 'You must provide an array of up to 10 record objects')
  }
  const { performUpsert, records, typecast, returnFieldsByFieldId } = parsed.data
  const nameOf = (field: string) => table.fields.find(({ id }) => id === field)?.name ?? field
  const plan: { fields: Record<string, unknown>; row: FormulaRow | undefined }[] = []
  for (const { id, ...record } of records) {
    const fields = Object.fromEntries(
      Object.entries(record.fields).map(([field, value]) => [nameOf(field), value]),
    )
    const trouble = cellTrouble(table, fields, typecast)
    if (trouble) return trouble
    let row: FormulaRow | undefined
    if (performUpsert) {
      const matching = matchingRows(table, performUpsert.fieldsToMergeOn.map(nameOf), fields)
      if (matching.length > 1) {
        return refuse(
          422,
          'INVALID_VALUE_FOR_COLUMN',
          'Cannot update more than one record by upsert',
        )
      }
      row = matching[0]
    } else if (request.method === 'PATCH') {
      row = table.rows.get(id ?? '')
      if (!row) {
        const message = `Record ID ${id} does not exist in this table`
        return refuse(422, 'ROW_DOES_NOT_EXIST', message)
      }
    }
    plan.push({ fields, row })
  }
  const createdRecords: string[] = []
  const updatedRecords: string[] = []
  const written = plan.map(({ fields, row }) => {
    if (row) base.change(row, fields, 'api')
    const kept = row ?? base.create(table, fields, 'api')
    ;(row ? updatedRecords : createdRecords).push(kept.id)
    return base.show(table, kept, returnFieldsByFieldId)
  })
  return {
    body: { records: written, ...(performUpsert ? { createdRecords, updatedRecords } : {}) },
  }
}

function matchingRows(table: Table, names: string[], fields: Record<string, unknown>) {
  const keys = nonEmpty(fields) // empty matches nothing, not even empty
  return [...table.rows.values()].filter((row) =>
    names.every((name) => name in keys && row.fields[name] === keys[name])
  )
}

/** Only what the tables of the simulator can tell: unknown fields, computed ones, text where a number belongs. */
function cellTrouble(
  table: Table,
  fields: Record<string, unknown>,
  typecast: boolean,
): SimulatorAnswer | null {
  for (const [name, value] of Object.entries(fields)) {
    const field = table.fields.find((field) => field.name === name)
    if (!field) return refuse(422, 'UNKNOWN_FIELD_NAME', `Unknown field name: "${name}"`)
    if (['formula', 'lastModifiedTime', 'multipleLookupValues'].includes(field.type)) {
      const message = `Field "${name}" cannot accept a value because the field is computed`
      return refuse(422, 'INVALID_VALUE_FOR_COLUMN', message)
    }
    if (field.type === 'currency' && typeof value === 'string' && !typecast) {
      return refuse(
        422,
        'INVALID_VALUE_FOR_COLUMN',
        `Field "${name}" cannot accept the provided value`,
      )
    }
    if (field.type === 'currency' && typeof value === 'string') fields[name] = Number(value)
  }
  return null
}

function remove(request: SimulatorRequest, table: Table, base: Base): SimulatorAnswer {
  const ids = request.url.searchParams.getAll('records[]')
  if (ids.length === 0 || ids.length > MOST_A_WRITE) {
    return refuse(422, 'INVALID_RECORDS', 'You must provide up to 10 record ids')
  }
  if (!ids.every((id) => table.rows.has(id))) {
    return refuse(404, 'MODEL_ID_NOT_FOUND', 'Record not found')
  }
  for (const id of ids) base.remove(table, id, 'api')
  return { body: { records: ids.map((id) => ({ id, deleted: true })) } }
}

const schemaOf = ({ id, name, fields }: Table) => ({
  id,
  name,
  primaryFieldId: fields[0]?.id,
  fields,
})

const NOT_ALLOWED = [
  'INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND',
  'Invalid permissions, or the requested model was not found.',
] as const

const refuse = (status: number, type: string, message: string): SimulatorAnswer => ({
  status,
  body: { error: { type, message } },
})

/** Some of Airtable's errors are only their name. */
const plain = (status: number, error: string): SimulatorAnswer => ({ status, body: { error } })
