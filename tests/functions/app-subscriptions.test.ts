// Is our app subscribed at a platform once, whatever happens, and for as long as an account is connected?
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startXSimulator, type XSimulator } from '../../scripts/simulators/x.ts'
import { systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { runDueAppSubscriptions } from '../../supabase/functions/_shared/webhooks/run-app-subscriptions.ts'
import type { AppSecrets } from '../../supabase/functions/_shared/webhooks/scheme.ts'
import { testEnvironment } from '../support/environment.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { sharedStack } from '../support/shared-stack.ts'
import { type DeathPoint, mortal } from '../support/subscriptions.ts'

const functions = useFunctions()
const { database, remote } = functions
const { owner } = database
const db = directDatabase(sharedStack.dbUrl)
const address = (slug: string) => `${sharedStack.url}/functions/v1/webhook-receive/${slug}`

const X_APP = {
  client_id: 'plugboard-at-x',
  client_secret: 'unused here',
  api_key: 'x-consumer-key',
  signing_secret: 'x-consumer-secret',
}
const ACTIVITIES = ['post.create', 'post.delete', 'post.mention.create']

let team: Team
let others: Team
beforeAll(async () => {
  // the door has to answer X's check
  await remote.setFunctionsEnv({ OAUTH_CLIENTS: JSON.stringify({ x: X_APP }) })
  team = await createTeam(database)
  others = await createTeam(database)
})
afterAll(async () => {
  await remote.setFunctionsEnv({})
  await db.end()
})
beforeEach(async () => {
  // nobody rings the worker of the functions, and no app has an account yet
  await owner`
    update private.worker_wakes set rung_at = now() + interval '1 day' where worker = 'integrations'`
  await owner`delete from public.integrations where connector in ('x', 'hubspot')`
  await owner`delete from private.app_subscription_runs`
})

type Platform = { slug: string; baseUrl: string; client: AppSecrets & { client_id: string } }

async function network() {
  const simulator = await startXSimulator({ posts: 3, mentions: 3 })
  onTestFinished(() => simulator.stop())
  const platform: Platform = { slug: 'x', baseUrl: simulator.baseUrl, client: simulator.client }
  return { simulator, platform, accounts: simulator.accounts.map(({ id }) => id) }
}

async function crm() {
  const simulator = await startHubSpotSimulator({ contacts: 3, requestsPerTenSeconds: 0 })
  onTestFinished(() => simulator.stop())
  const platform: Platform = {
    slug: 'hubspot',
    baseUrl: simulator.baseUrl,
    client: simulator.client,
  }
  return { simulator, platform }
}

const outside = (
  { slug, baseUrl, client }: Platform,
  parts: Partial<Outside> = {},
): Outside => ({
  db,
  environment: testEnvironment({
    SUPABASE_URL: sharedStack.url,
    CONNECTOR_OVERRIDES: { [slug]: { baseUrl } },
    OAUTH_CLIENTS: { [slug]: client },
  }),
  log: createLog({}, () => {}),
  clock: systemClock,
  ...parts,
})

async function connect(
  { slug }: Platform,
  account: string,
  { organizationId = team.organizationId, webhooks = true as boolean | null, settings = {} } = {},
): Promise<string> {
  const { id } = await database.call<{ id: string }>('service_role', 'connect_integration', {
    p_organization_id: organizationId,
    p_connector: slug,
    p_external_account_id: account,
    p_name: 'Main street',
    p_settings: settings,
    p_credentials: {},
  })
  if (webhooks !== null) await update(id, { p_webhooks: webhooks })
  return id
}

const update = (id: string, change: Record<string, unknown>) =>
  database.call('service_role', 'update_integration', { p_integration_id: id, ...change })
const disconnect = (id: string) =>
  database.call('service_role', 'disconnect_integration', { p_integration_id: id })

/** Looks now, as a worker does that was rung. */
async function look(platform: Platform, parts: Partial<Outside> = {}) {
  await owner`update private.app_subscription_runs set run_at = now()`
  await runDueAppSubscriptions(outside(platform, parts))
}

const rows = (id: string) =>
  owner`
    select name, status, external_id, error from public.webhook_subscriptions
    where integration_id = ${id} order by name`

const dueIn = async (): Promise<number> =>
  (await owner`
    select round(extract(epoch from run_at - now()))::int as seconds
    from private.app_subscription_runs`)[0]!['seconds']

const activity = (id: string, action: string) =>
  owner`
    select detail from public.activity_logs
    where subject_id = ${id} and action = ${`integration.${action}`} order by created_at`

const subscribed = ({ subscriptions }: XSimulator) =>
  subscriptions.map(({ event_type, filter: { user_id } }) => `${user_id} ${event_type}`).sort()
const allOf = (...accounts: string[]) =>
  accounts.flatMap((account) => ACTIVITIES.map((name) => `${account} ${name}`)).sort()

describe('our app at X', () => {
  it('gets a webhook that the door proves to be ours, and each account its subscriptions', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)

    await look(platform)

    expect(simulator.webhooks).toMatchObject([{ url: address('x'), valid: true }])
    expect(subscribed(simulator)).toEqual(allOf(acme!))
    expect(await rows(id)).toMatchObject(
      ['app', ...ACTIVITIES].map((name) => ({ name, status: 'active', error: null })),
    )
    expect((await rows(id))[0]!['external_id']).toBe(simulator.webhooks[0]!.id)
    expect(await activity(id, 'webhook_subscribed')).toHaveLength(4)
  })

  it('is looked at again within the hour, and left as it is', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    await look(platform)
    simulator.requests.length = 0

    await look(platform)

    const asked = simulator.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`)
    expect(asked).toEqual([
      'POST /oauth2/token',
      'GET /2/webhooks',
      'GET /2/activity/subscriptions',
    ])
    expect(await dueIn()).toBeGreaterThan(3_500)
    expect(await activity(id, 'webhook_subscribed')).toHaveLength(4)
  })

  it('is subscribed once by ten workers at once', async () => {
    const { simulator, platform, accounts } = await network()
    for (const account of accounts) await connect(platform, account)
    await owner`update private.app_subscription_runs set run_at = now()`

    await Promise.all(Array.from({ length: 10 }, () => runDueAppSubscriptions(outside(platform))))

    expect(simulator.webhooks).toHaveLength(1)
    expect(subscribed(simulator)).toEqual(allOf(...accounts))
  })

  it('is subscribed once to an account that two organizations have connected', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const ids = [
      await connect(platform, acme!),
      await connect(platform, acme!, { organizationId: others.organizationId }),
    ]

    await look(platform)
    expect(subscribed(simulator)).toEqual(allOf(acme!))
    expect(await rows(ids[1]!)).toEqual(await rows(ids[0]!))
    await disconnect(ids[0]!)
    await look(platform)

    expect(subscribed(simulator)).toEqual(allOf(acme!))
  })

  it.each<[string, DeathPoint]>([
    ['before it notes its intent', { before: 'begin_app_subscription' }],
    ['before X is asked', { after: 'begin_app_subscription' }],
    ['with the new webhook in its hands', { answered: 'POST', path: '/2/webhooks' }],
    ['with a new subscription in its hands', {
      answered: 'POST',
      path: '/2/activity/subscriptions',
    }],
    ['before it has kept the answer', { before: 'save_app_subscription' }],
    ['after it has kept the answer', { after: 'save_app_subscription' }],
    ['before it is done', { before: 'finish_app_subscriptions' }],
  ])('by a worker that dies %s is subscribed once by the next', async (_, point) => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    const worker = mortal(point, db)

    await look(platform, worker.parts).catch((error: unknown) => {
      if (!worker.isDead()) throw error
    })
    expect(worker.isDead()).toBe(true)
    await look(platform)

    expect(simulator.webhooks).toMatchObject([{ url: address('x') }])
    expect(subscribed(simulator)).toEqual(allOf(acme!))
    const [run] = await owner`select external_id, creating_since from private.app_subscription_runs`
    expect(run).toEqual({ external_id: simulator.webhooks[0]!.id, creating_since: null })
    expect((await rows(id)).map(({ status }) => status)).toEqual(Array(4).fill('active'))
  })

  it('has its webhook checked again where X found it invalid, and not another one made', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    await connect(platform, acme!)
    await look(platform)
    const before = simulator.webhooks[0]!.id
    simulator.webhooks[0]!.valid = false

    await look(platform)

    expect(simulator.webhooks).toMatchObject([{ id: before, valid: true }])
  })

  it('gets back what X has lost, and loses what is there twice', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    await connect(platform, acme!)
    await look(platform)
    const [first] = simulator.subscriptions.splice(0, 2)
    simulator.subscriptions.push({ ...simulator.subscriptions[0]!, subscription_id: '77' })

    await look(platform)

    expect(first).toBeDefined()
    expect(subscribed(simulator)).toEqual(allOf(acme!))
  })

  it('leaves alone what somebody made by hand', async () => {
    const { simulator, platform, accounts: [acme, fieldnotes] } = await network()
    const id = await connect(platform, acme!)
    await look(platform)
    const byHand = {
      ...simulator.subscriptions[0]!,
      subscription_id: '77',
      filter: { user_id: fieldnotes! },
      tag: 'of our newsroom',
    }
    const elsewhere = { ...byHand, subscription_id: '78', webhook_id: '79', tag: 'plugboard' }
    simulator.subscriptions.push(byHand, elsewhere)

    await look(platform)
    await disconnect(id)
    await look(platform)

    expect(simulator.subscriptions).toEqual([byHand, elsewhere])
  })
})

describe('an account that leaves', () => {
  it('takes its subscriptions along; the app’s webhook goes with the last one', async () => {
    const { simulator, platform, accounts: [acme, fieldnotes] } = await network()
    const first = await connect(platform, acme!)
    const last = await connect(platform, fieldnotes!)
    await look(platform)
    expect(subscribed(simulator)).toEqual(allOf(acme!, fieldnotes!))

    await disconnect(first)
    expect(await dueIn()).toBeLessThan(2)
    await look(platform)

    expect(subscribed(simulator)).toEqual(allOf(fieldnotes!))
    expect(simulator.webhooks).toHaveLength(1)
    expect(await rows(first)).toEqual([])
    await disconnect(last)
    await look(platform)

    expect(simulator.subscriptions).toEqual([])
    expect(simulator.webhooks).toEqual([])
  })

  it('while X is down is unsubscribed once it is back', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    await look(platform)
    simulator.control.setFault({ kind: 'status', status: 500, times: null })
    const clock = { ...systemClock, sleep: () => Promise.resolve() }

    await disconnect(id)
    await look(platform, { clock })
    expect(simulator.subscriptions).toHaveLength(3)
    expect(await dueIn()).toBeLessThan(301)
    simulator.control.clearFaults()
    await owner`delete from private.request_budgets`
    await look(platform)

    expect(simulator.subscriptions).toEqual([])
    expect(simulator.webhooks).toEqual([])
  })

  it('while a worker subscribes it leaves nothing behind', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    let isGone = false

    await look(platform, {
      async fetch(input, init) {
        const answer = await fetch(input, init)
        if (
          !isGone && String(input).endsWith('/2/activity/subscriptions') && init?.method === 'POST'
        ) {
          isGone = true
          await disconnect(id)
        }
        return answer
      },
    })
    // it has looked once more before it went
    expect(isGone).toBe(true)
    expect(await rows(id)).toEqual([])
    expect(simulator.subscriptions).toEqual([])
    expect(simulator.webhooks).toEqual([])
  })

  it('for a while, as one that is paused, keeps what it has', async () => {
    const { simulator, platform, accounts: [acme, fieldnotes] } = await network()
    const paused = await connect(platform, acme!)
    await look(platform)
    await update(paused, { p_paused: true })
    await connect(platform, fieldnotes!)

    await look(platform)

    expect(subscribed(simulator)).toEqual(allOf(acme!, fieldnotes!))
  })

  it('by its managers’ choice loses its subscriptions, and gets them again', async () => {
    const { simulator, platform, accounts: [acme, fieldnotes] } = await network()
    await connect(platform, fieldnotes!)
    const id = await connect(platform, acme!)
    await look(platform)

    await update(id, { p_webhooks: false })
    await look(platform)
    expect(subscribed(simulator)).toEqual(allOf(fieldnotes!))
    expect(await rows(id)).toEqual([])
    expect(await activity(id, 'webhook_unsubscribed')).toHaveLength(4)
    await update(id, { p_webhooks: true })
    await look(platform)

    expect(subscribed(simulator)).toEqual(allOf(acme!, fieldnotes!))
  })
})

describe('an app that cannot be subscribed', () => {
  it('asks the platform nothing where its secrets are missing', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    const { api_key: _, ...client } = platform.client

    await look({ ...platform, client })

    expect(simulator.requests).toEqual([])
    expect(await rows(id)).toEqual([])
  })

  it('says so when secrets are taken away from one that was', async () => {
    const { platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    await look(platform)
    const { api_key: _, ...client } = platform.client

    await look({ ...platform, client })

    expect((await rows(id))[0]).toMatchObject({
      name: 'app',
      status: 'failed',
      error: { code: 'oauth_client_missing' },
    })
  })

  it('asks nothing from a private network, unless managers want it', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    await connect(platform, acme!, { webhooks: null })

    await look(platform)

    expect(simulator.requests).toEqual([])
  })

  it('tells the accounts that X does not find the door in order, and the log', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    const id = await connect(platform, acme!)
    const lines: string[] = []
    await remote.setFunctionsEnv({
      OAUTH_CLIENTS: JSON.stringify({ x: { ...X_APP, signing_secret: 'another' } }),
    })
    onTestFinished(() => remote.setFunctionsEnv({ OAUTH_CLIENTS: JSON.stringify({ x: X_APP }) }))

    await look(platform, { log: createLog({}, (line) => lines.push(line)) })
    await look(platform)

    expect(simulator.webhooks).toEqual([])
    const seen = await database.actAs(team.viewer, (sql) =>
      sql`
        select name, status, error ->> 'code' as code from public.webhook_subscriptions
        where integration_id = ${id}`)
    expect(seen).toEqual([{ name: 'app', status: 'failed', code: 'provider_rejected' }])
    expect(await activity(id, 'webhook_subscription_failed')).toHaveLength(1)
    expect(lines.join()).toContain('our app could not be subscribed')
    expect(lines.join()).not.toContain(X_APP.signing_secret)
  })

  it('is tried again after growing pauses while the platform is down', async () => {
    const { simulator, platform, accounts: [acme] } = await network()
    await connect(platform, acme!)
    simulator.control.setFault({ kind: 'status', status: 500, times: null })
    const clock = { ...systemClock, sleep: () => Promise.resolve() }
    const pauses: number[] = []

    for (let tries = 0; tries < 3; tries++) {
      await owner`delete from private.request_budgets`
      await look(platform, { clock })
      pauses.push(Math.round(await dueIn() / 60))
    }

    expect(pauses).toEqual([1, 5, 15])
  })
})

it('an account that X refuses keeps no other from being looked at each hour', async () => {
  const { simulator, platform, accounts: [acme, fieldnotes] } = await network()
  const refused = await connect(platform, fieldnotes!)
  const id = await connect(platform, acme!)
  const refusing: typeof fetch = (input, init) =>
    String(init?.body).includes(fieldnotes!)
      ? Promise.resolve(Response.json({ title: 'Forbidden', detail: 'No.' }, { status: 403 }))
      : fetch(input, init)

  for (let looks = 0; looks < 6; looks++) await look(platform, { fetch: refusing })

  expect(subscribed(simulator)).toEqual(allOf(acme!))
  expect((await rows(id)).map(({ status }) => status)).toEqual(Array(4).fill('active'))
  const told = (await rows(refused)).filter(({ status }) => status === 'failed')
  expect(told.map(({ name, error }) => [name, error.code])).toEqual(
    ACTIVITIES.map((name) => [name, 'provider_forbidden']),
  )
  expect(await dueIn()).toBeLessThan(3_601)
})

describe('our app at HubSpot', () => {
  const HUB = '62515'

  it('gets its target URL and its subscriptions once, by ten workers at once', async () => {
    const { simulator, platform } = await crm()
    const id = await connect(platform, HUB, { settings: { auth: 'oauth' } })
    await owner`update private.app_subscription_runs set run_at = now()`

    await Promise.all(Array.from({ length: 10 }, () => runDueAppSubscriptions(outside(platform))))

    const { target, subscriptions } = simulator.webhooks
    const names = subscriptions.map(({ eventType, propertyName }) => `${eventType} ${propertyName}`)
    expect(target()).toBe(address('hubspot'))
    expect(names).toContain('contact.propertyChange email')
    expect(names).toContain('contact.merge undefined')
    expect(new Set(names).size).toBe(names.length)
    expect(await rows(id)).toMatchObject([{ name: 'app', status: 'active' }])
  })

  it('is not subscribed for the private app of an account', async () => {
    const { simulator, platform } = await crm()
    await connect(platform, HUB, { settings: { auth: 'private_app' } })

    await look(platform)

    expect(simulator.requests).toEqual([])
  })

  it('leaves another target URL as it is, and says so', async () => {
    const { simulator, platform } = await crm()
    simulator.control.setWebhookTarget('https://elsewhere.example/hubspot')
    const id = await connect(platform, HUB, { settings: { auth: 'oauth' } })

    await look(platform)

    expect(simulator.webhooks.target()).toBe('https://elsewhere.example/hubspot')
    expect(simulator.webhooks.subscriptions).toEqual([])
    const [row] = await rows(id)
    expect(row).toMatchObject({
      name: 'app',
      status: 'failed',
      error: { code: 'provider_rejected' },
    })
    expect(JSON.stringify(row)).not.toContain('elsewhere')
  })

  it('loses its target URL with the last account, and its subscriptions are there for the next', async () => {
    const { simulator, platform } = await crm()
    const id = await connect(platform, HUB, { settings: { auth: 'oauth' } })
    await look(platform)
    const before = [...simulator.webhooks.subscriptions]
    await disconnect(id)

    await look(platform)
    expect(simulator.webhooks.target()).toBeNull()
    await connect(platform, '70000', { settings: { auth: 'oauth' } })
    await look(platform)

    expect(simulator.webhooks.target()).toBe(address('hubspot'))
    expect(simulator.webhooks.subscriptions).toEqual(before)
  })

  it('that HubSpot refuses is told without its key', async () => {
    const { platform } = await crm()
    const id = await connect(platform, HUB, { settings: { auth: 'oauth' } })
    const lines: string[] = []
    const client = { ...platform.client, developer_key: 'key-of-somebody-else' }

    await look({ ...platform, client }, { log: createLog({}, (line) => lines.push(line)) })

    const told = JSON.stringify(await rows(id))
    expect(told).toContain('provider_unauthorized')
    expect(lines.join()).toContain('our app could not be subscribed')
    expect(told + lines.join()).not.toContain(client.developer_key)
  })

  it('activates what was turned off, and leaves other subscriptions alone', async () => {
    const { simulator, platform } = await crm()
    const company = { id: 7, eventType: 'company.creation', active: false }
    simulator.webhooks.subscriptions.push(company)
    await connect(platform, HUB, { settings: { auth: 'oauth' } })
    await look(platform)
    simulator.webhooks.subscriptions[1]!.active = false

    await look(platform)

    expect(simulator.webhooks.subscriptions[0]).toEqual({ ...company })
    expect(simulator.webhooks.subscriptions.slice(1).every(({ active }) => active)).toBe(true)
  })
})
