// How are rows written to Airtable? Ten in a call, all of them or none.
import { z } from 'zod'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import { addressOf } from './read-tables.ts'

/** Airtable's own limit of one call. */
export const MOST_IN_A_CALL = 10

export type Cells = Record<string, unknown>

type WriteOptions = {
  /** Text is made to fit the field, and new choices where a select lacks them. */
  typecast: boolean
  /** Whether the answer names fields by their ids. */
  byFieldId?: boolean
}

/** Changes the row in which these fields have the same values, or makes one. */
export const upsertCall = (
  table: string,
  fieldsToMergeOn: string[],
  rows: Cells[],
  options: WriteOptions,
): PlatformCall =>
  writeCall('PATCH', table, options, {
    performUpsert: { fieldsToMergeOn },
    records: rows.map((fields) => ({ fields })),
  })

export const createCall = (table: string, rows: Cells[], options: WriteOptions): PlatformCall =>
  writeCall('POST', table, options, { records: rows.map((fields) => ({ fields })) })

export const updateCall = (
  table: string,
  records: { id: string; fields: Cells }[],
  options: WriteOptions,
): PlatformCall => writeCall('PATCH', table, options, { records })

const writeCall = (
  method: 'POST' | 'PATCH',
  table: string,
  { typecast, byFieldId = false }: WriteOptions,
  json: Record<string, unknown>,
): PlatformCall => ({
  method,
  path: addressOf(table),
  json: { ...json, typecast, ...(byFieldId ? { returnFieldsByFieldId: true } : {}) },
})

export const deleteCall = (table: string, ids: string[]): PlatformCall => ({
  method: 'DELETE',
  path: addressOf(table),
  query: { 'records[]': ids },
})

export function deletedIds(body: unknown): string[] {
  const rows = z.array(z.object({ id: z.string(), deleted: z.literal(true) }))
  return rows.catch([]).parse(readPath(body, 'records')).map(({ id }) => id)
}
