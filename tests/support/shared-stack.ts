// What does a test see of the stack that its project shares? Addresses and keys, from `inject('stack')`.
import type { TestProject } from 'vitest/node'
import { type Stack, type StackOptions, startStack } from '../../scripts/stack/stack.ts'

export type SharedStack = Pick<
  Stack,
  'url' | 'functionsUrl' | 'dbUrl' | 'adminDbUrl' | 'publishableKey' | 'secretKey'
>

declare module 'vitest' {
  export interface ProvidedContext {
    stack: SharedStack
  }
}

/** Brings up one ephemeral stack for a project and answers what takes it down again. */
export async function shareStack(
  project: TestProject,
  options: StackOptions,
): Promise<() => Promise<void>> {
  const stack = await startStack({ ephemeral: true, cron: false, envFile: null, ...options })
  provideStack(project, stack)
  return () => stack.stop()
}

/** Makes a stack what `inject('stack')` answers in a project's tests. */
export function provideStack(project: TestProject, stack: SharedStack): void {
  const { url, functionsUrl, dbUrl, adminDbUrl, publishableKey, secretKey } = stack
  project.provide('stack', { url, functionsUrl, dbUrl, adminDbUrl, publishableKey, secretKey })
}
