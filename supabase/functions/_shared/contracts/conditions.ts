// Conditions on the wire: what a filter says about a document, as data and never as code. A document fits or does not;
// private.is_condition and private.condition_holds are the same in SQL, which judges.
import { z } from 'zod'

const MAX_DEPTH = 8
const MAX_TEXT = 1_000
const MAX_VALUES = 500
const MAX_TEXT_IN_ALL = 10_000

/** At most so many characters as Postgres counts them: by code point. */
const text = (min: number, max: number) =>
  z.string().refine((value) => {
    const length = [...value].length
    return length >= min && length <= max
  }, `must have ${min} to ${max} characters`)

/** A value that can be compared. */
const Scalar = z.union([text(0, MAX_TEXT), z.number(), z.boolean(), z.null()], {
  error: `must be text of at most ${MAX_TEXT} characters, a number, true, false or null`,
})
type Scalar = z.infer<typeof Scalar>

const Ordered = z.union([text(0, MAX_TEXT), z.number()], {
  error: `must be text of at most ${MAX_TEXT} characters, or a number`,
})

/** A path into the document, with dots: `data.price_amount`. */
const field = text(1, 200)

const Comparison = z.discriminatedUnion('operator', [
  z.strictObject({ field, operator: z.enum(['eq', 'ne', 'contains']), value: Scalar }),
  z.strictObject({ field, operator: z.enum(['gt', 'gte', 'lt', 'lte']), value: Ordered }),
  z.strictObject({ field, operator: z.literal('in'), value: z.array(Scalar).min(1).max(100) }),
  z.strictObject({ field, operator: z.literal('starts_with'), value: text(0, MAX_TEXT) }),
  z.strictObject({ field, operator: z.literal('exists'), value: z.boolean() }),
], {
  error: (issue) =>
    issue.code === 'invalid_union'
      ? 'must be eq, ne, gt, gte, lt, lte, in, contains, starts_with or exists'
      : undefined,
})

/** At most 8 levels deep, 20 wide and small in all. What is not there counts as null; what cannot be compared does not fit. */
export type Condition =
  | z.infer<typeof Comparison>
  | { and: Condition[] }
  | { or: Condition[] }
  | { not: Condition }

/** One schema for all levels would be a union that names every way in which none of its parts fits. */
export const Condition: z.ZodType<Condition, Condition> = z.custom<Condition>().superRefine(
  (value, context) => {
    let isGood = true
    for (const { path, message } of faultsOf(value, [], 1)) {
      isGood = false
      context.addIssue({ code: 'custom', path, message })
    }
    if (!isGood) return
    const { values, characters } = sizeOf(value)
    if (values > MAX_VALUES || characters > MAX_TEXT_IN_ALL) {
      context.addIssue({
        code: 'custom',
        message: `must have at most ${MAX_VALUES} values and ${MAX_TEXT_IN_ALL} characters in all`,
      })
    }
  },
)

/** Counts JSON values at every level, and the characters of those that are text. */
function sizeOf(value: unknown): { values: number; characters: number } {
  const size = { values: 1, characters: typeof value === 'string' ? [...value].length : 0 }
  if (typeof value !== 'object' || value === null) return size
  for (const part of Object.values(value)) {
    const { values, characters } = sizeOf(part)
    size.values += values
    size.characters += characters
  }
  return size
}

type Fault = { path: PropertyKey[]; message: string }

function* faultsOf(value: unknown, path: PropertyKey[], depth: number): Generator<Fault> {
  if (depth > MAX_DEPTH) {
    yield { path, message: `must not nest deeper than ${MAX_DEPTH} levels` }
  } else if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield { path, message: 'must be a condition' }
  } else if (Object.hasOwn(value, 'field')) {
    yield* faultsOfComparison(value, path)
  } else {
    yield* faultsOfGroup(value, path, depth)
  }
}

function* faultsOfComparison(value: object, path: PropertyKey[]): Generator<Fault> {
  // zod passes this name over, which Postgres does not
  if (Object.hasOwn(value, '__proto__')) yield { path: [...path, '__proto__'], message: UNKNOWN }
  for (const issue of Comparison.safeParse(value).error?.issues ?? []) {
    const at = [...path, ...issue.path]
    if (issue.code !== 'unrecognized_keys') yield { path: at, message: issue.message }
    else yield* issue.keys.map((key) => ({ path: [...at, key], message: UNKNOWN }))
  }
}

const UNKNOWN = 'is not a known field'

function* faultsOfGroup(value: object, path: PropertyKey[], depth: number): Generator<Fault> {
  const [name, ...others] = Object.keys(value).toSorted((a, b) => rank(a) - rank(b))
  if (name !== 'and' && name !== 'or' && name !== 'not') {
    yield { path, message: 'must have field, and, or, or not' }
    return
  }
  yield* others.map((key) => ({ path: [...path, key], message: UNKNOWN }))
  const parts: unknown = (value as Record<string, unknown>)[name]
  if (name === 'not') {
    yield* faultsOf(parts, [...path, name], depth + 1)
  } else if (!Array.isArray(parts) || parts.length < 1 || parts.length > 20) {
    yield { path: [...path, name], message: 'must be a list of 1 to 20 conditions' }
  } else {
    for (const [index, part] of parts.entries()) {
      yield* faultsOf(part, [...path, name, index], depth + 1)
    }
  }
}

const rank = (name: string) => ['and', 'or', 'not'].includes(name) ? 0 : 1
