// `npm run bench -- NAME [options]`: measures one thing and prints a table, or JSON with --json.
import { runCommand } from '../command-line.ts'
import { UserError } from '../stack/user-error.ts'
import type { Benchmark } from './benchmark.ts'
import { printReport } from './print-report.ts'

/** Each benchmark is one module; it is loaded only when it is asked for. */
const benchmarks: Record<string, () => Promise<Benchmark>> = {
  push: async () => (await import('./push.ts')).push,
  refresh: async () => (await import('./refresh.ts')).refresh,
  'rate-limit': async () => (await import('./rate-limit.ts')).rateLimit,
  sync: async () => (await import('./sync.ts')).sync,
  webhooks: async () => (await import('./webhooks.ts')).webhooks,
}

const help = `npm run bench -- NAME [options]

  NAME    ${Object.keys(benchmarks).join(', ')}
  --json  one JSON document instead of tables
  --help  this text; with a NAME, the options of that one`

await runCommand(async () => {
  const args = process.argv.slice(2)
  const name = args.find((arg) => !arg.startsWith('-'))
  if (name === undefined) {
    const unknown = args.find((arg) => arg !== '--help')
    if (unknown) throw new UserError(`${unknown} means nothing without a NAME; see --help.`)
    return console.log(help)
  }
  const load = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined
  if (!load) {
    const known = Object.keys(benchmarks).join(', ')
    throw new UserError(`There is no benchmark "${name}". Known: ${known}.`)
  }
  const benchmark = await load()
  if (args.includes('--help')) return console.log(benchmark.help)

  const asJson = args.includes('--json')
  const own = args.filter((arg, index) => arg !== '--json' && index !== args.indexOf(name))
  // progress goes to stderr, so that `--json > file` holds the report alone
  const report = await benchmark.run(own, (line) => console.error(line))
  if (asJson) console.log(JSON.stringify(report, null, 2))
  else printReport(report)
})
