// What does a GraphQL query ask for? As much of the language as queries of an API client use.

export type Variables = Record<string, unknown>

/** A field, or (with `on`) what is asked of one type only. */
export type Selection = {
  name: string
  args: Record<string, Argument>
  fields: Selection[] | null
  on: string | null
}

type Argument = { variable: string } | { value: unknown }

export class QueryError extends Error {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

const TOKEN = /\.\.\.|[{}()\[\]:!$=@]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|\w+/g

/** @throws QueryError */
export function parseQuery(query: string): Selection[] {
  const tokens = query.match(TOKEN) ?? []
  let at = 0
  const fragments = new Map<string, Selection[]>()
  const spreads: { name: string; into: Selection[] }[] = []
  let operation: Selection[] | null = null

  const peek = () => tokens[at]
  const take = (expected?: string) => {
    const token = tokens[at++]
    if (token === undefined || expected !== undefined && token !== expected) {
      throw new QueryError(`syntax error, unexpected ${token ?? 'end of file'}`, 'parseError')
    }
    return token
  }
  const skipUntil = (end: string) => {
    while (peek() !== undefined && peek() !== end) at += 1
  }
  const argument = (): Argument => {
    const token = take()
    if (token === '$') return { variable: take() }
    if (token.startsWith('"')) return { value: JSON.parse(token) as unknown }
    if (/^-?\d/.test(token)) return { value: Number(token) }
    return { value: token === 'null' ? null : token === 'true' || (token !== 'false' && token) }
  }
  const selections = (): Selection[] => {
    take('{')
    const fields: Selection[] = []
    while (peek() !== '}') {
      const name = take()
      if (name === '...') {
        const kind = take()
        if (kind !== 'on') spreads.push({ name: kind, into: fields })
        else fields.push({ name: '', args: {}, on: take(), fields: selections() })
        continue
      }
      const args: Record<string, Argument> = {}
      if (peek() === '(') {
        take('(')
        while (peek() !== ')') {
          const key = take()
          take(':')
          args[key] = argument()
        }
        take(')')
      }
      fields.push({ name, args, on: null, fields: peek() === '{' ? selections() : null })
    }
    take('}')
    return fields
  }

  while (peek() !== undefined) {
    if (peek() === 'fragment') {
      take()
      const name = take()
      skipUntil('{')
      fragments.set(name, selections())
    } else {
      skipUntil('{')
      operation = selections()
    }
  }
  if (!operation) throw new QueryError('there is no query', 'parseError')
  for (const { name, into } of spreads) {
    const fragment = fragments.get(name)
    if (!fragment) throw new QueryError(`there is no fragment ${name}`, 'undefinedFragment')
    into.push(...fragment)
  }
  return operation
}

export function argumentsOf({ args }: Selection, variables: Variables): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).map(([name, argument]) => [
      name,
      'variable' in argument ? variables[argument.variable] ?? null : argument.value,
    ]),
  )
}
