// Does this row pass `filterByFormula`? The part of Airtable's formula language that filters by time and value.

export type FormulaRow = {
  id: string
  /** RFC 3339. */
  created_at: string
  /** Null for a row that was never changed. */
  modified_at: string | null
  fields: Record<string, unknown>
}

type Value = string | number | boolean | Date | null
type Expression = (row: FormulaRow) => Value

/** @throws SyntaxError for what Airtable would call INVALID_FILTER_BY_FORMULA */
export function compileFormula(text: string): (row: FormulaRow) => boolean {
  const parser = { tokens: tokensOf(text), at: 0 }
  const expression = comparison(parser)
  if (parser.at < parser.tokens.length) throw unexpected(parser)
  return (row) => truthy(expression(row))
}

type Parser = { tokens: string[]; at: number }

const TOKEN =
  /\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\{[^}]+\}|[A-Z_]+|\d+(?:\.\d+)?|!=|<=|>=|[=<>(),])/y

function tokensOf(text: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (!match) throw new SyntaxError(`cannot read the formula at ${from}`)
    tokens.push(match[1]!)
  }
  return tokens
}

function comparison(parser: Parser): Expression {
  const left = term(parser)
  const operator = parser.tokens[parser.at]
  if (operator === undefined || !['=', '!=', '<', '>', '<=', '>='].includes(operator)) return left
  parser.at += 1
  const right = term(parser)
  return (row) => compare(operator, left(row), right(row))
}

function compare(operator: string, left: Value, right: Value): boolean {
  const [a, b] = [comparable(left), comparable(right)]
  switch (operator) {
    case '=':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '>':
      return a > b
    case '<=':
      return a <= b
    default:
      return a >= b
  }
}

function term(parser: Parser): Expression {
  const token = parser.tokens[parser.at]
  if (token === undefined) throw unexpected(parser)
  parser.at += 1
  if (/^['"]/.test(token)) {
    const text = token.slice(1, -1).replaceAll(/\\(.)/g, '$1')
    return () => text
  }
  if (/^\d/.test(token)) return () => Number(token)
  if (token.startsWith('{')) {
    const name = token.slice(1, -1)
    return (row) => (row.fields[name] ?? null) as Value
  }
  const apply = FUNCTIONS[token]
  if (!apply) throw unexpected({ ...parser, at: parser.at - 1 })
  const inputs = argumentsOf(parser)
  return (row) => apply(row, inputs.map((input) => input(row)))
}

function argumentsOf(parser: Parser): Expression[] {
  const take = (token: string) => {
    if (parser.tokens[parser.at] !== token) return false
    parser.at += 1
    return true
  }
  if (!take('(')) throw unexpected(parser)
  if (take(')')) return []
  const inputs = [comparison(parser)]
  while (take(',')) inputs.push(comparison(parser))
  if (!take(')')) throw unexpected(parser)
  return inputs
}

const FUNCTIONS: Record<string, (row: FormulaRow, inputs: Value[]) => Value> = {
  AND: (_, inputs) => inputs.every(truthy),
  OR: (_, inputs) => inputs.some(truthy),
  NOT: (_, [input]) => !truthy(input ?? null),
  TRUE: () => true,
  FALSE: () => false,
  RECORD_ID: (row) => row.id,
  CREATED_TIME: (row) => new Date(row.created_at),
  LAST_MODIFIED_TIME: (row) => row.modified_at === null ? null : new Date(row.modified_at),
  LOWER: (_, [text]) => String(text ?? '').toLowerCase(),
  TRIM: (_, [text]) => String(text ?? '').trim(),
  DATETIME_PARSE: (_, [text]) => timeOf(text),
  IS_AFTER: (_, [left, right]) => ordered(left, right, (a, b) => a > b),
  IS_BEFORE: (_, [left, right]) => ordered(left, right, (a, b) => a < b),
}

/** A time that is not there is neither before nor after another. */
function ordered(
  left: Value | undefined,
  right: Value | undefined,
  isSo: (a: number, b: number) => boolean,
): boolean {
  const [a, b] = [timeOf(left), timeOf(right)]
  return a !== null && b !== null && isSo(a.getTime(), b.getTime())
}

function timeOf(value: Value | undefined): Date | null {
  if (value instanceof Date) return value
  const time = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(time) ? null : new Date(time)
}

const truthy = (value: Value) => value !== null && value !== false && value !== '' && value !== 0

const comparable = (value: Value) =>
  value instanceof Date ? value.getTime() : value === null ? '' : value

const unexpected = ({ tokens, at }: Parser) =>
  new SyntaxError(`unexpected ${tokens[at] ?? 'end of the formula'}`)
