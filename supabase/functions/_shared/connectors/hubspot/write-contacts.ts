// How are contacts written to HubSpot? A hundred in a call, each of them written or refused by itself.
import { platformWords } from '../vocabulary/platform-words.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import { CONTACTS } from './read-contacts.ts'

/** HubSpot's own limit of one call. */
export const BATCH = 100

export type WrittenProperties = Record<string, string | number | boolean | null>

/** @param trace Tells it from the others of the call, in the answer */
type Input = { trace: string; properties: WrittenProperties }

export const upsertByEmail = (inputs: (Input & { email: string })[]): PlatformCall =>
  batch(
    'upsert',
    inputs.map(({ trace, email, properties }) => ({
      idProperty: 'email',
      id: email,
      objectWriteTraceId: trace,
      properties: { email, ...asText(properties) },
    })),
  )

export const createAll = (inputs: Input[]): PlatformCall =>
  batch(
    'create',
    inputs.map(({ trace, properties }) => ({
      objectWriteTraceId: trace,
      properties: asText(properties),
    })),
  )

export const updateById = (inputs: (Input & { id: string })[]): PlatformCall =>
  batch(
    'update',
    inputs.map(({ trace, id, properties }) => ({
      id,
      objectWriteTraceId: trace,
      properties: asText(properties),
    })),
  )

export const archiveById = (ids: string[]): PlatformCall =>
  batch('archive', ids.map((id) => ({ id })))

const batch = (what: string, inputs: unknown[]): PlatformCall => ({
  method: 'POST',
  path: `${CONTACTS}/batch/${what}`,
  json: { inputs },
})

/** HubSpot's values are text, and '' empties one. */
export function asText(properties: WrittenProperties): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, value === null ? '' : String(value)]),
  )
}

export const resultsOf = (body: unknown): unknown[] => listAt(body, 'results')

const listAt = (body: unknown, path: string): unknown[] => {
  const found = readPath(body, path)
  return Array.isArray(found) ? found : []
}

/** What an item of a call may be called in the answer: by its trace, or by its email or id in lowercase. */
export type CallItem = { trace: string; names: string[] }

/** The result of each item; undefined for one that has none. */
export function resultsByItem(body: unknown, items: CallItem[]): unknown[] {
  const results = resultsOf(body)
  const traceOf = (result: unknown) => String(readPath(result, 'objectWriteTraceId') ?? '')
  const namesOf = (result: unknown) =>
    [readPath(result, 'id'), readPath(result, 'properties.email')].map((name) =>
      String(name ?? '').toLowerCase()
    )
  return items.map(({ trace, names }) =>
    results.find((result) => traceOf(result) === trace) ??
      results.find((result) =>
        traceOf(result) === '' && namesOf(result).some((name) => names.includes(name))
      )
  )
}

export type Refusal = { index: number; code: string; message: string }

/** Which items of a call were refused: HubSpot says 207 and names them by trace id, by id or by email. */
export function refusalsOf(body: unknown, items: CallItem[]): Refusal[] {
  type Named = { traces: string[]; others: string[] }
  const isNamed = (item: CallItem, { traces, others }: Named) =>
    traces.includes(item.trace) || others.some((name) => item.names.includes(name))
  const errors = listAt(body, 'errors').map((error) => {
    // what else is in the context, such as the refused value, may look like one of these
    const named = (path: string) => [readPath(error, `context.${path}`) ?? []].flat().map(String)
    return {
      code: String(readPath(error, 'category') ?? 'UNKNOWN'),
      message: platformWords(readPath(error, 'message')),
      traces: named('objectWriteTraceId'),
      others: [...named('ids'), ...named('emails')].map((name) => name.toLowerCase()),
    }
  })
  const refused = errors.flatMap(({ code, message, ...named }) =>
    items.flatMap((item, index) => isNamed(item, named) ? [{ index, code, message }] : [])
  )
  const nameless = errors.find((error) => !items.some((item) => isNamed(item, error)))
  if (!nameless) return refused
  // it does not say whom it means: whoever is neither written nor refused by name
  const { code, message } = nameless
  const results = resultsByItem(body, items)
  return [
    ...refused,
    ...items.flatMap((_, index) =>
      results[index] === undefined && !refused.some((other) => other.index === index)
        ? [{ index, code, message }]
        : []
    ),
  ]
}
