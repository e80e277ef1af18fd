// Which fields of an input are at fault, in the words every answer uses.
import type { z } from 'zod'
import type { FieldError } from './errors.ts'

/** No answer lists more. */
export const MAX_FIELD_ERRORS = 20

const MAX_PATH_LENGTH = 200

/** What zod found, one entry a field; unknown fields are named too. */
export function toFieldErrors(issues: readonly z.core.$ZodIssue[]): FieldError[] {
  return issues.flatMap((issue): FieldError[] => {
    if (issue.code !== 'unrecognized_keys') {
      return [{ path: toPath(issue.path), message: issue.message }]
    }
    return issue.keys.slice(0, MAX_FIELD_ERRORS).map((key) => ({
      path: toPath([...issue.path, key]),
      message: 'is not a known field',
    }))
  }).slice(0, MAX_FIELD_ERRORS)
}

/** A field's name with dots. */
export function toPath(segments: PropertyKey[]): string {
  return segments.map(String).filter(Boolean).join('.').slice(0, MAX_PATH_LENGTH)
}
