// What becomes of webhooks after the door, from the signed call to the row: the worker is rung and works by itself.
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startJsonFeedSimulator } from '../../scripts/simulators/json-feed.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { keepGrant } from '../support/integrations.ts'
import { createTeam, type Team } from '../support/people.ts'
import { type Sender, type SenderName, SENDERS, signedWebhook } from '../support/webhook-senders.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { database, remote, call } = functions
const { owner } = database
const { functionsUrl } = sharedStack

const X_APP = {
  client_id: 'x-app',
  client_secret: randomBytes(16).toString('hex'),
  signing_secret: randomBytes(16).toString('hex'),
}
const HUBSPOT_APP = { client_id: 'hubspot-app', client_secret: randomBytes(16).toString('hex') }

let team: Team
beforeAll(async () => {
  for (const secret of [HUBSPOT_APP.client_secret, X_APP.client_secret, X_APP.signing_secret]) {
    functions.keepSecret(secret)
  }
  await remote.setFunctionsEnv({
    OAUTH_CLIENTS: JSON.stringify({ hubspot: HUBSPOT_APP, x: X_APP }),
  })
  team = await createTeam(database)
})
afterAll(() => remote.setFunctionsEnv({}))
afterAll(() => expectEventsToFit(database))

async function connect(
  connector: SenderName,
  settings: Record<string, unknown>,
  { account = randomUUID() as string, organizationId = team.organizationId } = {},
) {
  const { id } = await database.call<{ id: string }>('service_role', 'connect_integration', {
    p_organization_id: organizationId,
    p_connector: connector,
    p_external_account_id: account,
    p_name: 'Main street',
    p_settings: settings,
    p_credentials: {},
  })
  if (['hubspot', 'x'].includes(connector)) await keepGrant(database, id)
  // only webhooks ask for runs
  await owner`
    update public.sync_streams set next_sync_at = now() + interval '1 day' where integration_id = ${id}`
  return id
}

/** An integration with a secret; answers how its platform sends to it. */
async function connected(connector: SenderName, settings: Record<string, unknown>) {
  const id = await connect(connector, settings)
  const secret = (SENDERS[connector] as Sender).newSecret?.() ?? ''
  functions.keepSecret(secret)
  await call(team.manager, '/integrations/set-webhook-secret', { integration_id: id, secret })
  const url = `${functionsUrl}/webhook-receive/${id}`
  const send = async (content: unknown) => {
    const body = JSON.stringify(content)
    const { status } = await fetch(url, {
      method: 'POST',
      ...signedWebhook(connector, body, { secret, url }),
    })
    if (status !== 200) throw new Error(`the door answered ${status}`)
  }
  return { id, send }
}

/** Waits until nothing of this integration is left to do. */
async function worked(integrationId: string) {
  return await vi.waitFor(async () => {
    const events = await owner`
      select id, status, error, type from public.webhook_events
      where integration_id = ${integrationId} order by received_at`
    expect(events.filter(({ status, error }) => status === 'received' && error === null)).toEqual(
      [],
    )
    expect(events.length).toBeGreaterThan(0)
    return events
  }, { timeout: 10_000, interval: 100 })
}

const received = (organizationId: string, integrationId: string) =>
  owner`
    select subject, data from public.events
    where organization_id = ${organizationId} and type = 'webhook.received'
      and data ->> 'integration_id' = ${integrationId} order by created_at`

const contactsOf = (integrationId: string) =>
  owner`
    select source_id, deleted_at is not null as is_deleted from public.contacts
    where integration_id = ${integrationId}`

const postsOf = (integrationId: string) =>
  owner`
    select body_text, deleted_at is not null as is_deleted from public.social_posts
    where integration_id = ${integrationId}`

/** An account at X; answers how X tells of its posts. */
async function connectedToX(settings: Record<string, unknown> = {}) {
  const account = String(1e9 + Math.floor(Math.random() * 1e9))
  const id = await connect('x', settings, { account })
  const author = { id: '2', name: 'Ada', username: 'ada' }
  /** `minute` minutes after an hour ago. */
  const send = async (event_type: string, text: string, minute: number, more: object = {}) => {
    const created_at = new Date(Date.now() - 3_600_000 + 60_000 * minute).toISOString()
    const post = { id: '19', text, author_id: '2', created_at, ...more }
    const body = JSON.stringify({
      data: {
        event_uuid: randomUUID(),
        filter: { user_id: account },
        event_type,
        payload: event_type === 'post.delete' ? { id: '19' } : post,
        includes: { users: [author] },
      },
    })
    const url = `${functionsUrl}/webhook-receive/x`
    const { status } = await fetch(url, {
      method: 'POST',
      ...signedWebhook('x', body, { secret: X_APP.signing_secret, url }),
    })
    if (status !== 200) throw new Error(`the door answered ${status}`)
  }
  return { id, send }
}

