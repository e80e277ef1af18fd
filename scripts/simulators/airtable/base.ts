// What is in the simulated base? Two tables whose rows can be made, changed and deleted.
import { type SeededRandom, seededRandom } from '../parts/seeded-random.ts'
import type { FormulaRow } from './formula.ts'

export type Field = { id: string; name: string; type: string }
export type Table = { id: string; name: string; fields: Field[]; rows: Map<string, FormulaRow> }
export type WireRow = { id: string; createdTime: string; fields: Record<string, unknown> }

/** What a webhook would tell; `table` and `row` are ids. */
export type Change = {
  at: string
  table: string
  row: string
  kind: 'created' | 'changed' | 'destroyed'
  by: 'person' | 'api'
}

export type Base = {
  id: string
  tables: Table[]
  /** Since the base was filled, oldest first. */
  changes: Change[]
  /** By id or name. */
  find(table: string): Table | undefined
  create(table: Table, fields: Record<string, unknown>, by?: Change['by']): FormulaRow
  change(row: FormulaRow, fields: Record<string, unknown>, by?: Change['by']): void
  remove(table: Table, id: string, by?: Change['by']): void
  /** As the API shows it: empty cells left out, computed ones computed, keyed by name or id. */
  show(table: Table, row: FormulaRow, byId?: boolean): WireRow
}

export type BaseOptions = {
  id: string
  seed: number
  people: number
  items: number
  now: () => Date
  /** After each change since the base was filled. */
  told?(change: Change): void
}

const PEOPLE = [
  ['Name', 'singleLineText'],
  ['First name', 'singleLineText'],
  ['Last name', 'singleLineText'],
  ['Email', 'email'],
  ['Phone', 'phoneNumber'],
  ['Company', 'multipleLookupValues'],
  ['Tags', 'multipleSelects'],
  ['Score', 'formula'],
  ['Last modified', 'lastModifiedTime'],
] as const
const INVENTORY = [
  ['SKU', 'singleLineText'],
  ['Item', 'singleLineText'],
  ['Price', 'currency'],
  ['In stock', 'checkbox'],
] as const

export function createBase({ id, seed, people, items, now, told }: BaseOptions): Base {
  const random = seededRandom(seed)
  const tables = [table(random, 'People', PEOPLE), table(random, 'Inventory', INVENTORY)]
  const changes: Change[] = []
  let isFilled = false
  const note = (kind: Change['kind'], table: string, row: string, by: Change['by'] = 'person') => {
    const change: Change = { at: now().toISOString(), table, row, kind, by }
    changes.push(change)
    if (isFilled) told?.(change)
  }
  const base: Base = {
    id,
    tables,
    changes,
    find: (wanted) => tables.find(({ id, name }) => id === wanted || name === wanted),
    create(table, fields, by) {
      const row = {
        id: airtableId(random, 'rec'),
        created_at: now().toISOString(),
        modified_at: null,
        fields: nonEmpty(fields),
      }
      table.rows.set(row.id, row)
      note('created', table.id, row.id, by)
      return row
    },
    change(row, fields, by) {
      row.fields = nonEmpty({ ...row.fields, ...fields })
      row.modified_at = now().toISOString()
      note('changed', tables.find(({ rows }) => rows.has(row.id))!.id, row.id, by)
    },
    remove(table, id, by) {
      table.rows.delete(id)
      note('destroyed', table.id, id, by)
    },
    show: (table, row, byId = false) => ({
      id: row.id,
      createdTime: row.created_at,
      fields: Object.fromEntries(
        table.fields.flatMap((field) => {
          const value = cell(field, row)
          return value === undefined ? [] : [[byId ? field.id : field.name, value]]
        }),
      ),
    }),
  }
  for (let count = 1; count <= people; count++) base.create(tables[0]!, person(random, count))
  for (let count = 1; count <= items; count++) base.create(tables[1]!, item(random, count))
  // filled long before anybody looks
  for (const row of tables.flatMap(({ rows }) => [...rows.values()])) {
    row.created_at = new Date(now().getTime() - random.between(30, 300) * 86_400_000).toISOString()
  }
  changes.length = 0
  isFilled = true
  return base
}

/** Computed cells cannot be written; one person in five has a score that cannot be computed. */
function cell({ name, type }: Field, row: FormulaRow): unknown {
  if (type === 'lastModifiedTime') return row.modified_at ?? row.created_at
  if (type === 'multipleLookupValues') return row.fields[name] ? [row.fields[name]] : undefined
  if (type !== 'formula') return row.fields[name]
  const digit = row.id.charCodeAt(5) % 10
  return digit === 0 ? { error: '#ERROR!' } : digit === 1 ? { specialValue: 'NaN' } : digit * 10
}

function person(random: SeededRandom, number: number): Record<string, unknown> {
  const first = random.pick(['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara'])
  const last = random.pick(['Lovelace', 'Hopper', 'Turing', 'Dijkstra', 'Liskov'])
  return {
    Name: `${first} ${last}`,
    'First name': first,
    'Last name': last,
    Email: `${first}.${last}.${number}@people.example`.toLowerCase(),
    Phone: random.chance(0.5) ? `+1 555 01${random.between(10, 99)}` : '',
    Company: random.pick(['Acme', 'Fieldnotes', '']),
    Tags: random.chance(0.5) ? [random.pick(['vip', 'press', 'partner'])] : [],
  }
}

const item = (random: SeededRandom, number: number) => ({
  SKU: `ACM-${number}`,
  Item: random.pick(['Oak stool', 'Lamp', 'Tray']),
  Price: random.between(500, 9_000) / 100,
  'In stock': random.chance(0.8),
})

function table(
  random: SeededRandom,
  name: string,
  fields: readonly (readonly [string, string])[],
): Table {
  return {
    id: airtableId(random, 'tbl'),
    name,
    fields: fields.map(([name, type]) => ({ id: airtableId(random, 'fld'), name, type })),
    rows: new Map(),
  }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function airtableId(random: SeededRandom, prefix: string): string {
  return prefix + Array.from({ length: 14 }, () => random.pick([...LETTERS])).join('')
}

/** Airtable keeps no empty cells. */
export function nonEmpty(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) =>
      value !== null && value !== '' && value !== false &&
      !(Array.isArray(value) && value.length === 0)
    ),
  )
}
