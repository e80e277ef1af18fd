// `npm run simulators`: which outside platforms can I connect to without leaving this machine?
import { parseArgs } from 'node:util'
import { startJsonFeedSimulator } from './json-feed.ts'
import { startTreezSimulator } from './treez.ts'

const HELP = `Usage: npm run simulators -- [options]

  --port N                 Treez's port; the feed takes the next one. 0 picks free ones (default 54330)
  --products N             products in the Treez catalog (default 2400)
  --seed N                 another seed, another catalog (default 1)
  --requests-per-second N  Treez's rate limit; 0 switches it off (default 10)
  --help                   this text`

const integer = (name: string, value: string) => {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 0) {
    console.error(`--${name} takes a whole number, not "${value}".`)
    process.exit(2)
  }
  return number
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '54330' },
        products: { type: 'string', default: '2400' },
        seed: { type: 'string', default: '1' },
        'requests-per-second': { type: 'string', default: '10' },
        help: { type: 'boolean', default: false },
      },
    })
    return values
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : error}\n\n${HELP}`,
    )
    process.exit(2)
  }
}

/** Says so in one sentence; any other error is not ours to hide. */
const portTaken = (port: number) => (error: NodeJS.ErrnoException): never => {
  if (error.code !== 'EADDRINUSE') throw error
  console.error(`Port ${port} is taken; choose another with --port, or 0 for any free one.`)
  process.exit(1)
}

const values = readOptions()
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const port = integer('port', values.port)
const treez = await startTreezSimulator({
  port,
  products: integer('products', values.products),
  seed: integer('seed', values.seed),
  requestsPerSecond: integer('requests-per-second', values['requests-per-second']),
}).catch(portTaken(port))
const feedPort = port === 0 ? 0 : port + 1
const feed = await startJsonFeedSimulator({ port: feedPort }).catch(portTaken(feedPort))

console.log(
  `treez      ${treez.url}  dispensary=${treez.settings.dispensary} ` +
    `client_id=${treez.credentials.v2.client_id} api_key=${treez.credentials.v2.api_key}`,
)
console.log(
  `           control: curl -X POST ${treez.url}/_control/change -d '{"count":5}'`,
)
console.log(`json-feed  ${feed.url}`)
console.log(
  `CONNECTOR_OVERRIDES=${JSON.stringify({ treez: { baseUrl: treez.baseUrl } })}`,
)
console.log('ready; Ctrl-C stops')

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    Promise.all([treez.stop(), feed.stop()]).then(() => process.exit(0))
  })
}
