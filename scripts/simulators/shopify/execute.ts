// What does a query cost at most, what does it cost in the end, and what does it answer?
import { argumentsOf, QueryError, type Selection, type Variables } from './query.ts'

/** Objects have the API's fields; one that takes arguments is a function. */
export type Node = { __typename: string; [field: string]: unknown }

/** An object is a point, a connection two and as many objects as are asked for. */
export function requestedCost(fields: Selection[], variables: Variables): number {
  return fields.reduce((sum, selection) => {
    if (selection.fields === null || selection.name === 'pageInfo') return sum
    if (selection.on !== null || selection.name === 'nodes') {
      return sum + requestedCost(selection.fields, variables)
    }
    const inner = requestedCost(selection.fields, variables)
    const { first } = argumentsOf(selection, variables)
    return sum + (typeof first === 'number' ? 2 + first * (1 + inner) : 1 + inner)
  }, 0)
}

export type Connection = { __typename: 'Connection'; nodes: Node[]; pageInfo: Node }

/** @throws QueryError for a field that is not there */
export function execute(
  fields: Selection[],
  root: Node,
  variables: Variables,
): { data: Record<string, unknown>; cost: number } {
  let cost = 0
  const project = (fields: Selection[], node: Node): Record<string, unknown> => {
    const result: Record<string, unknown> = {}
    for (const selection of fields) {
      if (selection.on !== null) {
        if (selection.on === node.__typename) {
          Object.assign(result, project(selection.fields ?? [], node))
        }
        continue
      }
      const { name } = selection
      if (!Object.hasOwn(node, name)) {
        const message = `Field '${name}' doesn't exist on type '${node.__typename}'`
        throw new QueryError(message, 'undefinedField')
      }
      const held = node[name]
      const value = typeof held === 'function'
        ? (held as (args: unknown) => unknown)(argumentsOf(selection, variables))
        : held
      result[name] = selection.fields === null ? value : shown(selection, value)
    }
    return result
  }
  const shown = ({ name, fields }: Selection, value: unknown): unknown => {
    if (value === null || value === undefined) return null
    if (Array.isArray(value)) {
      cost += value.length
      return value.map((item) => project(fields ?? [], item as Node))
    }
    const node = value as Node
    if (name !== 'pageInfo') cost += node.__typename === 'Connection' ? 2 : 1
    return project(fields ?? [], node)
  }
  const data = project(fields, root)
  return { data, cost }
}

/** Relay's pages: a cursor is the id of the last node that was seen. */
export function connection(
  nodes: Node[],
  { first, after }: { first?: unknown; after?: unknown },
  idOf: (node: Node) => string = (node) => String(node['id']),
): Connection {
  const places = nodes.map((node) =>
    Buffer.from(JSON.stringify({ last_id: idOf(node) }))
      .toString('base64')
  )
  const start = after === null || after === undefined ? 0 : places.indexOf(String(after)) + 1
  if (start === 0 && typeof after === 'string') {
    throw new QueryError('Invalid cursor for current pagination sort.', 'BAD_REQUEST')
  }
  const end = start + Number(first)
  const page = nodes.slice(start, end)
  return {
    __typename: 'Connection',
    nodes: page,
    pageInfo: {
      __typename: 'PageInfo',
      hasNextPage: end < nodes.length,
      endCursor: page.length === 0 ? null : places[start + page.length - 1],
    },
  }
}
