// How fast do local changes reach a platform, of what its rate limit allows, and what do they cost?
import { parseOptions } from '../command-line.ts'
import type { Benchmark, Report } from './benchmark.ts'
import { median } from './median.ts'
import { requireProc } from './process-usage.ts'
import { measurePush, type Pushed, REQUESTS, SECONDS } from './push/measure.ts'
import { numberOption, reportOn } from './report-on.ts'

const help = `npm run bench -- push [options]

  --contacts 10000        changed here, all in one statement
  --runs 3                of each transport, the median counts
  --quick                 1,000 contacts, one run: to see that it works
  --json                  one JSON document instead of tables`

export const push: Benchmark = { help, run }

async function run(args: string[], log: (line: string) => void): Promise<Report> {
  const values = parseOptions(args, {
    contacts: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean' },
  })
  const options = {
    contacts: numberOption(values, 'contacts', 10_000, 1_000),
    runs: numberOption(values, 'runs', 3, 1),
  }
  requireProc()
  return await reportOn(
    'push',
    args,
    log,
    async (bench, stack) => tablesOf(await measurePush(bench, stack, { ...options, log }), options),
  )
}

const OVER = ['Data API', 'direct'] as const

function tablesOf(
  results: Pushed[],
  { contacts, runs }: { contacts: number; runs: number },
): Pick<Report, 'tables' | 'targets'> {
  const middle = (over: string, value: (result: Pushed) => number) =>
    median(results.filter((result) => result.over === over).map(value))
  const most = (over: string, value: (result: Pushed) => number) =>
    Math.max(...results.filter((result) => result.over === over).map(value))
  return {
    tables: [{
      title:
        `${contacts} contacts changed here, ${REQUESTS} requests in ${SECONDS} s allowed, median of ${runs}`,
      columns: [
        'over',
        'ms a row to mark',
        'ms a row while it only pulls',
        'requests',
        'seconds',
        'share used',
        'most in 10 s, worst',
        'refused',
        'slices',
        'CPU s, worst slice',
      ],
      rows: OVER.map((over) => [
        over,
        middle(over, ({ mark_ms_a_row }) => mark_ms_a_row),
        middle(over, ({ pull_only_ms_a_row }) => pull_only_ms_a_row),
        middle(over, ({ requests }) => requests),
        middle(over, ({ seconds }) => seconds),
        middle(over, ({ share }) => share),
        most(over, ({ busiest }) => busiest),
        most(over, ({ refused }) => refused),
        most(over, ({ slices }) => slices),
        most(over, ({ cpu_seconds_a_slice }) => cpu_seconds_a_slice),
      ]),
    }],
    targets: OVER.flatMap((over) => [
      {
        what: `${over}: share of the limit that is used`,
        asked: 0.8,
        is: middle(over, ({ share }) => share),
      },
      {
        what: `${over}: CPU s of the worst slice`,
        asked: 2,
        is: most(over, ({ cpu_seconds_a_slice }) => cpu_seconds_a_slice),
        at_most: true,
      },
      {
        what: `${over}: ms a row to mark`,
        asked: 0.2,
        is: middle(over, ({ mark_ms_a_row }) => mark_ms_a_row),
        at_most: true,
      },
    ]),
  }
}
