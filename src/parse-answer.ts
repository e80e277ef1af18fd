// Is an answer what was promised? Checked once, here, so that the types behind it can be trusted.
import type { z } from 'zod'
import { fail, type Result, succeed } from './result.ts'

export function parseAnswer<Schema extends z.ZodType>(
  schema: Schema,
  answer: unknown,
  status?: number,
): Result<z.output<Schema>> {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return succeed(parsed.data)
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  const [first] = errors
  return fail(
    'unexpected_answer',
    `The answer is not what this version of the library expects (${first?.path}: ${first?.message}).`,
    { status, errors },
  )
}
