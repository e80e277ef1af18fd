// The stacks of the database tests: Postgres with every migration, without Edge Functions.
import type { TestProject } from 'vitest/node'
import { startStack } from '../../scripts/stack/stack.ts'
import { shareStacks, type StartedStack } from './shared-stacks.ts'

const options = { ephemeral: true, cron: false, envFile: null, functions: false }

export default (project: TestProject) => shareStacks(project, import.meta.url)

/** Called in a process of its own. */
export async function start(): Promise<StartedStack> {
  const stack = await startStack(options)
  return { stack, remote: null, stop: () => stack.stop() }
}
