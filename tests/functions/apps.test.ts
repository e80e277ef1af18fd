// Business apps and what they send: from the secret that is shown to the webhook that leaves again, and who is refused.
import { createHmac, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AppInstanceWithSecret, createPlugboard, type Plugboard } from '../../src/index.ts'
import { verify } from '../../supabase/functions/_shared/webhooks/verify.ts'
import { signedByApp } from '../support/app-instances.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { sharedStack } from '../support/shared-stack.ts'
import { createEndpoint } from '../support/webhook-endpoints.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'
import { examplesOf } from '../unit/client/built-package.ts'

const functions = useFunctions()
const { database } = functions
const { owner } = database
const door = `${sharedStack.functionsUrl}/webhook-receive/apps`

let team: Team
let plugboard: Plugboard
beforeAll(async () => {
  team = await createTeam(database)
  const { id, email } = team.manager
  const token = await functions.remote.signToken({ sub: id, email })
  const { url, publishableKey } = sharedStack
  plugboard = createPlugboard(
    createClient(url, publishableKey, { accessToken: () => Promise.resolve(token) }),
  )
})
afterAll(() => expectEventsToFit(database))

async function create(organizationId = team.organizationId): Promise<AppInstanceWithSecret> {
  const { data, error } = await plugboard.apps.instances.create({
    organization_id: organizationId,
    app: 'booking',
    name: 'Bookings',
  })
  if (error) throw error
  functions.keepSecret(data.secret)
  return data
}

/** What an app sends, now unless told when. */
const bodyOf = (appInstanceId: string, { ago = 0, ...event }: Record<string, unknown> = {}) =>
  JSON.stringify({
    app_instance_id: appInstanceId,
    id: randomUUID(),
    type: 'booking.created',
    timestamp: new Date(Date.now() - 1_000 * Number(ago)).toISOString(),
    data: { guests: 4 },
    ...event,
  })

async function send(init: RequestInit, address = door) {
  const response = await fetch(address, init)
  const headers = Object.fromEntries(
    [...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)),
  )
  return { status: response.status, headers, text: await response.text() }
}

/** What came of an instance, once nothing of it waits any more. */
const workedOf = (appInstanceId: string, count = 1) =>
  vi.waitFor(async () => {
    const { data } = await plugboard.webhookEvents.list({ app_instance_id: appInstanceId })
    expect(data?.filter(({ status }) => status !== 'received')).toHaveLength(count)
    return data!
  }, { timeout: 12_000, interval: 100 })

const countOf = async (appInstanceId: string) =>
  (await owner`
    select count(*)::int as count from public.webhook_events where app_instance_id = ${appInstanceId}`)[
    0
  ]?.count

describe('an instance', () => {
  it('is listed, changed and deleted; its secret is shown once', async () => {
    const { secret, address, ...instance } = await create()

    const { data: listed } = await plugboard.apps.instances.list({
      organization_id: team.organizationId,
    })
    const { data: updated } = await plugboard.apps.instances.update({
      app_instance_id: instance.id,
      name: 'Tables',
      enabled: false,
    })
    const { data: deleted } = await plugboard.apps.instances.delete({
      app_instance_id: instance.id,
    })
    const { data: left } = await plugboard.apps.instances.list({
      organization_id: team.organizationId,
    })

    expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
    expect(address).toMatch(/\/functions\/v1\/webhook-receive\/apps$/)
    expect(listed).toContainEqual(instance)
    expect(updated).toMatchObject({ name: 'Tables', status: 'disabled' })
    expect(deleted).toEqual({ deleted: true })
    expect(left?.map(({ id }) => id)).not.toContain(instance.id)
    expect(JSON.stringify([listed, updated])).not.toContain(secret)
  })
})