describe('a webhook that brings a whole record', () => {
  it('writes it, and an older one that comes later changes nothing', async () => {
    const { id, send } = await connectedToX()

    await send('post.create', 'Newer', 2)
    await worked(id)
    await send('post.create', 'Older', 1)
    const events = await worked(id)

    expect(events.map(({ status }) => status)).toEqual(['processed', 'processed'])
    expect(await postsOf(id)).toEqual([{ body_text: 'Newer', is_deleted: false }])
  })

  it('and its deletion end the same way in either order', async () => {
    const { id, send } = await connectedToX()

    await send('post.delete', '', 3)
    await worked(id)
    await send('post.create', 'Before', 1)
    await worked(id)

    expect(await postsOf(id)).toMatchObject([{ is_deleted: true }])
  })

  it('that cannot be mapped keeps it, to be repaired like one of a sync', async () => {
    const { id, send } = await connectedToX()

    await send('post.create', 'Odd', 1, { conversation_id: 42 })
    const events = await worked(id)

    expect(events.map(({ status }) => status)).toEqual(['processed'])
    expect(
      await owner`
      select source_id, code from public.sync_errors where integration_id = ${id}`,
    ).toEqual([
      { source_id: '19', code: 'invalid_record' },
    ])
  })
})

describe('a webhook that names what changed', () => {
  it('has the record looked up by its id, and no sync is needed', async () => {
    const store = await functions.openStore({ products: 12 })
    const { id } = await functions.connect(team.manager, team.organizationId, store)
    await functions.syncProducts(team.manager, id)
    const { body } = await call<{ address: string }>(
      team.manager,
      '/integrations/rotate-webhook-path',
      {
        integration_id: id,
      },
    )
    const versions = async () => {
      const rows = await owner`
        select source_id, content_hash from public.products where integration_id = ${id} order by source_id`
      return new Map(rows.map(({ source_id, content_hash }) => [source_id as string, content_hash]))
    }
    const before = await versions()
    const [changed] = [...before.keys()]
    store.control.change(12)

    await fetch(body.address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_type: 'PRODUCT', data: { product_id: changed } }),
    })
    await worked(id)

    const after = await versions()
    expect([...after.keys()].filter((product) => after.get(product) !== before.get(product)))
      .toEqual([changed])
    expect(
      await owner`
      select sync_type from public.sync_logs where integration_id = ${id}`,
    ).toEqual([
      { sync_type: 'manual' },
    ])
  })

  it('only as a stream has the stream read', async () => {
    const feed = await startJsonFeedSimulator({ products: 5 })
    const { id, send } = await connected('json-feed', { url: feed.url })

    await send({ type: 'products.changed', timestamp: new Date().toISOString(), data: {} })
    await worked(id)

    await expect.poll(async () =>
      (await owner`
      select sync_type, status from public.sync_logs where integration_id = ${id}`)[0], {
      timeout: 10_000,
    })
      .toMatchObject({ sync_type: 'webhook', status: 'success' })
    expect(
      await owner`
      select count(*)::int as count from public.products where integration_id = ${id}`,
    ).toEqual([{ count: 5 }])
    await feed.stop()
  })
})

describe('a webhook about anything else', () => {
  it('is an event with what it said', async () => {
    const { id, send } = await connected('json-feed', { url: 'http://127.0.0.1:9/feed' })
    const content = {
      type: 'feed.moved',
      timestamp: new Date().toISOString(),
      data: { to: 'a place' },
    }

    await send(content)
    const [event] = await worked(id)

    expect(await received(team.organizationId, id)).toEqual([{
      subject: `integration/${id}`,
      data: {
        webhook_event_id: event?.id,
        integration_id: id,
        connector: 'json-feed',
        type: 'feed.moved',
        body: content,
      },
    }])
  })

  it('is tried again later when the integration’s settings no longer fit, and replayed after they do', async () => {
    const { id, send } = await connectedToX({ read_back: 'everything' })
    await send('post.create', 'Late', 1)
    const [failed] = await worked(id)

    await owner`update public.integrations set settings = '{}' where id = ${id}`
    const replay = await call(team.manager, '/integrations/replay-webhooks', {
      integration_id: id,
      webhook_event_ids: [failed?.id],
    })

    expect(failed).toMatchObject({
      status: 'received',
      error: { code: 'invalid_settings', next: 'owner' },
    })
    expect(replay.body).toEqual({ replayed: 1, next: null })
    await expect.poll(() => postsOf(id), { timeout: 10_000 }).toMatchObject([{ body_text: 'Late' }])
  })
})

