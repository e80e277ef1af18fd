// What does this query ask for? As much of SOQL as there is to test, and MALFORMED_QUERY for the rest.

export type Query = {
  fields: string[]
  from: string
  matches(record: Record<string, unknown>): boolean
  orderBy: string[]
}

const SHAPE =
  /^SELECT ([\w., ]+?) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY ([\w]+ ASC(?:, [\w]+ ASC)*))?$/s

/** Null where Salesforce would say MALFORMED_QUERY. */
export function parseSoql(text: string): Query | null {
  const [, fields, from, where, order] = SHAPE.exec(text) ?? []
  if (fields === undefined || from === undefined) return null
  const matches = where === undefined ? () => true : readCondition(where)
  if (matches === null) return null
  return {
    fields: fields.split(',').map((field) => field.trim()),
    from,
    matches,
    orderBy: order === undefined ? [] : order.split(', ').map((part) => part.replace(' ASC', '')),
  }
}

type Condition = (record: Record<string, unknown>) => boolean

const LITERAL = String.raw`'(?:[^'\\]|\\.)*'|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|true|false`
const COMPARISON = new RegExp(`^([\\w.]+) (=|>=|>) (${LITERAL})`)
const ONE_OF = new RegExp(`^([\\w.]+) IN \\(((?:${LITERAL})(?:, (?:${LITERAL}))*)\\)`)
const EACH = new RegExp(LITERAL, 'g')

/** `a AND b`, `(a OR b)`: Salesforce refuses the two beside each other without parentheses. */
function readCondition(text: string): Condition | null {
  const parser = { rest: text }
  const condition = joined(parser)
  return parser.rest === '' ? condition : null
}

type Parser = { rest: string }

function joined(parser: Parser): Condition | null {
  const parts: Condition[] = []
  let word: string | undefined
  for (;;) {
    const part = single(parser)
    if (part === null) return null
    parts.push(part)
    const [whole, next] = /^ (AND|OR) /.exec(parser.rest) ?? []
    if (whole === undefined) break
    if (word !== undefined && word !== next) return null
    word = next
    parser.rest = parser.rest.slice(whole.length)
  }
  return word === 'OR'
    ? (record) => parts.some((holds) => holds(record))
    : (record) => parts.every((holds) => holds(record))
}

function single(parser: Parser): Condition | null {
  if (parser.rest.startsWith('(')) {
    parser.rest = parser.rest.slice(1)
    const inner = joined(parser)
    if (!parser.rest.startsWith(')')) return null
    parser.rest = parser.rest.slice(1)
    return inner
  }
  const [list, listed, literals] = ONE_OF.exec(parser.rest) ?? []
  if (list !== undefined && listed !== undefined) {
    parser.rest = parser.rest.slice(list.length)
    const values = (literals!.match(EACH) ?? []).map(valueOf)
    if (values.includes(null)) return null
    return (record) => values.some((value) => isEqual(record[listed], value))
  }
  const [whole, field, operator, literal] = COMPARISON.exec(parser.rest) ?? []
  if (whole === undefined || field === undefined || literal === undefined) return null
  parser.rest = parser.rest.slice(whole.length)
  const value = valueOf(literal)
  if (value === null) return null
  return (record) => {
    const held = record[field]
    if (operator === '=') return isEqual(held, value)
    return operator === '>=' ? Number(held) >= Number(value) : Number(held) > Number(value)
  }
}

/** Text is compared whatever its case, except for ids. */
const isEqual = (held: unknown, value: unknown) =>
  typeof held === 'string' && typeof value === 'string' && !/^00[3Q]/.test(held)
    ? held.toLowerCase() === value.toLowerCase()
    : held === value

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
