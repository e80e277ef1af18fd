// The door for outside platforms' webhooks, in a real Deno: who gets in, once each, and what everybody else hears.
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import {
  APPS,
  postToDoor as post,
  sendToDoor as send,
  useDoors,
} from '../support/receiver-doors.ts'
import { type SenderName, SENDERS, signedWebhook } from '../support/webhook-senders.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { database, remote, call } = functions
const { owner } = database
const { functionsUrl } = sharedStack

let team: Team
const { registerApps, connect, setSecret, newPath, door } = useDoors(functions, () => team)
beforeAll(async () => {
  await registerApps()
  team = await createTeam(database)
})
afterAll(() => remote.setFunctionsEnv({}))

const countOf = async (integrationId: string) =>
  (await owner`
    select count(*)::int as count from public.webhook_events where integration_id = ${integrationId}`)[
    0
  ]?.count

describe('a feed whose owner signs as', () => {
  const BODY = '{"type":"feed.moved","timestamp":"2026-11-20T09:00:00Z","data":{}}'
  const hex = (secret: string, body: string) =>
    createHmac('sha256', secret).update(body).digest('hex')
  const choose = async (webhook_signature: string) => {
    const id = await connect('json-feed', randomUUID(), team.organizationId, { webhook_signature })
    const secret = `It is ${randomUUID()}`
    await setSecret(id, secret)
    return { id, secret }
  }
  const json = { 'content-type': 'application/json' }

  it('GitHub does is heard, and each delivery counts once', async () => {
    const { id, secret } = await choose('github')
    const deliver = (delivery: string, key = secret) =>
      post(id, {
        headers: {
          ...json,
          'x-github-event': 'release',
          'x-github-delivery': delivery,
          'x-hub-signature-256': `sha256=${hex(key, BODY)}`,
        },
        body: BODY,
      })

    const [first, again, another] = [
      await deliver('d-1'),
      await deliver('d-1'),
      await deliver('d-2'),
    ]
    const forged = await deliver('d-3', 'another secret')

    expect([first, again, another, forged].map(({ status }) => status)).toEqual([
      200,
      200,
      200,
      401,
    ])
    expect(await countOf(id)).toBe(2)
  })

  it('business apps do is heard, and the same bytes count once, whatever number comes along', async () => {
    const { id, secret } = await choose('x-webhook-signature')
    const deliver = (webhookId: string, key = secret) =>
      post(id, {
        headers: { ...json, 'webhook-id': webhookId, 'x-webhook-signature': hex(key, BODY) },
        body: BODY,
      })

    const [first, again, forged] = [
      await deliver('one'),
      await deliver('two'),
      await deliver('three', 'another secret'),
    ]

    expect([first, again, forged].map(({ status }) => status)).toEqual([200, 200, 401])
    expect(await countOf(id)).toBe(1)
  })

  it('GitHub does is not heard in another way', async () => {
    const { id, secret } = await choose('github')

    const { status } = await post(id, {
      headers: { ...json, 'x-webhook-signature': hex(secret, BODY) },
      body: BODY,
    })

    expect(status).toBe(401)
  })

  it('Standard Webhooks do is heard at once, though an older secret of another kind still counts', async () => {
    const { id } = await choose('github')
    const secret = SENDERS['json-feed'].newSecret!()
    await database.call('service_role', 'update_integration', {
      p_integration_id: id,
      p_settings: { webhook_signature: 'standard-webhooks' },
    })
    await setSecret(id, secret)

    const { status } = await post(
      id,
      signedWebhook('json-feed', BODY, { secret, url: `${functionsUrl}/webhook-receive/${id}` }),
    )

    expect(status).toBe(200)
  })
})

