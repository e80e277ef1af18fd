// What reaches an endpoint, byte for byte, and in which order.
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import {
  generateKeyPair,
  generateSecret,
} from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { verify } from '../../supabase/functions/_shared/webhooks/verify.ts'
import { useFunctions } from '../support/functions.ts'
import {
  attempted,
  createEndpoint,
  deliveriesOf,
  emitEvent,
  letRetriesComeDue,
} from '../support/webhook-endpoints.ts'
import {
  type ReceivedWebhook,
  startWebhookReceiver,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts'

const { database } = useFunctions()
let receiver: WebhookReceiver
let paths = 0
beforeAll(async () => {
  receiver = await startWebhookReceiver()
  return () => receiver.stop()
})

/** An address that nothing else is sent to. */
const newPath = () => `/endpoint-${++paths}`

/** What came to a path, once that many came. */
const arrived = (path: string, count = 1) =>
  vi.waitFor(() => {
    const webhooks = receiver.at(path)
    if (webhooks.length < count) throw new Error(`${webhooks.length} of ${count} came to ${path}`)
    return webhooks as [ReceivedWebhook, ...ReceivedWebhook[]]
  }, { timeout: 12_000, interval: 10 })

const signaturesOf = ({ headers }: ReceivedWebhook) =>
  headers['webhook-signature']!.split(' ').map((signature) => signature.split(',')[0])

describe('a worker that sleeps', () => {
  it('is woken by the commit', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path)
    // a test before this one may have woken it
    await vi.waitFor(async () => {
      const [row] = await database.owner`
        select coalesce(awake_until, '-infinity') < now() as asleep
        from private.worker_wakes where worker = 'webhook-deliver'`
      expect(row?.asleep).toBe(true)
    }, { timeout: 25_000, interval: 100 })

    const emittedAt = Date.now()
    await emitEvent(database, endpoint.organizationId)
    const [webhook] = await arrived(path)

    console.log(`woken from idle: ${webhook.at - emittedAt} ms from emit to received`)
    expect(webhook.at - emittedAt).toBeLessThan(10_000)
  }, 40_000)
})

