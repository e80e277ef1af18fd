// `npm run simulators`: which outside platforms can I connect to without leaving this machine?
import {
  parseOptions,
  portNumber,
  runCommand,
  stopOnSignals,
  wholeNumber,
} from '../command-line.ts'
import { UserError } from '../stack/user-error.ts'
import { asPlatform, functionsEnvOf, PLATFORMS, type SimulatedPlatform } from './platforms.ts'
import { startTreezSimulator } from './treez.ts'

const help = `npm run simulators -- [options]

  --only SLUG,SLUG         some of ${Object.keys(PLATFORMS).join(', ')}
  --port N                 the first one's port; the others take the next ones (default 54330; 0 picks free ones)
  --products N             products in the Treez catalog (default 2400)
  --seed N                 another seed, another Treez catalog (default 1)
  --requests-per-second N  Treez's rate limit; 0 switches it off (default 10)
  --help                   this text`

await runCommand(async () => {
  const values = parseOptions(process.argv.slice(2), {
    only: { type: 'string' },
    port: { type: 'string', default: '54330' },
    products: { type: 'string', default: '2400' },
    seed: { type: 'string', default: '1' },
    'requests-per-second': { type: 'string', default: '10' },
    help: { type: 'boolean', default: false },
  })
  if (values.help) return console.log(help)

  const treez = {
    products: wholeNumber('--products', values.products),
    seed: wholeNumber('--seed', values.seed),
    requestsPerSecond: wholeNumber('--requests-per-second', values['requests-per-second']),
  }
  const starts: typeof PLATFORMS = {
    ...PLATFORMS,
    treez: (port) => startTreezSimulator({ ...treez, port }).then(asPlatform),
  }
  const first = portNumber('--port', values.port)
  const running: Record<string, SimulatedPlatform> = {}
  stopOnSignals(() => Promise.all(Object.values(running).map((platform) => platform.stop())))
  for (const slug of chosen(values.only)) {
    // each keeps its port, whichever others run
    const port = first === 0 ? 0 : first + Object.keys(PLATFORMS).indexOf(slug)
    running[slug] = await starts[slug]!(port).catch(portTaken(port))
  }

  const width = Math.max(...Object.keys(running).map((slug) => slug.length))
  for (const [slug, { url, settings, credentials, client }] of Object.entries(running)) {
    const about = (text: string) => console.log(`${' '.repeat(width)}  ${text}`)
    console.log(`${slug.padEnd(width)}  ${url}`)
    if (settings && Object.keys(settings).length > 0) about(`settings ${JSON.stringify(settings)}`)
    if (credentials && typeof credentials !== 'function') {
      about(`credentials ${JSON.stringify(credentials)}`)
    }
    if (client) about('or sign in there: connect with a return_url')
  }
  console.log('\nFor --functions-env of the stack, so that the connectors lead here:')
  for (const [name, value] of Object.entries(functionsEnvOf(running))) {
    console.log(`${name}=${value}`)
  }
  console.log('\nready (Ctrl-C stops)')
})

function chosen(only: string | undefined): string[] {
  if (only === undefined) return Object.keys(PLATFORMS)
  const slugs = only.split(',').map((slug) => slug.trim()).filter(Boolean)
  const unknown = slugs.find((slug) => !Object.hasOwn(PLATFORMS, slug))
  if (unknown !== undefined || slugs.length === 0) {
    throw new UserError(
      `There is no simulator "${unknown ?? ''}". Known: ${Object.keys(PLATFORMS).join(', ')}.`,
    )
  }
  return slugs
}

/** Says so in one sentence; any other error is not ours to hide. */
function portTaken(port: number) {
  return (error: NodeJS.ErrnoException): never => {
    if (error.code !== 'EADDRINUSE') throw error
    throw new UserError(`Port ${port} is taken: choose another with --port, or 0 for free ones.`)
  }
}