describe('a signed event', () => {
  let receiver: WebhookReceiver
  beforeAll(async () => {
    receiver = await startWebhookReceiver()
    return () => receiver.stop()
  })

  it('is stored, becomes an event, and reaches the endpoint that asked for its type', async () => {
    const instance = await create()
    const endpoint = await createEndpoint(database, `${receiver.url}/bookings`, {
      organizationId: team.organizationId,
      event_types: ['booking.*'],
    })

    const answer = await send(
      signedByApp(instance.secret, bodyOf(instance.id, { subject: 'booking/17' })),
    )
    const webhook = await vi.waitFor(() => {
      const [first] = receiver.at('/bookings')
      if (!first) throw new Error('nothing came')
      return first
    }, { timeout: 12_000, interval: 20 })

    expect(answer).toMatchObject({ status: 200, text: '{"received":true}' })
    const { payload } = await verify(webhook, endpoint.secret)
    expect(payload).toMatchObject({ type: 'booking.created', data: { guests: 4 } })
    expect(
      await owner`select organization_id, subject, origin from public.events where id = ${webhook.id}`,
    ).toMatchObject([{
      organization_id: team.organizationId,
      subject: 'booking/17',
      origin: 'app',
    }])
    expect(await workedOf(instance.id)).toMatchObject([{
      app_instance_id: instance.id,
      integration_id: null,
      connector: null,
      type: 'booking.created',
      status: 'processed',
    }])
  })

  it('counts once, by its id or else by its bytes', async () => {
    const instance = await create()
    const body = bodyOf(instance.id, { id: undefined })
    const bodies = [
      bodyOf(instance.id, { id: 'booking-17' }),
      bodyOf(instance.id, { id: 'booking-17', ago: 2 }), // sent again: other bytes
      body,
      body,
      bodyOf(instance.id, { id: 18 }),
      bodyOf(instance.id, { id: 18, ago: 2 }),
    ]

    const answers = []
    for (const each of bodies) answers.push(await send(signedByApp(instance.secret, each)))

    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200))
    expect(await countOf(instance.id)).toBe(3)
  })

  it.each([
    ['config.updated', {}, 'event_type_reserved'],
    ['subscription.changed', {}, 'event_type_reserved'],
    ['app.enabled', {}, 'event_type_reserved'],
    ['Booking created', {}, 'invalid_event_type'],
    [undefined, {}, 'invalid_event_type'],
    ['booking.created', 'four guests', 'invalid_request'],
  ])('of type %s with data %j is taken in, and fails with %s', async (type, data, code) => {
    const instance = await create()

    const refused = await send(signedByApp(instance.secret, bodyOf(instance.id, { type, data })))
    const taken = await send(signedByApp(instance.secret, bodyOf(instance.id)))

    expect([refused.status, taken.status]).toEqual([200, 200])
    const webhooks = await workedOf(instance.id, 2)
    expect(webhooks.map(({ status, error }) => error?.code ?? status)).toEqual(['processed', code])
  })

  it('counts under both secrets while they overlap, then under the new one alone', async () => {
    const instance = await create()
    const rotate = async (overlap_hours: number) => {
      const { data } = await plugboard.apps.instances.rotateSecret({
        app_instance_id: instance.id,
        overlap_hours,
      })
      functions.keepSecret(data!.secret)
      return data!.secret
    }
    const statusWith = async (secret: string) =>
      (await send(signedByApp(secret, bodyOf(instance.id)))).status

    const second = await rotate(1)
    const during = [await statusWith(instance.secret), await statusWith(second)]
    const third = await rotate(0)
    const after = [
      await statusWith(instance.secret),
      await statusWith(second),
      await statusWith(third),
    ]

    expect({ during, after }).toEqual({ during: [200, 200], after: [401, 401, 200] })
  })
})