describe.each<[SenderName, string]>([
  ['json-feed', '{"type":"feed.moved","timestamp":"2026-11-20T09:00:00Z","data":{}}'],
  ['stripe', '{"id":"evt_1","object":"event","type":"payout.paid"}'],
  ['airtable', '{"base":{"id":"app1"},"webhook":{"id":"ach1"}}'],
  ['leafly', '{"eventType":"ORDER_PLACED","orderId":1,"eventTime":"2026-11-20T09:00:00Z"}'],
  ['shopify', '{"id":1,"title":"Pre-roll"}'],
  [
    'hubspot',
    '[{"portalId":1,"eventId":1,"subscriptionType":"deal.creation","occurredAt":1795165200000}]',
  ],
  ['mailchimp', 'type=campaign&data[list_id]=list1'],
  ['treez', '{"event_type":"TICKET","data":{}}'],
])('%s', (name, body) => {
  it('is taken in when it is signed, and once, however often it comes', async () => {
    const { id, path, ...signing } = await door(name)

    const first = await post(path, signedWebhook(name, body, signing))
    const again = await post(path, signedWebhook(name, body, signing))

    expect([first.status, again.status]).toEqual([200, 200])
    expect(await countOf(id)).toBe(1)
    const [event] = await owner`select body from public.webhook_events where integration_id = ${id}`
    expect(event?.body.toString()).toBe(body)
  })

  it('is refused with another body, with another secret, and after the account was disconnected', async () => {
    const { id, path, secret, url } = await door(name)
    const elsewhere = await door(name)
    const isSigned = secret !== ''
    const otherPath = `${id}/${elsewhere.path.split('/')[1]}`

    const changed = { ...signedWebhook(name, body, { secret, url }), body: `${body} ` }
    const refused = isSigned
      ? [
        await post(path, changed),
        await post(path, signedWebhook(name, body, { secret: elsewhere.secret, url })),
      ]
      : [await post(otherPath, changed), await post(id, changed)]
    await database.call('service_role', 'disconnect_integration', { p_integration_id: id })
    refused.push(await post(path, signedWebhook(name, body, { secret, url })))

    expect(refused.map(({ status }) => status)).toEqual([401, 401, 401])
    expect(await countOf(id)).toBe(0)
  })
})