describe('a webhook of our app', () => {
  const event = (portalId: string, subscriptionType: string, objectId: number) => ({
    portalId: Number(portalId),
    eventId: objectId,
    subscriptionType,
    occurredAt: Date.now(),
    objectId,
  })
  const send = async (events: unknown[]) => {
    const url = `${functionsUrl}/webhook-receive/hubspot`
    const body = JSON.stringify(events)
    return await fetch(url, {
      method: 'POST',
      ...signedWebhook('hubspot', body, { secret: HUBSPOT_APP.client_secret, url }),
    })
  }

  it('about two accounts reaches each with its own part, and shows nobody the other’s', async () => {
    const other = await createTeam(database)
    const portals = [
      String(1_000 + Math.floor(Math.random() * 1e8)),
      String(2e9 + Math.floor(Math.random() * 1e8)),
    ]
    const ours = await connect('hubspot', {}, { account: portals[0]! })
    const theirs = await connect('hubspot', {}, {
      account: portals[1]!,
      organizationId: other.organizationId,
    })

    await send([
      event(portals[0]!, 'contact.deletion', 11),
      event(portals[1]!, 'contact.deletion', 22),
    ])

    await expect.poll(async () => [await contactsOf(ours), await contactsOf(theirs)], {
      timeout: 10_000,
    })
      .toMatchObject([
        [{ source_id: '11', is_deleted: true }],
        [{ source_id: '22', is_deleted: true }],
      ])
  })

  it('about two accounts reaches one though the other’s settings no longer fit', async () => {
    const portals = ['7100001', '7100002']
    const stale = await connect('hubspot', { auth: 'no such way' }, { account: portals[0]! })
    const sound = await connect('hubspot', {}, { account: portals[1]! })

    await send(portals.map((portal, index) => event(portal, 'contact.deletion', 40 + index)))

    await expect.poll(() => contactsOf(sound), { timeout: 10_000 })
      .toMatchObject([{ source_id: '41', is_deleted: true }])
    // its sync says what is wrong
    await expect.poll(
      () => owner`select sync_type from public.sync_logs where integration_id = ${stale}`,
      { timeout: 10_000 },
    ).toMatchObject([{ sync_type: 'webhook' }])
  })

  it('about two accounts reaches one though the table refuses what the other says, and is replayed', async () => {
    const portals = ['7100003', '7100004']
    const refused = await connect('hubspot', {}, { account: portals[0]! })
    const sound = await connect('hubspot', {}, { account: portals[1]! })
    await owner.unsafe(`
      alter table public.contacts add constraint contacts_of_this_test
      check (integration_id <> '${refused}') not valid`)
    try {
      await send(portals.map((portal, index) => event(portal, 'contact.deletion', 50 + index)))

      await expect.poll(() => contactsOf(sound), { timeout: 10_000 })
        .toMatchObject([{ source_id: '51', is_deleted: true }])
      await expect.poll(() =>
        owner`
        select status, error ->> 'code' as code from public.webhook_events where accounts @> ${portals}`
      ).toEqual([{ status: 'failed', code: 'invalid_record' }])
    } finally {
      await owner`alter table public.contacts drop constraint contacts_of_this_test`
    }
    const byManager = await call(team.manager, '/integrations/replay-webhooks', {
      connector: 'hubspot',
    })
    const bySecret = await call('secret key', '/integrations/replay-webhooks', {
      connector: 'hubspot',
    })

    expect([byManager.status, bySecret.body]).toEqual([404, { replayed: 1, next: null }])
    await expect.poll(() => contactsOf(refused), { timeout: 10_000 })
      .toMatchObject([{ source_id: '50', is_deleted: true }])
  })

  it('about two accounts, of which nothing is a record, is an event for each without the body', async () => {
    const portals = [
      String(1_000 + Math.floor(Math.random() * 1e8)),
      String(2e9 + Math.floor(Math.random() * 1e8)),
    ]
    const ours = await connect('hubspot', {}, { account: portals[0]! })

    await send(portals.map((portal) => event(portal, 'deal.creation', 33)))

    await expect.poll(() => received(team.organizationId, ours), { timeout: 10_000 })
      .toMatchObject([{ data: { type: 'deal.creation' } }])
    expect((await received(team.organizationId, ours))[0]?.data).not.toHaveProperty('body')
  })
})
