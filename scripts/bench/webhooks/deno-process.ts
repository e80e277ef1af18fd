// A script in a Deno process of its own, so that what it costs is not ours: it says one line of JSON when it is ready
// or done.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { findDeno } from '../../stack/functions/supervisor.ts'
import { projectDir } from '../../stack/project.ts'

export type DenoProcess<Line> = {
  pid: number
  /** The next line it says. */
  next(): Promise<Line>
  say(line: unknown): void
  stop(): Promise<void>
}

/** @param script In the folder deno beside this file. */
export function startDeno<Line>(script: string, setup: unknown): DenoProcess<Line> {
  const child = spawn(
    findDeno(),
    ['run', '--quiet', '--allow-all', join(import.meta.dirname, 'deno', script)],
    {
      cwd: projectDir,
      env: { ...process.env, SETUP: JSON.stringify(setup) },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return {
    pid: child.pid!,
    async next() {
      const line = await lines.next()
      if (line.done) throw new Error(`${script} ended`)
      return JSON.parse(line.value) as Line
    },
    say: (line) => child.stdin!.write(`${JSON.stringify(line)}\n`),
    stop: () => stopped(child),
  }
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.stdin!.end()
    child.kill('SIGTERM')
  })
}
