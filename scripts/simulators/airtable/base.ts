// What is in the simulated base? Two tables whose rows can be made, changed and deleted.
import { type SeededRandom, seededRandom } from '../parts/seeded-random.ts'
import type { FormulaRow } from './formula.ts'

export type Field = { id: string; name: string; type: string }
export type Table = { id: string; name: string; fields: Field[]; rows: Map<string, FormulaRow> }
export type WireRow = { id: string; createdTime: string; fields: Record<string, unknown> }

export type Base = {
  id: string
  tables: Table[]
  /** By id or name. */
  find(table: string): Table | undefined
  create(table: Table, fields: Record<string, unknown>): FormulaRow
  change(row: FormulaRow, fields: Record<string, unknown>): void
  /** As the API shows it: empty cells left out, computed ones computed, keyed by name or id. */
  show(table: Table, row: FormulaRow, byId?: boolean): WireRow
}

export type BaseOptions = {
  id: string
  seed: number
  people: number
  items: number
  now: () => Date
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

export function createBase({ id, seed, people, items, now }: BaseOptions): Base {
  const random = seededRandom(seed)
  const tables = [table(random, 'People', PEOPLE), table(random, 'Inventory', INVENTORY)]
  const base: Base = {
    id,
    tables,
    find: (wanted) => tables.find(({ id, name }) => id === wanted || name === wanted),
    create(table, fields) {
      const row = {
        id: airtableId(random, 'rec'),
        created_at: now().toISOString(),
        modified_at: null,
        fields: nonEmpty(fields),
      }
      table.rows.set(row.id, row)
      return row
    },
    change(row, fields) {
      row.fields = nonEmpty({ ...row.fields, ...fields })
      row.modified_at = now().toISOString()
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
