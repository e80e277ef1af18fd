// How many refreshes does an expiry cost when fifty processes need the token, and how long do they wait for it?
import { parseOptions, wholeNumber } from '../command-line.ts'
import { startStack } from '../stack/stack.ts'
import type { Benchmark, Report } from './benchmark.ts'
import { describeMachine } from './machine.ts'
import { median } from './median.ts'
import { measureRefreshes, type Refreshes } from './refresh/measure.ts'
import { openBench } from './sync/bench-store.ts'

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
  const number = (name: 'callers' | 'expiries', usual: number, quick: number) =>
    values[name] === undefined
      ? (values.quick ? quick : usual)
      : wholeNumber(`--${name}`, values[name], 1)
  const options = { callers: number('callers', 50, 5), expiries: number('expiries', 200, 10) }
  log('starting a stack')
  const stack = await startStack({ ephemeral: true, cron: false })
  try {
    const bench = await openBench(stack)
    try {
      const results = await measureRefreshes(stack, { ...options, log })
      return {
        name: 'refresh',
        command: ['npm run bench -- refresh', ...args].join(' '),
        measured_at: new Date().toISOString(),
        machine: await describeMachine(bench.admin),
        ...tablesOf(results, options),
        notes: [],
      }
    } finally {
      await bench.end()
    }
  } finally {
    await stack.stop()
  }
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
