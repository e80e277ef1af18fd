// `npm start`: a whole local Supabase, simulated outside platforms, and the demo; stays up until Ctrl-C.
import { appendFileSync } from 'node:fs'
import { runCommand, stopOnSignals } from './command-line.ts'
import { demoUser, playDemo } from './demo.ts'
import { startAirtableSimulator } from './simulators/airtable.ts'
import { startJsonFeedSimulator } from './simulators/json-feed.ts'
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
  // the same addresses at each start, where they are free: an integration made with them goes on working
  const [treez, feed, airtable] = await Promise.all([
    freePort(54330).then((port) => startTreezSimulator({ port })),
    freePort(54331).then((port) => startJsonFeedSimulator({ port })),
    freePort(54332).then((port) => startAirtableSimulator({ port })),
  ])
  say(
    `simulated platforms: Treez at ${treez.url}, a JSON feed at ${feed.url}, Airtable at ${airtable.url}`,
  )
  const stack = await startStack({
    ...options,
    functionsEnv: {
      ...options.functionsEnv,
      CONNECTOR_OVERRIDES: JSON.stringify({
        ...readJson(options.functionsEnv, 'CONNECTOR_OVERRIDES'),
        // the demo's accounts, never the real ones
        treez: { baseUrl: treez.baseUrl },
        airtable: { baseUrl: airtable.baseUrl },
      }),
      OAUTH_CLIENTS: JSON.stringify({
        ...readJson(options.functionsEnv, 'OAUTH_CLIENTS'),
        airtable: airtable.client,
      }),
    },
    log: say,
  })
  const stop = () => Promise.all([stack.stop(), treez.stop(), feed.stop(), airtable.stop()])
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