describe('our app’s address', () => {
  const slackBody = (teams: string[], event_id = `Ev${randomUUID()}`) =>
    JSON.stringify({
      event_id,
      type: 'event_callback',
      team_id: teams[0],
      authorizations: teams.map((team_id) => ({ team_id })),
      event: { type: 'reaction_added' },
    })
  const toSlack = (body: string, secret = APPS.slack.signing_secret) =>
    post('slack', signedWebhook('slack', body, { secret, url: '' }))

  it('takes a webhook for every organization that has connected the account', async () => {
    const account = `T${randomUUID()}`
    const other = await createTeam(database)
    const ours = await connect('slack', account)
    const theirs = await connect('slack', account, other.organizationId)
    const body = slackBody([account])

    const answers = [await toSlack(body), await toSlack(body)]

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect([await countOf(ours), await countOf(theirs)]).toEqual([1, 1])
  })

  it('acknowledges what is about an account that nobody has connected, and keeps nothing of it', async () => {
    const account = `T${randomUUID()}`

    const answer = await toSlack(slackBody([account]))

    expect(answer.status).toBe(200)
    expect(
      await owner`
      select 1 from public.webhook_events where convert_from(body, 'UTF8') like ${`%${account}%`}`,
    ).toEqual([])
  })

  it('refuses another secret than the app’s', async () => {
    const account = `T${randomUUID()}`
    const id = await connect('slack', account)

    const refused = await toSlack(slackBody([account]), APPS.slack.client_secret)

    expect(refused.status).toBe(401)
    expect(await countOf(id)).toBe(0)
  })

  it.each<[SenderName, string, string, string]>([
    [
      'x',
      APPS.x.signing_secret,
      '12345',
      '{"data":{"event_type":"follow.follow","event_uuid":"1","filter":{"user_id":"12345"}}}',
    ],
    [
      'linkedin',
      APPS.linkedin.client_secret,
      'organization:77',
      '{"type":"ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS","notifications":[{"notificationId":1,"organizationalEntity":"urn:li:organization:77"}]}',
    ],
    ['shopify', APPS.shopify.client_secret, 'green-leaf.myshopify.com', '{"id":2}'],
    [
      'hubspot',
      APPS.hubspot.client_secret,
      '62515',
      '[{"portalId":62515,"eventId":9,"subscriptionType":"deal.creation","occurredAt":1795165200000}]',
    ],
  ])('of %s takes what the app’s secret signed', async (name, secret, account, body) => {
    const other = await createTeam(database)
    const id = await connect(name, account, other.organizationId)
    const url = `${functionsUrl}/webhook-receive/${name}`

    const { status } = await post(name, signedWebhook(name, body, { secret, url }))

    expect(status).toBe(200)
    expect(await countOf(id)).toBe(1)
  })

  it('is where the app’s secret leads from an integration’s address too: to whose account it names', async () => {
    const other = await createTeam(database)
    const [ourShop, theirShop] = [randomUUID(), randomUUID()].map((id) => `${id}.myshopify.com`)
    const ours = await connect('shopify', ourShop)
    const theirs = await connect('shopify', theirShop, other.organizationId)
    await setSecret(ours, 'of a webhook made in the admin')
    const from = async (shop: string | undefined, secret: string) => {
      const { headers, body } = signedWebhook('shopify', '{"id":2}', { secret, url: '' })
      return (await post(ours, { headers: { ...headers, 'x-shopify-shop-domain': shop! }, body }))
        .status
    }
    const counts = async () => [await countOf(ours), await countOf(theirs)]

    const statuses = [await from(theirShop, APPS.shopify.client_secret)]
    const afterTheirs = await counts()
    statuses.push(await from(ourShop, APPS.shopify.client_secret))
    const afterOurs = await counts()

    expect(statuses).toEqual([200, 200])
    expect([afterTheirs, afterOurs]).toEqual([[0, 1], [1, 1]])
  })

  it('does not open the door of an account that our app was never let into; its own secret does', async () => {
    const id = await connect('shopify')
    await owner`delete from private.oauth_grants where integration_id = ${id}`
    const send = async (secret: string) =>
      (await post(id, signedWebhook('shopify', '{"id":3}', { secret, url: '' }))).status

    await setSecret(id, 'of a custom app')
    const withApps = await send(APPS.shopify.client_secret)
    const withOwn = await send('of a custom app')

    expect([withApps, withOwn, await countOf(id)]).toEqual([401, 200, 1])
  })

  it('answers Slack’s url_verification when Slack signed it', async () => {
    const body = JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1aB' })

    const signed = await toSlack(body)
    const unsigned = await toSlack(body, 'somebody else')

    expect(signed).toMatchObject({ status: 200, text: '3eZbrw1aB' })
    expect(unsigned.status).toBe(401)
  })

  it('answers the challenges of X and LinkedIn', async () => {
    const sign = (secret: string, word: string, encoding: 'hex' | 'base64') =>
      createHmac('sha256', secret).update(word).digest(encoding)
    const code = randomUUID()

    const x = await send('x?crc_token=9b4507b3', { method: 'GET' })
    const linkedin = await send(`linkedin?challengeCode=${code}`, { method: 'GET' })

    expect(JSON.parse(x.text)).toEqual({
      response_token: `sha256=${sign(APPS.x.signing_secret, '9b4507b3', 'base64')}`,
    })
    expect(JSON.parse(linkedin.text)).toEqual({
      challengeCode: code,
      challengeResponse: sign(APPS.linkedin.client_secret, code, 'hex'),
    })
  })

  it('answers Mailchimp’s visit at the whole address alone', async () => {
    const { id, path } = await door('mailchimp')

    const statuses = [
      await send(path, { method: 'GET' }),
      await send(path, { method: 'HEAD' }),
      await send(id, { method: 'GET' }),
    ].map(({ status }) => status)

    expect(statuses).toEqual([200, 200, 401])
  })
})