describe('whoever is no enabled app hears the same:', () => {
  type Given = { instance: AppInstanceWithSecret; other: AppInstanceWithSecret; body: string }
  let other: AppInstanceWithSecret
  beforeAll(async () => {
    other = await create()
  })
  const unsigned = (body: string, headers: Record<string, string> = {}): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
  const refusals: Record<string, (given: Given) => RequestInit | Promise<RequestInit>> = {
    'no signature': ({ body }) => unsigned(body),
    'no real signature': ({ body }) => unsigned(body, { 'x-webhook-signature': 'none' }),
    "another instance's secret": ({ other, body }) => signedByApp(other.secret, body),
    'a secret that is decoded': ({ instance, body }) =>
      unsigned(body, {
        'x-webhook-signature': createHmac(
          'sha256',
          Buffer.from(instance.secret.slice('whsec_'.length), 'base64'),
        ).update(body).digest('hex'),
      }),
    'another body': ({ instance, body }) => ({
      ...signedByApp(instance.secret, body),
      body: body.replace('"guests":4', '"guests":5'),
    }),
    'an event of 301 s ago': ({ instance }) =>
      signedByApp(instance.secret, bodyOf(instance.id, { ago: 301 })),
    'an event of the future': ({ instance }) =>
      signedByApp(instance.secret, bodyOf(instance.id, { ago: -310 })),
    'no time': ({ instance }) =>
      signedByApp(instance.secret, bodyOf(instance.id, { timestamp: undefined })),
    'no real time': ({ instance }) =>
      signedByApp(instance.secret, bodyOf(instance.id, { timestamp: Date.now() })),
    'an unknown instance': ({ instance }) => signedByApp(instance.secret, bodyOf(randomUUID())),
    'no instance': ({ instance }) => signedByApp(instance.secret, '{"type":"booking.created"}'),
    'no JSON': ({ instance }) => signedByApp(instance.secret, 'booking created'),
    'an empty body': ({ instance }) => signedByApp(instance.secret, ''),
    'a GET': () => ({}),
  }

  it.each(Object.keys(refusals))('%s', async (name) => {
    const instance = await create()
    const body = bodyOf(instance.id)

    const refused = await send(await refusals[name]!({ instance, other, body }))
    const nowhere = await send({ method: 'POST', body }, `${door}-nowhere`)
    const accepted = await send(signedByApp(instance.secret, body))

    expect(refused.status).toBe(401)
    expect(refused).toEqual(nowhere)
    expect(accepted.status).toBe(200)
    expect([await countOf(instance.id), await countOf(other.id)]).toEqual([1, 0])
  })

  it('an instance that is disabled, or deleted, from then on', async () => {
    const instance = await create()
    const app_instance_id = instance.id
    const now = async () => (await send(signedByApp(instance.secret, bodyOf(instance.id)))).status

    const enabled = await now()
    await plugboard.apps.instances.update({ app_instance_id, enabled: false })
    const disabled = await now()
    await plugboard.apps.instances.update({ app_instance_id, enabled: true })
    // what was just refused is asked for again after a second
    const again = await vi.waitFor(async () => {
      const status = await now()
      expect(status).toBe(200)
      return status
    }, { timeout: 5_000, interval: 200 })
    await plugboard.apps.instances.delete({ app_instance_id })
    const deleted = await now()

    expect([enabled, disabled, again, deleted]).toEqual([200, 401, 200, 401])
  })
})

describe('the sender of docs/webhooks-in.md', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plugboard-sender-'))
    return () => rm(folder, { recursive: true, force: true })
  })

  it('runs as it stands there', async () => {
    const instance = await create()
    const sender = (await examplesOf('docs/webhooks-in.md')).find((code) =>
      code.includes('createHmac')
    )
    await writeFile(join(folder, 'sender.ts'), sender ?? '')
    vi.stubEnv('PLUGBOARD_APP_ADDRESS', door)
    vi.stubEnv('PLUGBOARD_APP_INSTANCE_ID', instance.id)
    vi.stubEnv('PLUGBOARD_APP_SECRET', instance.secret)

    const { sendEvent } = await import(join(folder, 'sender.ts'))
    await sendEvent('booking.created', { guests: 4 }, 'booking-17')
    await sendEvent('booking.created', { guests: 4 }, 'booking-17')
    vi.stubEnv('PLUGBOARD_APP_SECRET', 'another secret')
    const refused = sendEvent('booking.created', { guests: 4 })

    await expect(refused).rejects.toThrow('401')
    expect(await workedOf(instance.id)).toMatchObject([{ status: 'processed' }])
    vi.unstubAllEnvs()
  })
})
