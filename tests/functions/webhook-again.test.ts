// Webhooks that are kept, once more: verified from their row alone, by whatever they were signed with, and worked on again.
import { createHash, createHmac, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { WebhookScheme } from '../../supabase/functions/_shared/webhooks/scheme.ts'
import { registerAppInstance, signedByApp } from '../support/app-instances.ts'
import { type FunctionCaller, useFunctions } from '../support/functions.ts'
import { createPerson, createTeam, type Person, type Team } from '../support/people.ts'
import { APPS, postToDoor, sendToDoor, useDoors } from '../support/receiver-doors.ts'
import { sharedStack } from '../support/shared-stack.ts'
import { receiveWebhook } from '../support/webhook-events.ts'
import { type SenderName, signedWebhook } from '../support/webhook-senders.ts'

const functions = useFunctions()
const { database, remote, call } = functions
const { owner } = database
const { functionsUrl } = sharedStack

let team: Team
let stranger: Person
const { registerApps, connect, setSecret, newPath, door } = useDoors(functions, () => team)
beforeAll(async () => {
  await registerApps()
  team = await createTeam(database)
  stranger = await createPerson(database)
})
afterAll(() => remote.setFunctionsEnv({}))

type Sender = { integration_id: string } | { app_instance_id: string } | { connector: string }
type Kept = { sender: Sender; caller: FunctionCaller; id: string }
type Verified = { webhook_event_id: string; verified: boolean; reason: string | null }[]

/** The newest webhook that is kept of a sender. */
async function keptOf(sender: Sender): Promise<Kept> {
  const [receiver] = Object.values(sender)
  const [row] = await owner`
    select webhook_event_id as id from private.webhook_event_keys where receiver = ${receiver!}
    order by received_at desc limit 1`
  return { sender, caller: 'connector' in sender ? 'secret key' : team.manager, id: row?.id }
}

async function verify({ sender, caller, id }: Kept) {
  const { body } = await call<Verified>(caller, '/integrations/verify-webhooks', {
    ...sender,
    webhook_event_ids: [id],
  })
  expect(body).toMatchObject([{ webhook_event_id: id }])
  const [{ verified, reason }] = body as [Verified[number]]
  return verified ? 'verified' : reason
}

const changeByte = ({ id }: Kept) =>
  owner`update public.webhook_events set body = set_byte(body, 7, get_byte(body, 7) # 1) where id = ${id}`

const hex = (secret: string, content: string) =>
  createHmac('sha256', secret).update(content).digest('hex')

const json = { 'content-type': 'application/json' }

type Sent = { headers: Record<string, string>; body: string }

async function taken(path: string, sent: Sent): Promise<void> {
  expect(await postToDoor(path, sent)).toMatchObject({ status: 200 })
}

/** Sent to an integration's own door, as its platform signs it. */
const own = (name: SenderName, body: string) => async () => {
  const { id, path, ...signing } = await door(name)
  await taken(path, signedWebhook(name, body, signing))
  return await keptOf({ integration_id: id })
}

/** Sent to our app's door, about one account. */
const ofOurApp = (
  name: SenderName & keyof typeof APPS,
  secret: string,
  body: (account: string) => string,
  prefix = '',
) =>
async () => {
  const account = String(Math.floor(Math.random() * 1e9))
  const id = await connect(name, prefix + account)
  const url = `${functionsUrl}/webhook-receive/${name}`
  await taken(name, signedWebhook(name, body(account), { secret, url }))
  return await keptOf({ integration_id: id })
}

const feed =
  (webhook_signature: string, headers: (secret: string) => Record<string, string>) => async () => {
    const id = await connect('json-feed', randomUUID(), team.organizationId, { webhook_signature })
    const secret = `It is ${randomUUID()}`
    await setSecret(id, secret)
    await taken(id, { headers: { ...json, ...headers(secret) }, body: FEED })
    return await keptOf({ integration_id: id })
  }

const FEED = '{"type":"feed.moved","timestamp":"2026-11-20T09:00:00Z","data":{}}'
const portalEvent = (portal: string) => ({
  portalId: Number(portal),
  eventId: 9,
  subscriptionType: 'deal.creation',
  occurredAt: 1_795_165_200_000,
})
const hubspotBody = (...portals: string[]) => JSON.stringify(portals.map(portalEvent))

/** In HubSpot's older versions, which are plain hashes of the secret and the content. */
const olderHubspot = (version: 'v1' | 'v2') => async () => {
  const { id, path, secret, url } = await door('hubspot')
  const body = hubspotBody('7')
  const content = version === 'v1' ? body : `POST${url}${body}`
  await taken(path, {
    headers: {
      ...json,
      'x-hubspot-signature-version': version,
      'x-hubspot-signature': createHash('sha256').update(secret + content).digest('hex'),
    },
    body,
  })
  return await keptOf({ integration_id: id })
}

async function ofSeveral(): Promise<Kept> {
  const portals = [0, 1].map(() => String(Math.floor(Math.random() * 1e9)))
  await connect('hubspot', portals[0])
  const url = `${functionsUrl}/webhook-receive/hubspot`
  const secret = APPS.hubspot.client_secret
  await taken('hubspot', signedWebhook('hubspot', hubspotBody(...portals), { secret, url }))
  return await keptOf({ connector: 'hubspot' })
}

async function signedMailchimp(): Promise<Kept> {
  const { id, path } = await door('mailchimp')
  const secret = `It is ${randomUUID()}`
  await setSecret(id, secret)
  const time = Math.floor(Date.now() / 1000)
  await taken(path, {
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-mailchimp-signature': `t=${time},v1=${hex(secret, `${time}.${MAILCHIMP}`)}`,
    },
    body: MAILCHIMP,
  })
  return await keptOf({ integration_id: id })
}

