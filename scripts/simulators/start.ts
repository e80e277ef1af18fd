// `npm run simulators`: which outside platforms can I connect to without leaving this machine?
import {
  parseOptions,
  portNumber,
  runCommand,
  stopOnSignals,
  wholeNumber,
} from '../command-line.ts'
import { UserError } from '../stack/user-error.ts'
import { startJsonFeedSimulator } from './json-feed.ts'
import { startTreezSimulator } from './treez.ts'

const help = `npm run simulators -- [options]

  --port N                 Treez's port; the feed takes the next one (default 54330; 0 picks free ones)
  --products N             products in the Treez catalog (default 2400)
  --seed N                 another seed, another catalog (default 1)
  --requests-per-second N  Treez's rate limit; 0 switches it off (default 10)
  --help                   this text`

await runCommand(async () => {
  const values = parseOptions(process.argv.slice(2), {
    port: { type: 'string', default: '54330' },
    products: { type: 'string', default: '2400' },
    seed: { type: 'string', default: '1' },
    'requests-per-second': { type: 'string', default: '10' },
    help: { type: 'boolean', default: false },
  })
  if (values.help) return console.log(help)

  const port = portNumber('--port', values.port)
  const treez = await startTreezSimulator({
    port,
    products: wholeNumber('--products', values.products),
    seed: wholeNumber('--seed', values.seed),
    requestsPerSecond: wholeNumber('--requests-per-second', values['requests-per-second']),
  }).catch(portTaken(port))
  const feedPort = port === 0 ? 0 : port + 1
  const feed = await startJsonFeedSimulator({ port: feedPort }).catch(portTaken(feedPort))
  stopOnSignals(() => Promise.all([treez.stop(), feed.stop()]))

  const { client_id, api_key } = treez.credentials.v2
  const { dispensary } = treez.settings
  const overrides = JSON.stringify({ treez: { baseUrl: treez.baseUrl } })
  console.log(`treez      ${treez.url}`)
  console.log(`           dispensary=${dispensary} client_id=${client_id} api_key=${api_key}`)
  console.log(`           curl -X POST ${treez.url}/_control/change -d '{"count":5}'`)
  console.log(`json-feed  ${feed.url}`)
  console.log('\nFor --functions-env of the stack, so that Treez leads here:')
  console.log(`CONNECTOR_OVERRIDES=${overrides}`)
  console.log('\nready (Ctrl-C stops)')
})

/** Says so in one sentence; any other error is not ours to hide. */
function portTaken(port: number) {
  return (error: NodeJS.ErrnoException): never => {
    if (error.code !== 'EADDRINUSE') throw error
    throw new UserError(`Port ${port} is taken: choose another with --port, or 0 for a free one.`)
  }
}
