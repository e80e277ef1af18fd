// How many refreshes does an expiry cost when fifty processes need the token, and how long do they wait for it?
import { parseOptions } from '../command-line.ts'
import type { Benchmark, Report } from './benchmark.ts'
import { median } from './median.ts'
import { measureRefreshes, type Refreshes } from './refresh/measure.ts'
import { numberOption, reportOn } from './report-on.ts'

const help = `npm run bench -- refresh [options]

  --callers 50            callers that need the token at once, in ten processes
  --expiries 200          of each kind
  --quick                 5 callers, 10 expiries: to see that it works
  --json                  one JSON document instead of tables`

export const refresh: Benchmark = { help, run }

async function run(args: string[], log: (line: string) => void): Promise<Report> {
  const values = parseOptions(args, {
    callers: { type: 'string' },
    expiries: { type: 'string' },
    quick: { type: 'boolean' },
  })
  const options = {
    callers: numberOption(values, 'callers', 50, 5),
    expiries: numberOption(values, 'expiries', 200, 10),
  }
  return await reportOn(
    'refresh',
    args,
    log,
    async (_, stack) => tablesOf(await measureRefreshes(stack, { ...options, log }), options),
  )
}

function tablesOf(
  { bare, one, many, killed }: Refreshes,
  { callers, expiries }: { callers: number; expiries: number },
): Pick<Report, 'tables' | 'targets'> {
  const ms = (values: number[]) => Math.round(median(values) * 10) / 10
  const row = (who: string, result: Refreshes['many']) => [
    who,
    result.rounds.length,
    result.granted,
    result.refused,
    result.odd,
    ms(result.rounds),
  ]
  return {
    tables: [{
      title: 'until the last one has the new token, median in ms',
      columns: ['who', 'expiries', 'refreshes', 'refused', 'wrong tokens', 'ms'],
      rows: [
        ['a bare refresh, nothing kept', bare.length, bare.length, 0, 0, ms(bare)],
        row('one caller', one),
        row(`${callers} callers`, many),
        row(`${callers} callers, the holder killed`, killed),
      ],
    }],
    targets: [
      { what: 'refreshes, as many as expiries', asked: expiries, is: many.granted, at_most: true },
      { what: 'the same with a killed holder', asked: expiries, is: killed.granted, at_most: true },
      {
        what: 'refused or wrong tokens',
        asked: 0,
        is: many.refused + many.odd + killed.refused + killed.odd,
        at_most: true,
      },
    ],
  }
}
