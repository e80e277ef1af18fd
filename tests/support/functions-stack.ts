// The stack of tests that call Edge Functions: everything runs, schedules only when a test asks.
import type { TestProject } from 'vitest/node'
import { shareStack } from './shared-stack.ts'

export default (project: TestProject) => shareStack(project, {})
