// A benchmark's frame: a stack of its own, and a report that says when, where and by which command.
import type { Stack } from '../stack/stack.ts'
import { startStack } from '../stack/stack.ts'
import { wholeNumber } from '../command-line.ts'
import type { Report } from './benchmark.ts'
import { describeMachine } from './machine.ts'
import { type BenchStore, openBench } from './sync/bench-store.ts'

/** Measures on a fresh stack, which goes down afterwards. */
export async function reportOn(
  name: string,
  args: string[],
  log: (line: string) => void,
  measure: (bench: BenchStore, stack: Stack) => Promise<Pick<Report, 'tables' | 'targets'>>,
): Promise<Report> {
  log('starting a stack')
  const stack = await startStack({ ephemeral: true, cron: false })
  try {
    const bench = await openBench(stack)
    try {
      const results = await measure(bench, stack)
      return {
        name,
        command: [`npm run bench -- ${name}`, ...args].join(' '),
        measured_at: new Date().toISOString(),
        machine: await describeMachine(bench.admin),
        ...results,
        notes: [],
      }
    } finally {
      await bench.end()
    }
  } finally {
    await stack.stop()
  }
}

/** Reads an option that is a number from 1: as given, or as usual, or as `--quick` has it. */
export function numberOption<Name extends string>(
  values: { [Option in Name]?: string | boolean | undefined } & { quick?: boolean | undefined },
  name: Name,
  usual: number,
  quick: number,
): number {
  const given = values[name]
  if (given === undefined) return values.quick ? quick : usual
  return wholeNumber(`--${name}`, String(given), 1)
}
