// The data of a client's answer, where anything else ends what is being played.
import type { Result } from '../src/index.ts'

export function good<T>(result: Result<T>): T {
  if (result.error) throw result.error
  return result.data
}
