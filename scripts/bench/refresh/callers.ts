// Many processes that need one account's token at the same moment, and may be killed in the middle.
import { type ChildProcess, fork } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inParallel } from '../../../supabase/functions/_shared/platform/in-parallel.ts'
import type { CallerSetup, Order, Told } from './caller.ts'

/** A process with one caller or several. */
export type Caller = {
  /** What came of it, for each caller in the process. */
  ask(order: Order): Promise<Told[]>
  kill(): Promise<void>
}

export async function startCaller(setup: CallerSetup): Promise<Caller> {
  const child = fork(join(import.meta.dirname, 'caller.ts'), [], {
    env: {
      ...process.env,
      CALLER: JSON.stringify(setup),
      // half of what a start costs
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(tmpdir(), 'plugboard-callers'),
    },
    execArgv: ['--max-old-space-size=64'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await nextOf(child)
  return {
    async ask(order) {
      const told = nextOf(child)
      child.send(order)
      return await told
    },
    kill: () => killed(child),
  }
}

function nextOf(child: ChildProcess): Promise<Told[]> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the caller ended'))
    child.once('exit', onExit)
    child.once('message', (told: Told[]) => {
      child.off('exit', onExit)
      resolve(told)
    })
  })
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** So many callers in ten processes, as far as they go round. */
export async function startCallers(setup: CallerSetup, count: number): Promise<Caller[]> {
  const processes = Math.min(10, count)
  return await inParallel(
    Array.from({ length: processes }, (_, index) => index),
    2,
    (index) => {
      const callers = Math.floor(count / processes) + (index < count % processes ? 1 : 0)
      return startCaller({ ...setup, callers })
    },
  )
}

/** All of them at the same moment. */
export async function askAll(callers: Caller[], order: Order): Promise<Told[]> {
  return (await Promise.all(callers.map((caller) => caller.ask(order)))).flat()
}