const MAILCHIMP = 'type=campaign&data[list_id]=list1'

const bodyOf = (app_instance_id: string) =>
  JSON.stringify({
    app_instance_id,
    id: randomUUID(),
    type: 'booking.created',
    timestamp: new Date().toISOString(),
    data: { guests: 4 },
  })

async function newInstance() {
  const instance = await registerAppInstance(database, team.organizationId)
  functions.keepSecret(instance.secret)
  const send = async () => {
    const { status } = await sendToDoor('apps', signedByApp(instance.secret, bodyOf(instance.id)))
    expect(status).toBe(200)
  }
  return { ...instance, send }
}

async function ofApp(): Promise<Kept> {
  const { id, send } = await newInstance()
  await send()
  return await keptOf({ app_instance_id: id })
}

/** Each scheme that signs what it sends, at each kind of door. */
const SIGNED: Record<
  Exclude<WebhookScheme, 'path-token' | 'google-oidc'>,
  Record<string, () => Promise<Kept>>
> = {
  'standard-webhooks': { 'a feed': own('json-feed', FEED) },
  airtable: { Airtable: own('airtable', '{"base":{"id":"app1"},"webhook":{"id":"ach1"}}') },
  github: {
    'a feed as GitHub signs': feed('github', (secret) => ({
      'x-github-event': 'release',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${hex(secret, FEED)}`,
    })),
  },
  hubspot: {
    'HubSpot v3': own('hubspot', hubspotBody('7')),
    'HubSpot v2': olderHubspot('v2'),
    'HubSpot v1': olderHubspot('v1'),
    'our HubSpot app': ofOurApp('hubspot', APPS.hubspot.client_secret, hubspotBody),
    'our HubSpot app, about two accounts': ofSeveral,
  },
  leafly: { Leafly: own('leafly', '{"eventType":"ORDER_PLACED","orderId":1}') },
  linkedin: {
    LinkedIn: ofOurApp('linkedin', APPS.linkedin.client_secret, (account) =>
      JSON.stringify({
        type: 'ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS',
        notifications: [{
          notificationId: 1,
          organizationalEntity: `urn:li:organization:${account}`,
        }],
      }), 'organization:'),
  },
  mailchimp: { 'Mailchimp with a signing secret': signedMailchimp },
  shopify: { 'a custom app at Shopify': own('shopify', '{"id":1,"title":"Pre-roll"}') },
  slack: {
    Slack: ofOurApp('slack', APPS.slack.signing_secret, (team_id) =>
      JSON.stringify({
        event_id: randomUUID(),
        type: 'event_callback',
        team_id,
        authorizations: [{ team_id }],
        event: { type: 'reaction_added' },
      })),
  },
  stripe: { Stripe: own('stripe', '{"id":"evt_1","object":"event","type":"payout.paid"}') },
  x: {
    X: ofOurApp('x', APPS.x.signing_secret, (user_id) =>
      JSON.stringify({
        data: { event_type: 'follow.follow', event_uuid: randomUUID(), filter: { user_id } },
      })),
  },
  'x-webhook-signature': {
    'a business app': ofApp,
    'a feed as business apps sign': feed('x-webhook-signature', (secret) => ({
      'x-webhook-signature': hex(secret, FEED),
    })),
  },
}

describe.each(
  Object.entries(SIGNED).flatMap(([scheme, senders]) =>
    Object.entries(senders).map(([name, send]) => ({ scheme, name, send }))
  ),
)('a kept webhook of $name', ({ scheme, send }) => {
  it(`is verified again from its row (${scheme}), and not once a byte of it is another`, async () => {
    const kept = await send()

    const before = await verify(kept)
    await changeByte(kept)
    const after = await verify(kept)

    expect({ before, after }).toEqual({ before: 'verified', after: 'wrong_signature' })
    expect(
      await owner`select proof ->> 'scheme' as scheme from private.webhook_event_keys where webhook_event_id = ${kept.id}`,
    ).toEqual([{ scheme }])
  })
})

describe('a kept webhook', () => {
  it.each<[SenderName, string]>([
    ['treez', '{"event_type":"TICKET","data":{}}'],
    ['mailchimp', MAILCHIMP],
  ])(
    'of %s, which signs nothing, is verified by the address it came to, whose end is kept as a hash',
    async (name, body) => {
      const { id, path } = await door(name)
      await taken(path, signedWebhook(name, body, { secret: '', url: '' }))
      const kept = await keptOf({ integration_id: id })
      const token = path.split('/')[1]!

      const before = await verify(kept)
      await newPath(id)
      const after = await verify(kept)

      expect({ before, after }).toEqual({ before: 'verified', after: 'wrong_path_token' })
      await expectNowhere(kept, token)
    },
  )

  it('of Gmail is not verified again: its token opens doors for an hour, and is not kept', async () => {
    const id = await connect('gmail')
    await setSecret(id, 'push@project.iam.gserviceaccount.com')
    await receiveWebhook(database, {
      integrationId: id,
      connector: 'gmail',
      scheme: 'google-oidc',
      version: await versionOf(id),
    })

    expect(await verify(await keptOf({ integration_id: id }))).toBe('missing_signature')
  })

  it.each([
    ['a query', '?token='],
    ['another end', '/'],
  ])(
    'of HubSpot that came to an address with %s of its owner’s is kept without it',
    async (_, before) => {
      const { id, path, secret } = await door('hubspot')
      const token = randomUUID()
      const called = `${path}${before}${token}`
      const url = `${functionsUrl}/webhook-receive/${called}`
      await taken(called, signedWebhook('hubspot', hubspotBody('7'), { secret, url }))
      const kept = await keptOf({ integration_id: id })

      expect(await verify(kept)).toBe('url_not_kept')
      await expectNowhere(kept, token)
    },
  )

  it('is verified as long as the secret counts that signed it', async () => {
    const { id, path, ...signing } = await door('stripe')
    await taken(path, signedWebhook('stripe', '{"id":"evt_1","object":"event"}', signing))
    const kept = await keptOf({ integration_id: id })

    await setSecret(id, 'whsec_the_next_one')
    const whileItCounts = await verify(kept)
    await setSecret(id, 'whsec_one_after_a_leak', { overlap_hours: 0 })
    const afterwards = await verify(kept)

    expect({ whileItCounts, afterwards }).toEqual({
      whileItCounts: 'verified',
      afterwards: 'wrong_signature',
    })
  })

  it('is verified as of the time it came, however long ago that is', async () => {
    const kept = await own('stripe', '{"id":"evt_1","object":"event"}')()
    const tooEarly = new Date(Date.now() - 400_000).toISOString()

    const asOfThen = await verify(kept)
    await owner`
      update private.webhook_event_keys set proof = proof || ${
      owner.json({ verified_at: tooEarly })
    }
      where webhook_event_id = ${kept.id}`

    expect([asOfThen, await verify(kept)]).toEqual(['verified', 'timestamp_out_of_tolerance'])
  })

  it.each<[SenderName, string]>([
    ['stripe', '{"id":"evt_1","object":"event"}'],
    // our app's secret is known still, but signed nothing of it
    ['hubspot', hubspotBody('7')],
  ])('of %s whose account was disconnected has no secret any more', async (name, body) => {
    const kept = await own(name, body)()
    const [integration_id] = Object.values(kept.sender)

    const before = await verify(kept)
    await database.call('service_role', 'disconnect_integration', {
      p_integration_id: integration_id,
    })

    expect([before, await verify(kept)]).toEqual(['verified', 'no_secret'])
  })

  it('of our app is verified also when the account was disconnected', async () => {
    const kept = await ofOurApp('hubspot', APPS.hubspot.client_secret, hubspotBody)()
    const [integration_id] = Object.values(kept.sender)
    await database.call('service_role', 'disconnect_integration', {
      p_integration_id: integration_id,
    })

    expect(await verify(kept)).toBe('verified')
  })

  it('of a business app that was disabled has no secret, until it is enabled again', async () => {
    const kept = await ofApp()
    const [app_instance_id] = Object.values(kept.sender)
    const enable = (enabled: boolean) =>
      call(team.manager, '/apps/update', { app_instance_id, enabled })

    expect(await enable(false)).toMatchObject({ status: 200 })
    const disabled = await verify(kept)
    await enable(true)

    expect([disabled, await verify(kept)]).toEqual(['no_secret', 'verified'])
  })

  it('is verified for its managers alone, and as nobody else’s', async () => {
    const kept = await own('stripe', '{"id":"evt_1","object":"event"}')()
    const other = await connect('stripe')
    const ask = (caller: FunctionCaller, sender: Sender = kept.sender) =>
      call<Verified>(caller, '/integrations/verify-webhooks', {
        ...sender,
        webhook_event_ids: [kept.id],
      })

    const answers = [
      await ask(team.manager),
      await ask(team.member),
      await ask(stranger),
      await ask(team.manager, { connector: 'stripe' }),
    ]
    const asAnothers = await ask(team.manager, { integration_id: other })

    expect(answers.map(({ status }) => status)).toEqual([200, 403, 404, 404])
    expect(asAnothers.body).toEqual([])
  })
})

async function versionOf(integrationId: string): Promise<string> {
  const [row] = await owner`
    select version from private.webhook_receivers where integration_id = ${integrationId}`
  return row?.version
}

async function expectNowhere({ id }: Kept, secret: string): Promise<void> {
  const [row] = await owner`
    select key::text as key, convert_from(event.body, 'UTF8') as body
    from private.webhook_event_keys as key join public.webhook_events as event on event.id = key.webhook_event_id
    where event.id = ${id}`
  expect(row?.key).toContain(id)
  expect(JSON.stringify(row)).not.toContain(secret)
}

describe('a replay of what a business app sent', () => {
  const replay = (caller: FunctionCaller, app_instance_id: string, given: object = {}) =>
    call(caller, '/integrations/replay-webhooks', { app_instance_id, ...given })
  const eventsOf = (id: string) =>
    owner`
      select events.type, events.data, events.origin
      from public.events join public.webhook_events as webhook on webhook.organization_id = events.organization_id
      where webhook.app_instance_id = ${id} and events.type like 'booking.%' order by events.created_at`
  const statusesOf = async (id: string) =>
    (await owner`select status from public.webhook_events where app_instance_id = ${id}`)
      .map(({ status }) => status)
  const worked = (id: string, events: number) =>
    vi.waitFor(async () => {
      expect(await statusesOf(id)).toEqual(['processed'])
      expect(await eventsOf(id)).toHaveLength(events)
    }, { timeout: 12_000, interval: 50 })

  it('writes its event once more, for its managers alone', async () => {
    const theirs = await createTeam(database)
    const instance = await registerAppInstance(database, theirs.organizationId)
    functions.keepSecret(instance.secret)
    await sendToDoor('apps', signedByApp(instance.secret, bodyOf(instance.id)))
    await worked(instance.id, 1)
    const again = { statuses: ['processed'] }

    const byStranger = await replay(team.manager, instance.id, again)
    const ofNothing = await replay(team.manager, randomUUID(), again)
    const byMember = await replay(theirs.member, instance.id, again)
    const whenRefused = await statusesOf(instance.id)
    const failedOnly = await replay(theirs.manager, instance.id)
    const byManager = await replay(theirs.manager, instance.id, again)
    await worked(instance.id, 2)

    expect(byStranger).toMatchObject({ status: 404, body: { code: 'app_instance_not_found' } })
    expect(byStranger.body.message).toBe(ofNothing.body.message)
    expect(byMember).toMatchObject({ status: 403, body: { code: 'not_a_manager' } })
    expect(whenRefused).toEqual(['processed'])
    expect([failedOnly.body, byManager.body]).toEqual([
      { replayed: 0, next: null },
      { replayed: 1, next: null },
    ])
    const [first, second] = await eventsOf(instance.id)
    expect(second).toEqual(first)
    expect(first).toEqual({ type: 'booking.created', data: { guests: 4 }, origin: 'app' })
  })

  it.each([
    ['an integration beside it', { integration_id: randomUUID() }],
    ['a connector beside it', { connector: 'hubspot' }],
  ])('that names %s is refused', async (_, beside) => {
    const { id } = await newInstance()

    const alone = await replay(team.manager, id)
    const both = await replay(team.manager, id, beside)

    expect([alone.status, both.status]).toEqual([200, 400])
  })
})
