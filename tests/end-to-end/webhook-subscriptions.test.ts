// Does a change at a platform arrive by itself? Connected, subscribed, changed there, and a row here within seconds.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startStripeSimulator } from '../../scripts/simulators/stripe.ts'
import { startXSimulator } from '../../scripts/simulators/x.ts'
import type { Integration } from '../../supabase/functions/_shared/contracts/integrations.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { keepGrant } from '../support/integrations.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { database, remote, call } = functions
const { owner } = database
const { functionsUrl } = sharedStack

const CUSTOM_APP_SECRET = 'demo-custom-app-secret'

async function startPlatforms() {
  const [stripe, airtable, shopify, mailchimp, hubspot, x] = await Promise.all([
    startStripeSimulator({ customers: 5, payments: 5 }),
    // this project's budgets pace nobody
    startAirtableSimulator({ people: 5, items: 5, requestsPerSecond: 0 }),
    startShopifySimulator({ products: 5 }),
    startMailchimpSimulator({ members: 5 }),
    startHubSpotSimulator({ contacts: 5 }),
    startXSimulator({ posts: 3, mentions: 3 }),
  ])
  return { stripe, airtable, shopify, mailchimp, hubspot, x }
}

let platforms: Awaited<ReturnType<typeof startPlatforms>>
let team: Team
beforeAll(async () => {
  platforms = await startPlatforms()
  const overrides = Object.entries(platforms).map(([slug, { baseUrl }]) => [slug, { baseUrl }])
  await remote.setFunctionsEnv({
    CONNECTOR_OVERRIDES: JSON.stringify(Object.fromEntries(overrides)),
    OAUTH_CLIENTS: JSON.stringify({
      hubspot: platforms.hubspot.client,
      x: platforms.x.client,
    }),
  })
  team = await createTeam(database)
})
afterAll(async () => {
  await remote.setFunctionsEnv({})
  await Promise.all(Object.values(platforms).map((platform) => platform.stop()))
})

/** Connects an account; nothing but webhooks brings its records. */
async function connect(
  connector: string,
  settings: Record<string, unknown>,
  credentials: Record<string, unknown>,
): Promise<string> {
  const { status, text, body } = await call<Integration>(team.manager, '/integrations/connect', {
    organization_id: team.organizationId,
    connector,
    settings,
    credentials,
  })
  if (status !== 200) throw new Error(text)
  await owner`
    update public.sync_streams set next_sync_at = now() + interval '1 day' where integration_id = ${body.id}`
  return body.id
}

/** An account whose owner signed in; what comes of it needs no token. */
async function connectSignedIn(
  connector: string,
  account: string,
  facts: Record<string, string>,
): Promise<string> {
  const { id } = await database.call<{ id: string }>('service_role', 'connect_integration', {
    p_organization_id: team.organizationId,
    p_connector: connector,
    p_external_account_id: account,
    p_name: 'Newsroom',
    p_settings: {},
    p_credentials: {},
    p_account: facts,
  })
  await keepGrant(database, id)
  await owner`
    update public.sync_streams set next_sync_at = now() + interval '1 day' where integration_id = ${id}`
  return id
}

/** Turns its webhooks on and waits until the worker has subscribed all of them. */
async function subscribe(id: string, count = 1) {
  const { status, text } = await call(team.manager, '/integrations/update', {
    integration_id: id,
    webhooks: true,
  })
  if (status !== 200) throw new Error(text)
  // as the minute's job, should the ring be lost
  await owner`update private.worker_wakes set rung_at = null where worker = 'integrations'`
  await remote.runCron('look-after-integrations')
  await vi.waitFor(async () => {
    const rows = await owner`
      select name, status, error from public.webhook_subscriptions where integration_id = ${id}`
    expect(rows.filter(({ status }) => status === 'active'), JSON.stringify(rows))
      .toHaveLength(count)
  }, { timeout: 15_000, interval: 50 })
}

/** Waits for the row of a record, and answers the milliseconds since `changedAt`. */
async function arrival(table: string, id: string, sourceId: string, changedAt: number) {
  return await vi.waitFor(async () => {
    const [row] = await owner`
      select * from ${owner(table)} where integration_id = ${id} and source_id = ${sourceId}`
    expect(row).toBeDefined()
    return { row: row!, ms: Date.now() - changedAt }
  }, { timeout: 15_000, interval: 20 })
}

const WITHIN_MS = 10_000