describe('a delivered event', () => {
  it('has the bytes that are signed, its id and the time of the attempt, and the official library verifies it', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path)
    const data = {
      price: '12.50',
      title: 'Grüße 🌿',
      huge: 'x'.repeat(100_000),
      nested: { list: [1, 2] },
    }

    const id = await emitEvent(database, endpoint.organizationId, data, { subject: 'booking/1' })
    const deliveries = await attempted(database, endpoint.id)

    const [webhook] = await arrived(path)
    expect(webhook.id).toBe(id)
    expect(webhook.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'Plugboard-Webhooks/1',
      'webhook-api-version': '2026-11-28',
    })
    const { payload, timestamp } = await verify(webhook, endpoint.secret)
    expect(payload).toEqual({ type: 'booking.created', timestamp: expect.any(String), data })
    expect(Math.abs(timestamp - webhook.at / 1_000)).toBeLessThan(10)
    new Webhook(endpoint.secret).verify(webhook.body.toString(), webhook.headers)
    expect(signaturesOf(webhook)).toEqual(['v1'])
    expect(deliveries).toMatchObject([
      { event_id: id, status: 'succeeded', attempt_count: 1, last_response_status: 204 },
    ])
  })

  it('keeps numbers that JavaScript cannot hold as they were emitted', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path)

    await database.owner`
      select private.emit_event(${endpoint.organizationId}, 'booking.created', '{"n": 9007199254740993.10}', null, 'app')`

    const [webhook] = await arrived(path)
    expect(webhook.body.toString()).toContain('9007199254740993.10')
    await verify(webhook, endpoint.secret)
  })

  it('keeps its id and its bytes over attempts, with a new time and signature', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path)
    receiver.answer(path, (_webhook, response, earlier) => {
      response.writeHead(earlier === 0 ? 500 : 200).end()
    })
    const id = await emitEvent(database, endpoint.organizationId, { number: 1 })
    await attempted(database, endpoint.id)
    await new Promise((resolve) => setTimeout(resolve, 1_000)) // timestamps are whole seconds

    await letRetriesComeDue(database, endpoint.id)
    const deliveries = await attempted(database, endpoint.id, 2)

    const [first, second] = await arrived(path, 2)
    expect([first.id, second?.id]).toEqual([id, id])
    expect(second?.body).toEqual(first.body)
    expect(second?.headers['webhook-timestamp']).not.toBe(first.headers['webhook-timestamp'])
    expect(second?.headers['webhook-signature']).not.toBe(first.headers['webhook-signature'])
    await verify(second!, endpoint.secret)
    expect(deliveries).toMatchObject([{ status: 'succeeded', attempt_count: 2, last_error: null }])
  })

  it('is signed with v1a and with X-Webhook-Signature where the endpoint wants that', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      signatures: ['v1', 'v1a'],
      hex_signature: true,
    })

    await emitEvent(database, endpoint.organizationId)

    const [webhook] = await arrived(path)
    expect(signaturesOf(webhook)).toEqual(['v1', 'v1a'])
    await verify(webhook, endpoint.publicKey)
    await verify(webhook, endpoint.secret)
    expect(webhook.headers['x-webhook-signature']).toBe(
      createHmac('sha256', endpoint.secret).update(webhook.body).digest('hex'),
    )
  })

  it('is signed with the old and the new keys while a rotation overlaps, and with the new ones after it', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      signatures: ['v1', 'v1a'],
    })
    await emitEvent(database, endpoint.organizationId)
    await arrived(path)
    const secret = generateSecret()
    const { secretKey, publicKey } = generateKeyPair()

    await database.call('service_role', 'rotate_webhook_secret', {
      p_endpoint_id: endpoint.id,
      p_signing_secret: secret,
      p_signing_key: secretKey,
      p_public_key: publicKey,
    })
    await emitEvent(database, endpoint.organizationId)
    const [, during] = await arrived(path, 2)
    await database.owner`
      update private.webhook_endpoint_secrets set expires_at = now()
      where endpoint_id = ${endpoint.id} and expires_at is not null`
    // whoever knows it by heart asks again when it changes
    await database
      .owner`update public.app_webhooks set version = version + 1 where id = ${endpoint.id}`
    await emitEvent(database, endpoint.organizationId)
    const [, , after] = await arrived(path, 3)

    expect(signaturesOf(during!)).toEqual(['v1', 'v1', 'v1a', 'v1a'])
    for (const key of [secret, endpoint.secret, publicKey, endpoint.publicKey]) {
      await verify(during!, key)
    }
    expect(signaturesOf(after!)).toEqual(['v1', 'v1a'])
    await verify(after!, secret)
    await verify(after!, publicKey)
    await expect(verify(after!, endpoint.secret)).rejects.toThrow('No signature matches')
  })

  it('carries the custom headers, none of which takes the place of ours', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      headers: {
        Authorization: 'Bearer theirs',
        'X-Team': 'green',
        'Webhook-Id': 'forged',
        'Webhook-Signature': 'v1,forged',
        'X-Webhook-Signature': 'forged',
        'Content-Type': 'text/plain',
        'User-Agent': 'forged',
      },
    })

    const id = await emitEvent(database, endpoint.organizationId)

    const [webhook] = await arrived(path)
    expect(webhook.headers).toMatchObject({
      authorization: 'Bearer theirs',
      'x-team': 'green',
      'webhook-id': id,
      'content-type': 'application/json',
      'user-agent': 'Plugboard-Webhooks/1',
    })
    expect(webhook.headers).not.toHaveProperty('x-webhook-signature')
    await verify(webhook, endpoint.secret)
  })
})

it('an event past its retention is not sent at all, and its delivery says why', async () => {
  const path = newPath()
  const { id, organizationId } = await createEndpoint(database, receiver.url + path)
  const setStatus = (status: string) =>
    database.call('service_role', 'update_webhook_endpoint', {
      p_endpoint_id: id,
      p_changes: { status },
    })
  await setStatus('paused')
  const gone = await emitEvent(database, organizationId)
  const kept = await emitEvent(database, organizationId)
  await database.owner`delete from public.events where id = ${gone}`

  await setStatus('active')
  await attempted(database, id, 2)

  expect(receiver.at(path).map(({ headers }) => headers['webhook-id'])).toEqual([kept])
  const deliveries = await deliveriesOf(database, id)
  expect(deliveries.find(({ event_id }) => event_id === gone)).toMatchObject({
    status: 'failed',
    last_error: { code: 'event_expired' },
  })
})

