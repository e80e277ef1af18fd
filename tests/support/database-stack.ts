// The stack of the database tests: Postgres with every migration, without Edge Functions.
import type { TestProject } from 'vitest/node'
import { shareStack } from './shared-stack.ts'

export default (project: TestProject) => shareStack(project, { functions: false })