describe('whoever is refused', () => {
  it('hears the same, whatever the reason', async () => {
    const { id, secret, url } = await door('stripe')
    const noSecret = await connect('stripe')
    const noDoor = await connect('salesforce')
    const gone = await door('stripe')
    const closed = await door('treez')
    await database.call('service_role', 'disconnect_integration', { p_integration_id: gone.id })
    const body = '{"id":"evt_1","object":"event"}'
    const good = signedWebhook('stripe', body, { secret, url })
    const unsigned = { headers: { 'content-type': 'application/json' }, body }
    const old = signedWebhook('stripe', body, { secret, url, now: new Date(Date.now() - 301_000) })

    const refused = [
      await post(randomUUID(), good),
      await post(id, unsigned),
      await post(id, signedWebhook('stripe', body, { secret: 'whsec_wrong', url })),
      await post(id, old),
      await post(noSecret, good),
      await post(noDoor, good),
      await post(gone.id, signedWebhook('stripe', body, gone)),
      await post(`${closed.id}/not-the-token`, unsigned),
      await post(closed.id, unsigned),
      await post('stripe', good),
      await post('no-such-platform', good),
      await post('__proto__', good),
      await post(`${id}/a/b`, good),
      await post('', good),
      await send(id, { method: 'GET' }),
    ]
    const accepted = await post(id, good)

    expect(accepted.status).toBe(200)
    expect(refused[0]?.status).toBe(401)
    expect(refused).toEqual(refused.map(() => refused[0]))
  })

  it('hears nothing else for bytes that are no text, headers that are none, and ids in capital letters', async () => {
    const { id, secret, url } = await door('stripe')
    const bytes = randomBytes(1_000)
    const odd = [
      { headers: { 'stripe-signature': 't=1,v1=' }, body: bytes },
      { headers: { 'stripe-signature': 't='.repeat(2_000) }, body: bytes },
      { headers: { 'stripe-signature': `t=${'9'.repeat(400)},v1=${'f'.repeat(64)}` }, body: bytes },
    ]

    const statuses = []
    for (const webhook of odd) statuses.push((await post(id, webhook)).status)
    const capital = await post(
      id.toUpperCase(),
      signedWebhook('stripe', '{"id":"evt_2"}', { secret, url }),
    )

    expect(statuses).toEqual([401, 401, 401])
    expect(capital.status).toBe(200)
  })

  it.each(['PUT', 'DELETE', 'PATCH'])(
    'by the method %s hears which ones there are',
    async (method) => {
      const { id } = await door('stripe')

      const answers = [await send(id, { method }), await send(randomUUID(), { method })]

      expect(answers.map(({ status, headers }) => [status, headers.allow])).toEqual([
        [405, 'GET, HEAD, POST'],
        [405, 'GET, HEAD, POST'],
      ])
    },
  )
})

describe('a body', () => {
  it('of 1 MB is taken in, and one byte more is not, announced or not', async () => {
    const { id, secret, url } = await door('stripe')
    const sized = (length: number) => {
      const body = `{"id":"evt_${length}","pad":"`
      return `${body}${'x'.repeat(length - body.length - 2)}"}`
    }
    const large = signedWebhook('stripe', sized(1_000_000), { secret, url })
    const tooLarge = signedWebhook('stripe', sized(1_000_001), { secret, url })
    const unannounced = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(tooLarge.body))
        controller.close()
      },
    })

    const statuses = [
      await post(id, large),
      await post(id, tooLarge),
      await send(id, {
        method: 'POST',
        headers: tooLarge.headers,
        body: unannounced,
        duplex: 'half',
      } as RequestInit),
    ].map(({ status }) => status)

    expect(statuses).toEqual([200, 413, 413])
    expect(await countOf(id)).toBe(1)
  })

  it('that is empty, or no JSON at all, is taken in when it is signed', async () => {
    const { id, secret, url } = await door('stripe')

    const statuses = [
      await post(id, signedWebhook('stripe', '', { secret, url })),
      await post(id, signedWebhook('stripe', '\u{feff}not json\r\n', { secret, url })),
    ].map(({ status }) => status)

    expect(statuses).toEqual([200, 200])
    expect(await countOf(id)).toBe(2)
  })
})

