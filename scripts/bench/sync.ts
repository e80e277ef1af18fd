// How fast do records get into Postgres: ours beside what most people write, and beside the limit?
import { parseOptions, wholeNumber } from '../command-line.ts'
import { startStack } from '../stack/stack.ts'
import { UserError } from '../stack/user-error.ts'
import type { Benchmark, Report } from './benchmark.ts'
import { describeMachine } from './machine.ts'
import { requireProc } from './process-usage.ts'
import { openBench } from './sync/bench-store.ts'
import { BULK_SAMPLE, measurePaths, ONE_BY_ONE_SAMPLE, type PathResults } from './sync/paths.ts'
import { pathTables, pathTargets, wholeWayTable, wholeWayTargets } from './sync/report.ts'
import { measureWholeWay, type WholeWay } from './sync/whole-way.ts'

const help = `npm run bench -- sync [options]

  --records 20000,100000  catalog sizes
  --runs 3                of each, the median counts
  --quick                 2,000 records, one run: to see that it works
  --only paths|http       one half of it
  --json                  one JSON document instead of tables`

export const sync: Benchmark = { help, run }

async function run(args: string[], log: (line: string) => void): Promise<Report> {
  const options = readOptions(args)
  requireProc()
  log('starting a stack')
  const stack = await startStack({ ephemeral: true, cron: false })
  try {
    const bench = await openBench(stack)
    try {
      const paths: PathResults[] = []
      const wholeWay: WholeWay[] = []
      for (const records of options.records) {
        if (options.only === 'http') break
        paths.push(await measurePaths(bench, { ...options, records, log }))
      }
      for (const records of options.wholeWay) {
        if (options.only === 'paths') break
        wholeWay.push(...await measureWholeWay(bench, stack, { records, log }))
      }
      return {
        name: 'sync',
        command: ['npm run bench -- sync', ...args].join(' '),
        measured_at: new Date().toISOString(),
        machine: await describeMachine(bench.admin),
        tables: [...pathTables(paths), ...wholeWayTable(wholeWay)],
        targets: [...pathTargets(paths), ...wholeWayTargets(wholeWay)],
        notes: [
          `Rates of upserts come from samples: the first ${ONE_BY_ONE_SAMPLE} records one by one, ` +
          `the first ${BULK_SAMPLE} in bulk. Everything else writes the whole catalog.`,
        ],
      }
    } finally {
      await bench.end()
    }
  } finally {
    await stack.stop()
  }
}

function readOptions(args: string[]) {
  const values = parseOptions(args, {
    records: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean' },
    only: { type: 'string' },
  })
  const { only } = values
  if (only !== undefined && only !== 'paths' && only !== 'http') {
    throw new UserError(`--only wants "paths" or "http", not "${only}".`)
  }
  const sizes = values.records?.split(',').map((text) => wholeNumber('--records', text, 1))
  return {
    only,
    records: sizes ?? (values.quick ? [2_000] : [20_000, 100_000]),
    wholeWay: sizes ?? (values.quick ? [2_000] : [10_000, 100_000]),
    runs: values.runs === undefined
      ? (values.quick ? 1 : 3)
      : wholeNumber('--runs', values.runs, 1),
  }
}
