// Which stack do test files share? Each of vitest's workers has one for all its files of a kind, so that two files that run side
// by side never meet; it comes up when the worker's first file asks for it.
import { fork } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import type { Stack } from '../../scripts/stack/stack.ts'

/** What a test file sees of its stack. */
export type SharedStack = {
  stack: Pick<
    Stack,
    'url' | 'functionsUrl' | 'dbUrl' | 'adminDbUrl' | 'publishableKey' | 'secretKey'
  >
  /** Where `connectRemote` finds what only the process of the stack can do; null where nobody needs that. */
  remote: string | null
}

export type StartedStack = SharedStack & { stop(): Promise<void> }

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers a POST of a worker's number with its {@link SharedStack}. */
    sharedStacks: string
  }
}

/**
 * Brings up stacks for the workers of a project, or of all, and answers what takes them down again. Each has a process of its own:
 * in one they would wait for each other.
 *
 * @param module The address of one that exports `start(): Promise<StartedStack>`.
 */
export async function shareStacks(
  project: TestProject,
  module: string,
): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<StackProcess>>()
  const server = createServer(async (request, response) => {
    let worker = ''
    for await (const chunk of request) worker += chunk
    const starting = started.get(worker) ?? startProcess(module)
    started.set(worker, starting)
    try {
      response.end(JSON.stringify((await starting).shared))
    } catch (error) {
      response.statusCode = 500
      response.end(error instanceof Error ? error.stack : String(error))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  project.provide(
    'sharedStacks',
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  )
  return async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    const stacks = await Promise.allSettled(started.values())
    await Promise.all(
      stacks.map((stack) => stack.status === 'fulfilled' && stack.value.stop()),
    )
  }
}

type StackProcess = { shared: SharedStack; stop(): Promise<void> }

function startProcess(module: string): Promise<StackProcess> {
  const child = fork(join(import.meta.dirname, 'stack-process.ts'), [module], { execArgv: [] })
  const ended = new Promise<string>((resolve) =>
    child.once('exit', (code, signal) => resolve(`the stack's process ended (${signal ?? code})`))
  )
  return new Promise((resolve, reject) => {
    ended.then((reason) => reject(new Error(reason)))
    child.once('error', reject)
    child.once('message', (shared) =>
      resolve({
        shared: shared as SharedStack,
        async stop() {
          if (child.connected) child.disconnect()
          await ended
        },
      }))
  })
}
