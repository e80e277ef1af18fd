// How are Airtable's tables read? One page of one table after the other, or only what changed in them.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { Place, ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { timestampText } from '../vocabulary/timestamp.ts'

export const OVERLAP_SECONDS = 60

export const isFieldId = (name: string) => /^fld[A-Za-z0-9]{14}$/.test(name)

/** @param table Id or name. */
export const addressOf = (table: string) => `/{base_id}/${encodeURIComponent(table)}`

/** What is added to a row: Airtable's answer does not say whose row it is. */
export const TableOfRow = z.object({
  id: z.string(),
  name: z.string(),
  primary_field: z.string().nullable(),
})
type TableOfRow = z.infer<typeof TableOfRow>

/** The row as Airtable gives it. */
export function withoutTable(row: unknown): unknown {
  if (typeof row !== 'object' || row === null) return row
  const { table: _, ...given } = row as Record<string, unknown>
  return given
}

/** Which tables are read, which of them is being read, and where in it. */
type Position = { tables: TableOfRow[]; at: number; offset?: string; asked_at: string }

/**
 * One page of one table after the other. A scan begins with the base's schema: it says which ids the
 * tables have, and that the fields we were told to use are there.
 */
export async function readTables(
  { call, place, since, bookmark, now }: Pick<
    ReadContext,
    'call' | 'place' | 'since' | 'bookmark' | 'now'
  >,
  wanted: string[],
  fields: string[],
): Promise<ReadResult> {
  const position = place as Position | null ?? await begin()
  const table = position.tables[position.at]!
  const from = changedAfter(since, bookmark)
  const { body } = await call({
    path: addressOf(table.id),
    query: {
      pageSize: '100',
      ...(fields.some((name) => isFieldId(name)) ? { returnFieldsByFieldId: 'true' } : {}),
      ...(from === null ? {} : { filterByFormula: changedSince(from) }),
      ...(position.offset === undefined ? {} : { offset: position.offset }),
    },
  })
  const records = readPath(body, 'records')
  if (!Array.isArray(records)) {
    throw new AppError('provider_bad_answer', {
      detail: 'Airtable answered without a list of records.',
    })
  }
  return {
    records: records.map((row) =>
      typeof row === 'object' && row !== null ? { ...row, table } : row
    ),
    next: after(position, readPath(body, 'offset')),
    bookmark: { asked_at: position.asked_at },
  }

  async function begin(): Promise<Position> {
    const { body, headers } = await call({ path: '/meta/bases/{base_id}/tables' })
    // Airtable's own clock: what changes while we read is asked for again by the next run
    const asked = Date.parse(headers.get('date') ?? '') || now.getTime()
    const tables = new Map(wanted.map((name) => {
      const table = findTable(body, name, fields)
      return [table.id, table] // once, also when it was named twice
    }))
    return { tables: [...tables.values()], at: 0, asked_at: new Date(asked).toISOString() }
  }
}

function after(position: Position, offset: unknown): Place | null {
  if (typeof offset === 'string' && offset !== '') return { ...position, offset }
  const { offset: _, ...rest } = position
  return position.at + 1 < position.tables.length ? { ...rest, at: position.at + 1 } : null
}

/** A row without a "Last modified time" field has no time for `since`, but each run knows when it asked. */
function changedAfter(since: string | null, bookmark: Place | null): string | null {
  const asked = timestampText(bookmark?.asked_at)
  if (asked === null) return since
  return new Date(Date.parse(asked) - OVERLAP_SECONDS * 1000).toISOString()
}

/** A row that nobody has touched since it was made has no time of last change. */
const changedSince = (time: string) =>
  `OR(IS_AFTER(LAST_MODIFIED_TIME(), '${time}'), IS_AFTER(CREATED_TIME(), '${time}'))`

const Schema = z.object({
  tables: z.array(z.object({
    id: z.string(),
    name: z.string(),
    primaryFieldId: z.string().optional(),
    fields: z.array(z.object({ id: z.string(), name: z.string() })),
  })),
})

function findTable(schema: unknown, wanted: string, fields: string[]): TableOfRow {
  const parsed = Schema.safeParse(schema)
  if (!parsed.success) {
    throw new AppError('provider_bad_answer', {
      detail: 'Airtable’s schema of the base cannot be read.',
    })
  }
  const table = parsed.data.tables.find(({ id, name }) => id === wanted || name === wanted)
  if (!table) throw unfit(`The base has no table "${wanted}"`)
  const missing = fields.filter((wanted) =>
    !table.fields.some(({ id, name }) => id === wanted || name === wanted)
  )
  if (missing.length > 0) {
    throw unfit(`The table "${table.name}" has no field "${missing.join('", "')}"`)
  }
  const primary = table.fields.find(({ id }) => id === table.primaryFieldId)
  return { id: table.id, name: table.name, primary_field: primary?.name ?? null }
}

const unfit = (what: string) =>
  new AppError('invalid_settings', {
    detail: `${what}: it was renamed or deleted, or never there.`,
  })