describe('which events reach an endpoint', () => {
  it('those of its types that its filter lets pass, and no other organization’s', async () => {
    const [wanted, others] = [newPath(), newPath()]
    const endpoint = await createEndpoint(database, receiver.url + wanted, {
      event_types: ['booking.*', 'table.freed'],
      filter: { field: 'data.guests', operator: 'gte', value: 4 },
    })
    const everything = await createEndpoint(database, receiver.url + others, {
      organizationId: endpoint.organizationId,
    })
    const stranger = await createEndpoint(database, receiver.url + newPath())
    const emit = (type: string, guests: number) =>
      emitEvent(database, endpoint.organizationId, { guests }, { type })

    const ids = [
      await emit('booking.created', 4),
      await emit('booking.created', 3),
      await emit('table.freed', 8),
      await emit('table.taken', 8),
    ]
    await attempted(database, everything.id, 4)

    expect((await arrived(wanted, 2)).map(({ id }) => id)).toEqual([ids[0], ids[2]])
    expect((await arrived(others, 4)).map(({ id }) => id).sort()).toEqual([...ids].sort())
    expect(await deliveriesOf(database, stranger.id)).toEqual([])
  })
})

describe('an endpoint that wants subjects in order', () => {
  it('gets the next event of a subject when the one before was taken, and others meanwhile', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      ordered_by_subject: true,
    })
    let isBroken = true
    receiver.answer(path, ({ body }, response) => {
      const { subject } = JSON.parse(body.toString()).data
      response.writeHead(isBroken && subject === 'a' ? 500 : 200).end()
    })
    const emit = (subject: string, number: number) =>
      emitEvent(database, endpoint.organizationId, { subject, number }, { subject })
    const numbersOf = (subject: string) =>
      receiver.at(path).map(({ body }) => JSON.parse(body.toString()).data)
        .filter((data) => data.subject === subject).map(({ number }) => number)

    for (let number = 1; number <= 5; number++) {
      await emit('a', number)
      await emit('b', number)
    }
    await vi.waitFor(() => expect(numbersOf('b')).toHaveLength(5), { timeout: 12_000 })
    const whileBroken = numbersOf('a')
    isBroken = false
    await letRetriesComeDue(database, endpoint.id)
    await vi.waitFor(() => expect(numbersOf('a')).toHaveLength(6), { timeout: 12_000 })

    expect(whileBroken).toEqual([1])
    expect(numbersOf('a')).toEqual([1, 1, 2, 3, 4, 5])
    expect(numbersOf('b')).toEqual([1, 2, 3, 4, 5])
  })
})

describe('the limits of an endpoint', () => {
  it('no more calls at once than it takes, however many wait', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, { max_concurrency: 3 })
    let atOnce = 0
    let most = 0
    receiver.answer(path, async (_webhook, response) => {
      most = Math.max(most, ++atOnce)
      await new Promise((resolve) => setTimeout(resolve, 20))
      atOnce--
      response.writeHead(200).end()
    })

    await database.owner`
      insert into public.events (organization_id, type, data, origin)
      select ${endpoint.organizationId}, 'booking.created', '{}', 'app' from generate_series(1, 60)`
    await attempted(database, endpoint.id, 60)

    expect(most).toBe(3)
    expect(new Set(receiver.at(path).map(({ id }) => id)).size).toBe(60)
    expect(receiver.at(path)).toHaveLength(60)
  })

  it('no more calls a second than it allows', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      rate_limit_per_second: 5,
    })

    await database.owner`
      insert into public.events (organization_id, type, data, origin)
      select ${endpoint.organizationId}, 'booking.created', '{}', 'app' from generate_series(1, 15)`
    await attempted(database, endpoint.id, 15)

    // five at once, then five a second
    const times = receiver.at(path).map(({ at }) => at)
    const lasted = Math.max(...times) - Math.min(...times)
    expect(lasted).toBeGreaterThan(1_800)
    expect(lasted).toBeLessThan(6_000)
  })

  it('fewer than one call a second are made too', async () => {
    const path = newPath()
    const endpoint = await createEndpoint(database, receiver.url + path, {
      rate_limit_per_second: 0.5,
    })

    await emitEvent(database, endpoint.organizationId)
    await emitEvent(database, endpoint.organizationId)

    const [first, second] = await arrived(path, 2)
    expect(second!.at - first.at).toBeGreaterThan(1_800)
  })
})
