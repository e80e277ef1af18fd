// What does this query ask for? As much of SOQL as there is to test, and MALFORMED_QUERY for the rest.
import type { SObjectRecord } from './org.ts'

export type Query = {
  fields: string[]
  from: string
  matches(record: SObjectRecord): boolean
  orderBy: string[]
}

const SHAPE =
  /^SELECT ([\w., ]+?) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY ([\w]+ ASC(?:, [\w]+ ASC)*))?$/s

/** Null where Salesforce would say MALFORMED_QUERY. */
export function parseSoql(text: string): Query | null {
  const [, fields, from, where, order] = SHAPE.exec(text) ?? []
  if (fields === undefined || from === undefined) return null
  const conditions = where === undefined ? [] : readConditions(where)
  if (conditions === null) return null
  return {
    fields: fields.split(',').map((field) => field.trim()),
    from,
    matches: (record) => conditions.every((holds) => holds(record)),
    orderBy: order === undefined ? [] : order.split(', ').map((part) => part.replace(' ASC', '')),
  }
}

type Condition = (record: SObjectRecord) => boolean

const CONDITION =
  /^([\w.]+) (=|>=|>) ('(?:[^'\\]|\\.)*'|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|true|false)(?: AND |$)/

function readConditions(text: string): Condition[] | null {
  const found: Condition[] = []
  let rest = text
  while (rest !== '') {
    const [whole, field, operator, literal] = CONDITION.exec(rest) ?? []
    if (whole === undefined || field === undefined || literal === undefined) return null
    const value = valueOf(literal)
    if (value === null) return null
    found.push((record) => {
      const held = record[field]
      return operator === '='
        ? held === value
        : operator === '>='
        ? Number(held) >= Number(value)
        : Number(held) > Number(value)
    })
    rest = rest.slice(whole.length)
  }
  return found
}

const ESCAPES: Record<string, string> = {
  n: '\n',
  r: '\r',
  t: '\t',
  "'": "'",
  '"': '"',
  '\\': '\\',
}

function valueOf(literal: string): string | number | boolean | null {
  if (literal === 'true' || literal === 'false') return literal === 'true'
  if (!literal.startsWith("'")) return Date.parse(literal)
  let isBroken = false
  const text = literal.slice(1, -1).replaceAll(/\\(.)/gs, (_, escaped: string) => {
    const plain = ESCAPES[escaped]
    if (plain === undefined) isBroken = true
    return plain ?? ''
  })
  return isBroken ? null : text
}