describe('a change at the platform arrives as a row', () => {
  it('of a customer at Stripe', async () => {
    const { stripe } = platforms
    const id = await connect('stripe', stripe.settings, stripe.credentials)
    await subscribe(id)
    const [customer] = stripe.customers()

    const changedAt = Date.now()
    stripe.control.customers.change([customer!.id], { name: 'Ada Lovelace' })
    const { row, ms } = await arrival('contacts', id, customer!.id, changedAt)

    expect(row).toMatchObject({ full_name: 'Ada Lovelace', email: customer!.email })
    expect(ms).toBeLessThan(WITHIN_MS)
  })

  it('of a row at Airtable', async () => {
    const { airtable } = platforms
    const settings = { ...airtable.settings, auth: 'personal_access_token' }
    const id = await connect('airtable', settings, airtable.credentials)
    await subscribe(id)

    const changedAt = Date.now()
    const [changed] = airtable.control.change(1)
    const { row, ms } = await arrival('contacts', id, changed!, changedAt)

    expect(row.company).toMatch(/^Renamed/)
    expect(ms).toBeLessThan(WITHIN_MS)
  })

  it('of a product at Shopify, by a custom app whose secret was given', async () => {
    const { shopify } = platforms
    const settings = { ...shopify.settings, auth: 'admin_token' }
    const id = await connect('shopify', settings, shopify.credentials)
    functions.keepSecret(CUSTOM_APP_SECRET)
    await call(team.manager, '/integrations/set-webhook-secret', {
      integration_id: id,
      secret: CUSTOM_APP_SECRET,
    })
    await subscribe(id, 3)

    const changedAt = Date.now()
    const [changed] = shopify.control.change(1, { title: 'Walnut desk' })
    const { row, ms } = await arrival('products', id, changed!, changedAt)

    expect(row.name).toBe('Walnut desk')
    expect(ms).toBeLessThan(WITHIN_MS)
  })

  it('of a member at Mailchimp', async () => {
    const { mailchimp } = platforms
    const settings = { ...mailchimp.settings, auth: 'api_key' }
    const id = await connect('mailchimp', settings, mailchimp.credentials)
    await subscribe(id)

    const changedAt = Date.now()
    const added = mailchimp.control.add('ada@people.example')
    const { row, ms } = await arrival('contacts', id, added, changedAt)

    expect(row.email).toBe('ada@people.example')
    expect(ms).toBeLessThan(WITHIN_MS)
  })

  it('of a contact at HubSpot, where our app has the address', async () => {
    const { hubspot } = platforms
    const id = await connect('hubspot', { auth: 'private_app' }, hubspot.credentials)
    await keepGrant(database, id)
    hubspot.control.setWebhookTarget(`${functionsUrl}/webhook-receive/hubspot`)
    const [contact] = hubspot.crm.list()

    const changedAt = Date.now()
    hubspot.crm.change([contact!.id], { company: 'Acme' })
    const { row, ms } = await arrival('contacts', id, contact!.id, changedAt)

    expect(row.company).toBe('Acme')
    expect(ms).toBeLessThan(WITHIN_MS)
  })

  it('of a mention at X, where our app subscribes to each account', async () => {
    const { x } = platforms
    const [acme] = x.accounts
    const id = await connectSignedIn('x', acme!.id, { user_id: acme!.id, username: acme!.username })
    await subscribe(id, 4)

    const changedAt = Date.now()
    const { id: post } = x.network.publish({
      text: '@acme are you open today?',
      author_id: x.network.visitors[0]!.id,
    })
    const { row, ms } = await arrival('social_posts', id, post, changedAt)

    expect(row).toMatchObject({
      kind: 'post',
      is_own: false,
      body_text: '@acme are you open today?',
    })
    expect(ms).toBeLessThan(WITHIN_MS)
    await call(team.manager, '/integrations/disconnect', { integration_id: id })
    await vi.waitFor(() => expect([x.subscriptions, x.webhooks]).toEqual([[], []]), {
      timeout: 15_000,
      interval: 50,
    })
  })
})

it('an account that is disconnected is unsubscribed at the platform', async () => {
  const { stripe } = platforms
  const [held] = await owner<{ id: string }[]>`
    select id from public.integrations
    where organization_id = ${team.organizationId} and connector = 'stripe'`
  expect(stripe.webhooks).toHaveLength(1)

  await call(team.manager, '/integrations/disconnect', { integration_id: held!.id })

  expect(stripe.webhooks).toEqual([])
})

it('and later, by the schedule, where the platform did not answer', async () => {
  const { mailchimp } = platforms
  const [held] = await owner<{ id: string }[]>`
    select id from public.integrations
    where organization_id = ${team.organizationId} and connector = 'mailchimp'`
  const { id } = held!
  expect(mailchimp.webhooks).toHaveLength(1)
  mailchimp.control.setFault({ kind: 'status', status: 503, times: null })

  const { body } = await call<Integration>(team.manager, '/integrations/disconnect', {
    integration_id: id,
  })
  expect(body).toMatchObject({
    status: 'disconnected',
    credentials_kept_until: expect.any(String),
  })
  mailchimp.control.clearFaults()
  await owner`delete from private.request_budgets`
  await owner`update private.webhook_subscription_runs set run_at = now() where integration_id = ${id}`
  await owner`update private.worker_wakes set rung_at = null where worker = 'integrations'`
  await remote.runCron('look-after-integrations')

  await vi.waitFor(async () => {
    const [left] = await owner`
      select credentials_kept_until from public.integrations where id = ${id}`
    expect(left).toEqual({ credentials_kept_until: null })
  }, { timeout: 15_000, interval: 50 })
  expect(mailchimp.webhooks).toEqual([])
  expect(await owner`select from private.integration_credentials where integration_id = ${id}`)
    .toHaveLength(0)
})
