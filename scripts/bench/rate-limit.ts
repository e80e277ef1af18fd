// How much of a platform's rate limit do several integrations use together, and do they keep it?
import { parseOptions } from '../command-line.ts'
import type { Benchmark, Report } from './benchmark.ts'
import { median } from './median.ts'
import {
  measureSharedLimit,
  REQUESTS_PER_SECOND,
  type SharedLimit,
  STORES,
} from './rate-limit/shared-limit.ts'
import { numberOption, reportOn } from './report-on.ts'

const help = `npm run bench -- rate-limit [options]

  --products 1500         in each of the ${STORES} stores, fifty a page
  --runs 3                of each transport, the median counts
  --quick                 500 products, one run: to see that it works
  --json                  one JSON document instead of tables`

export const rateLimit: Benchmark = { help, run }

async function run(args: string[], log: (line: string) => void): Promise<Report> {
  const values = parseOptions(args, {
    products: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean' },
  })
  const options = {
    products: numberOption(values, 'products', 1500, 500),
    runs: numberOption(values, 'runs', 3, 1),
  }
  return await reportOn(
    'rate-limit',
    args,
    log,
    async (bench, stack) =>
      tablesOf(await measureSharedLimit(bench, stack, { ...options, log }), options.runs),
  )
}

const OVER = ['Data API', 'direct'] as const

function tablesOf(results: SharedLimit[], runs: number): Pick<Report, 'tables' | 'targets'> {
  const of = (over: string) => results.filter((result) => result.over === over)
  const share = (over: string) => median(of(over).map((result) => result.share))
  const most = (over: string) => Math.max(...of(over).map((result) => result.busiest))
  return {
    tables: [{
      title:
        `${STORES} stores of one client id at once, ${REQUESTS_PER_SECOND} requests a second ` +
        `stated, median of ${runs}`,
      columns: ['over', 'requests', 'seconds', 'share used', 'busiest second, worst', 'refused'],
      rows: OVER.map((over) => [
        over,
        median(of(over).map(({ requests }) => requests)),
        median(of(over).map(({ seconds }) => seconds)),
        share(over),
        most(over),
        of(over).reduce((sum, { refused }) => sum + refused, 0),
      ]),
    }],
    targets: OVER.flatMap((over) => [
      { what: `${over}: share of the limit that is used`, asked: 0.8, is: share(over) },
      {
        what: `${over}: requests in the busiest second of all runs`,
        asked: REQUESTS_PER_SECOND,
        is: most(over),
        at_most: true,
      },
    ]),
  }
}
