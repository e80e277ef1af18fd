// Which stack may a test file use? Its worker's, which no other file uses meanwhile.
import { inject } from 'vitest'
import type { SharedStack } from './shared-stacks.ts'

// Vitest numbers the workers from 1; no two that are at work have the same number.
const response = await fetch(inject('sharedStacks'), {
  method: 'POST',
  body: process.env['VITEST_POOL_ID'] ?? '',
})
if (!response.ok) throw new Error(`the stack did not start: ${await response.text()}`)
const { stack, remote }: SharedStack = await response.json()

export const sharedStack = stack

/** Where this stack's remote is. */
export function sharedRemote(): string {
  if (remote === null) throw new Error('the stacks of this project have no remote')
  return remote
}