describe('a new secret', () => {
  it('counts within a second, and the one before until its overlap ends', async () => {
    const { id, secret, url } = await door('stripe')
    const send = (secret: string, body: string) =>
      post(id, signedWebhook('stripe', body, { secret, url }))
    await send(secret, '{"id":"evt_1"}')
    await setSecret(id, 'whsec_the_next_one')

    // within the second for which a refusal stands
    await expect.poll(
      async () => (await send('whsec_the_next_one', '{"id":"evt_2"}')).status,
      { timeout: 10_000 },
    ).toBe(200)
    const during = await send(secret, '{"id":"evt_3"}')
    await setSecret(id, 'whsec_the_last_one', { overlap_hours: 0 })
    const after = [
      await send('whsec_the_next_one', '{"id":"evt_4"}'),
      await send('whsec_the_last_one', '{"id":"evt_5"}'),
    ]

    expect([during, ...after].map(({ status }) => status)).toEqual([200, 401, 200])
  })

  it('that cannot be one is refused with a code', async () => {
    const feed = await connect('json-feed')

    const refused = await call(team.manager, '/integrations/set-webhook-secret', {
      integration_id: feed,
      secret: 'whsec_short',
    })

    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_webhook_secret'])
  })

  it('ends an address whose token was rotated', async () => {
    const { id, path } = await door('treez')
    const body = {
      headers: { 'content-type': 'application/json' },
      body: '{"event_type":"TICKET"}',
    }
    const before = await post(path, body)

    const next = await newPath(id)
    const [old, fresh] = [await post(path, body), await post(next, body)]

    expect([before.status, old.status, fresh.status]).toEqual([200, 401, 200])
  })

  it('is never shown: its door tells when it was set, and what to do at the platform', async () => {
    const { id, secret } = await door('stripe')

    const { body, text } = await call(team.manager, '/integrations/webhook', { integration_id: id })

    expect(body).toMatchObject({
      connector: 'stripe',
      doors: [{ at: 'integration', address: `${functionsUrl}/webhook-receive/${id}` }],
      secrets: [{ expires_at: null }],
      path_token_created_at: null,
    })
    expect(text).not.toContain(secret)
    expect(text).not.toContain('{address}')
  })

  it('tells where the address itself is the secret that it ends in one', async () => {
    const { id } = await door('treez')

    const { body } = await call(team.manager, '/integrations/webhook', { integration_id: id })

    const [first] = body['doors'] as { address: string; setup: string }[]
    const { address, setup } = first!
    expect(address).toBe(`${functionsUrl}/webhook-receive/${id}`)
    expect(setup).toContain(`\`${address}/<token>\``)
    expect(setup).toContain('rotateWebhookPath')
  })
})

it('a signing secret is taken only where something of the account’s own is signed with it', async () => {
  const set = async (connector: SenderName) => {
    const { status, body } = await call<{ code?: string }>(
      team.manager,
      '/integrations/set-webhook-secret',
      { integration_id: await connect(connector), secret: 'whatever it is' },
    )
    return status === 200 ? 'taken' : body.code
  }

  expect([await set('slack'), await set('treez'), await set('stripe')])
    .toEqual(['webhooks_not_offered', 'webhooks_not_offered', 'taken'])
})

describe('over a direct connection', () => {
  beforeAll(() => remote.setFunctionsEnv({ PLUGBOARD_DATABASE_URL: sharedStack.dbUrl }))
  afterAll(() => remote.setFunctionsEnv({ PLUGBOARD_DATABASE_URL: '' }))

  it('webhooks that come at once are each taken in once, and who did not sign is refused among them', async () => {
    const doors = await Promise.all([door('json-feed'), door('stripe')])
    const [feed, stripe] = doors
    const webhooks = Array.from({ length: 60 }, (_, index) => {
      const number = index % 20 // each comes three times
      const body = JSON.stringify({ id: `evt_${number}`, type: 'payout.paid', data: {} })
      return number % 2 === 0
        ? { path: feed!.path, ...signedWebhook('json-feed', body, feed!) }
        : { path: stripe!.path, ...signedWebhook('stripe', body, stripe!) }
    })
    const forged = { ...webhooks[0]!, body: '{}' }

    const answers = await Promise.all(
      [...webhooks, forged].map(({ path, ...webhook }) => post(path, webhook)),
    )

    expect(answers.map(({ status }) => status)).toEqual([...Array(60).fill(200), 401])
    expect(await Promise.all(doors.map(({ id }) => countOf(id)))).toEqual([10, 10])
  })
})
