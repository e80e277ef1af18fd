// `npm start`: a whole local Supabase, simulated outside platforms, and the demo; stays up until Ctrl-C.
import { appendFileSync } from 'node:fs'
import { runCommand, stopOnSignals } from './command-line.ts'
import { demoUser, playDemo } from './demo.ts'
import { startAirtableSimulator } from './simulators/airtable.ts'
import {
  asPlatform,
  functionsEnvOf,
  PLATFORMS,
  type SimulatedPlatform,
} from './simulators/platforms.ts'
import { startTreezSimulator } from './simulators/treez.ts'
import { PlugboardError } from '../src/index.ts'
import { freePort } from './stack/free-port.ts'
import { readOptions, stackOptionsHelp } from './stack/options.ts'
import { startStack } from './stack/stack.ts'
import { UserError } from './stack/user-error.ts'

await runCommand(async () => {
  const options = await readOptions(process.argv.slice(2))
  if (!options) return console.log(`npm start -- [options]\n\n${stackOptionsHelp}`)

  const say = timed()
  const { treez, airtable, all } = await startPlatforms()
  say(`simulated platforms: ${Object.keys(all).join(', ')}`)
  const stack = await startStack({
    ...options,
    functionsEnv: {
      ...options.functionsEnv,
      ...withSimulated(options.functionsEnv, all),
    },
    log: say,
  })
  const stop = () =>
    Promise.all([stack.stop(), ...Object.values(all).map((platform) => platform.stop())])
  stopOnSignals(stop)
  say(`Supabase is up at ${stack.url}`)

  const demo = await playDemo(stack, { treez, airtable }, say).catch(async (error: unknown) => {
    await stop()
    if (error instanceof PlugboardError) {
      throw new UserError(`The demo stopped (${error.code}): ${error.message}`)
    }
    throw error
  })

  const more = {
    DEMO_EMAIL: demoUser.email,
    DEMO_PASSWORD: demoUser.password,
    DEMO_ORGANIZATION_ID: demo.organization_id,
  }
  appendFileSync(
    options.envFile,
    Object.entries(more).map(([name, value]) => `${name}=${value}\n`).join(''),
  )
  for (const [name, value] of Object.entries({ ...stack.env, ...more })) {
    console.log(`${name}=${value}`)
  }
  console.log(`
To go on as the manager (the token is good for an hour):

TOKEN=${demo.access_token}
curl '${stack.url}/rest/v1/products?select=name,price_amount,price_currency,stock_quantity&deleted_at=is.null&limit=3' \\
  -H 'apikey: ${stack.publishableKey}' -H "Authorization: Bearer $TOKEN"

Change something at the store, then sync again:

curl -X POST ${treez.url}/_control/change -d '{"count":5}'
curl -X POST ${stack.functionsUrl}/sync-products -H 'content-type: application/json' \\
  -H 'apikey: ${stack.publishableKey}' -H "Authorization: Bearer $TOKEN" \\
  -d '{"integration_id":"${demo.integration_id}"}'
`)
  console.log(`ready ${stack.url} (env in ${options.envFile}, Ctrl-C stops)`)
})

/** The same addresses at each start, where they are free: an integration made with them goes on working. */
async function startPlatforms() {
  const port = (slug: string) => freePort(54330 + Object.keys(PLATFORMS).indexOf(slug))
  const [treez, airtable] = await Promise.all([
    port('treez').then((port) => startTreezSimulator({ port })),
    port('airtable').then((port) => startAirtableSimulator({ port })),
  ])
  const all: Record<string, SimulatedPlatform> = { treez: asPlatform(treez), airtable }
  for (const [slug, start] of Object.entries(PLATFORMS)) {
    all[slug] ??= await start(await port(slug))
  }
  return { treez, airtable, all }
}

/** The demo's accounts are always the simulated ones; a platform that the file names is the file's. */
function withSimulated(
  env: Record<string, string>,
  all: Record<string, SimulatedPlatform>,
): Record<string, string> {
  const own = {
    CONNECTOR_OVERRIDES: readJson(env, 'CONNECTOR_OVERRIDES'),
    OAUTH_CLIENTS: readJson(env, 'OAUTH_CLIENTS'),
  }
  const isOwn = (slug: string) =>
    slug !== 'treez' && slug !== 'airtable' &&
    Object.values(own).some((bySlug) => Object.hasOwn(bySlug, slug))
  const simulated = functionsEnvOf(
    Object.fromEntries(Object.entries(all).filter(([slug]) => !isOwn(slug))),
  )
  return Object.fromEntries(
    Object.entries(simulated).map(([name, json]) => [
      name,
      JSON.stringify({ ...own[name as keyof typeof own], ...JSON.parse(json) }),
    ]),
  )
}

function readJson(env: Record<string, string>, name: string): Record<string, unknown> {
  try {
    return JSON.parse(env[name] ?? '{}')
  } catch {
    throw new UserError(`${name} in the file of --functions-env is not valid JSON.`)
  }
}

/** Each line with the seconds since the start. */
function timed(): (line: string) => void {
  const startedAt = performance.now()
  return (line) =>
    console.log(
      line === ''
        ? ''
        : `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${line}`,
    )
}
