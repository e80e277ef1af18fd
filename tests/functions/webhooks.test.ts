// Managing webhook endpoints as people do it: what is answered, and what then reaches the endpoint.
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  createPlugboard,
  type Plugboard,
  type WebhookDelivery,
  type WebhookEndpointWithSecret,
} from '../../src/index.ts'
import { verify } from '../../supabase/functions/_shared/webhooks/verify.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Person, type Team } from '../support/people.ts'
import { attempted } from '../support/webhook-endpoints.ts'
import {
  type ReceivedWebhook,
  startWebhookReceiver,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { call, database } = functions
let receiver: WebhookReceiver
let team: Team
let plugboard: Plugboard
let path: string
let paths = 0
beforeAll(async () => {
  receiver = await startWebhookReceiver()
  team = await createTeam(database)
  plugboard = await plugboardOf(team.manager)
  return () => receiver.stop()
})
beforeEach(() => {
  path = `/managed-${++paths}`
})
afterAll(() => expectEventsToFit(database))

async function plugboardOf({ id, email }: Person): Promise<Plugboard> {
  const { url, publishableKey } = sharedStack
  const token = await functions.remote.signToken({ sub: id, email })
  return createPlugboard(
    createClient(url, publishableKey, { accessToken: () => Promise.resolve(token) }),
  )
}
const create = (input: Record<string, unknown> = {}) =>
  call<WebhookEndpointWithSecret>(team.manager, '/webhooks/create', {
    organization_id: team.organizationId,
    url: receiver.url + path,
    event_types: ['booking.*'],
    ...input,
  })
const arrived = (count: number): Promise<ReceivedWebhook[]> =>
  vi.waitFor(() => {
    const webhooks = receiver.at(path)
    if (webhooks.length < count) throw new Error(`${webhooks.length} of ${count} came`)
    return webhooks
  }, { timeout: 12_000, interval: 10 })
const emit = async (data: Record<string, unknown> = {}) => {
  const { data: emitted, error } = await plugboard.events.emit({
    organization_id: team.organizationId,
    type: 'booking.created',
    data,
  })
  if (error) throw error
  return emitted.event_id
}

it('the secret is shown once; header values and the secret never come back', async () => {
  const { status, body: created } = await create({ headers: { 'x-till': 'till seven' } })

  const { data: read } = await plugboard.webhooks.endpoints.get(created.id)
  const { data: listed } = await plugboard.webhooks.endpoints.list({
    organization_id: team.organizationId,
  })
  const updated = await call(team.manager, '/webhooks/update', {
    endpoint_id: created.id,
    headers: { 'x-till': 'till eight' },
  })

  expect(status).toBe(200)
  expect(created.secret).toMatch(/^whsec_[\w+/]{43}=$/)
  expect(created).toMatchObject({
    header_names: ['x-till'],
    status: 'active',
    created_by: team.manager.id,
  })
  const { secret, ...shown } = created
  expect(read).toEqual(shown)
  expect(listed?.map(({ id }) => id)).toContain(created.id)
  const answers = JSON.stringify([read, listed, updated.body])
  for (const hidden of [secret, 'till seven', 'till eight']) expect(answers).not.toContain(hidden)
})

it('a test event arrives with the headers that were given, signed with the secret that was shown', async () => {
  const { body: endpoint } = await create({ headers: { authorization: 'Bearer till-7' } })

  const { data: delivery } = await plugboard.webhooks.endpoints.ping({ endpoint_id: endpoint.id })

  const [webhook] = await arrived(1)
  expect(webhook?.headers['authorization']).toBe('Bearer till-7')
  expect(webhook?.id).toBe(delivery?.event_id)
  const { payload } = await verify(webhook!, endpoint.secret)
  expect(payload).toMatchObject({ type: 'webhook.test', data: { endpoint_id: endpoint.id } })
  await attempted(database, endpoint.id)
  const { data: done } = await plugboard.webhooks.deliveries.get({
    endpoint_id: endpoint.id,
    event_id: delivery!.event_id,
    event_created_at: delivery!.event_created_at,
  })
  expect(done).toMatchObject({
    status: 'succeeded',
    attempts: [{ outcome: 'succeeded', response_status: 204 }],
  })
})

it('an app’s own event reaches whoever asked for it, and nobody else', async () => {
  const { body: wanting } = await create()
  const { body: other } = await create({ url: `${receiver.url}/nobody`, event_types: ['visit.*'] })

  const id = await emit({ guests: 4 })

  const [webhook] = await arrived(1)
  const { payload } = await verify(webhook!, wanting.secret)
  expect(payload).toMatchObject({ type: 'booking.created', data: { guests: 4 } })
  const { data: events } = await plugboard.events.list({
    organization_id: team.organizationId,
    type: 'booking.created',
  })
  expect(events?.[0]).toMatchObject({ id, data: { guests: 4 }, origin: 'app' })
  const { data: none } = await plugboard.webhooks.deliveries.list({ endpoint_id: other.id })
  expect(none).toEqual([])
})

it('v1a is verified with the public key that the endpoint shows', async () => {
  const { body: endpoint } = await create({ signatures: ['v1a'] })

  await emit()

  const [webhook] = await arrived(1)
  expect(endpoint.public_key).toMatch(/^whpk_/)
  await expect(verify(webhook!, endpoint.public_key!)).resolves.toBeDefined()
  expect(webhook?.headers['webhook-signature']).toMatch(/^v1a,\S+$/)
})

it('both kinds of signature, where v1a is added later', async () => {
  const { body: endpoint } = await create()
  const { data: both } = await plugboard.webhooks.endpoints.update({
    endpoint_id: endpoint.id,
    signatures: ['v1', 'v1a'],
  })

  await emit()

  const [webhook] = await arrived(1)
  expect(endpoint.public_key).toBeNull()
  await expect(verify(webhook!, both!.public_key!)).resolves.toBeDefined()
  await expect(verify(webhook!, endpoint.secret)).resolves.toBeDefined()
})

it('after a rotation both secrets verify; after one without overlap, the new one alone', async () => {
  const { body: endpoint } = await create()
  const rotate = (overlap_hours?: number) =>
    plugboard.webhooks.endpoints.rotateSecret({ endpoint_id: endpoint.id, overlap_hours })

  const { data: second } = await rotate()
  await emit()
  const [overlapping] = await arrived(1)
  const { data: third } = await rotate(0)
  await emit()
  const [, alone] = await arrived(2)

  expect(new Set([endpoint.secret, second?.secret, third?.secret]).size).toBe(3)
  await expect(verify(overlapping!, endpoint.secret)).resolves.toBeDefined()
  await expect(verify(overlapping!, second!.secret)).resolves.toBeDefined()
  await expect(verify(alone!, third!.secret)).resolves.toBeDefined()
  await expect(verify(alone!, second!.secret)).rejects.toThrow()
})

it('a pause holds what comes, and its end sends it', async () => {
  const { body: endpoint } = await create()
  const pause = (paused: boolean) =>
    plugboard.webhooks.endpoints.update({ endpoint_id: endpoint.id, paused })

  const { data: paused } = await pause(true)
  const id = await emit()
  const { data: held } = await plugboard.webhooks.deliveries.list({ endpoint_id: endpoint.id })
  const { error } = await plugboard.webhooks.endpoints.ping({ endpoint_id: endpoint.id })
  const { data: active } = await pause(false)

  expect([paused?.status, active?.status]).toEqual(['paused', 'active'])
  expect(held).toMatchObject([{ event_id: id, status: 'queued', attempt_count: 0 }])
  expect(error?.code).toBe('webhook_endpoint_not_active')
  const webhooks = await arrived(1)
  expect(webhooks.map((webhook) => webhook.id)).toEqual([id])
})

it('what failed is sent again with its id, and so is what was never sent', async () => {
  const before = await emit({ number: 0 })
  receiver.answer(
    path,
    (_webhook, response, earlier) => response.writeHead(earlier === 0 ? 500 : 204).end(),
  )
  const { body: endpoint } = await create({ retry_pauses_s: [] })
  const id = await emit({ number: 1 })
  await arrived(1)
  await attempted(database, endpoint.id)
  const { data: failed } = await plugboard.webhooks.deliveries.list({
    endpoint_id: endpoint.id,
    status: 'failed',
  })

  const { data: again } = await plugboard.webhooks.deliveries.replay({ endpoint_id: endpoint.id })
  await arrived(2)
  const { data: missing } = await plugboard.webhooks.deliveries.replay({
    endpoint_id: endpoint.id,
    what: 'missing',
    event_ids: [before],
  })
  const { data: named } = await plugboard.webhooks.deliveries.replay({
    endpoint_id: endpoint.id,
    event_ids: [before],
    until: '2000-01-01T00:00:00Z',
  })

  const webhooks = await arrived(3)
  expect(failed).toMatchObject([{ event_id: id, last_response_status: 500 }])
  expect([again, missing, named]).toEqual([{ replayed: 1 }, { replayed: 1 }, { replayed: 0 }])
  expect(webhooks.map((webhook) => webhook.id)).toEqual([id, id, before])
  expect(webhooks[1]?.body).toEqual(webhooks[0]?.body)
})

it('a deleted endpoint gets nothing more and is not there any more', async () => {
  const { body: endpoint } = await create()

  const { data } = await plugboard.webhooks.endpoints.delete({ endpoint_id: endpoint.id })

  const again = await plugboard.webhooks.endpoints.delete({ endpoint_id: endpoint.id })
  const read = await plugboard.webhooks.endpoints.get(endpoint.id)
  expect(data).toEqual({ deleted: true })
  expect([again.error?.code, read.error?.code]).toEqual([
    'webhook_endpoint_not_found',
    'webhook_endpoint_not_found',
  ])
})

it('deliveries are listed page by page', async () => {
  const { body: endpoint } = await create({ url: `${receiver.url}/pages` })
  const ids = []
  for (let number = 0; number < 5; number++) ids.push(await emit({ number }))

  const pages: string[][] = []
  let before: WebhookDelivery | undefined
  while (pages.length < 3) {
    const { data } = await plugboard.webhooks.deliveries.list({
      endpoint_id: endpoint.id,
      limit: 2,
      before,
    })
    pages.push(data!.map(({ event_id }) => event_id))
    before = data!.at(-1)
  }

  expect(pages).toEqual([[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]])
})

it('a manager asks for events of records, a member cannot', async () => {
  const store = await functions.openStore({ products: 3 })
  const integration = await functions.connect(team.manager, team.organizationId, store)
  const ask = { integration_id: integration.id, stream: 'products', record_events: 'ids' } as const

  const refused = await (await plugboardOf(team.member)).syncs.streams.update(ask)
  const accepted = await plugboard.syncs.streams.update(ask)
  await functions.sync(team.manager, integration.id)

  const { data: streams } = await plugboard.syncs.streams.list({ integration_id: integration.id })
  const { data: events } = await plugboard.events.list({
    organization_id: team.organizationId,
    type: ['product.created', 'sync.completed'],
  })
  expect(refused.error?.code).toBe('stream_not_found')
  expect(accepted.data).toMatchObject({ record_events: 'ids' })
  expect(streams).toEqual([expect.objectContaining({ stream: 'products', record_events: 'ids' })])
  expect(events?.map(({ type }) => type).toSorted()).toEqual([
    ...Array(3).fill('product.created'),
    'sync.completed',
  ])
})

it('Plugboard’s own types are listed with schema and example', async () => {
  const { data: types } = await plugboard.events.types()

  expect(types?.find(({ name }) => name === 'user.added')).toMatchObject({
    data_schema: { properties: { role: { enum: ['owner', 'manager', 'member', 'viewer'] } } },
    example: { role: 'member' },
  })
})

describe('is refused, with the field that is wrong:', () => {
  it.each<[Record<string, unknown>, string, string]>([
    [{ url: 'nonsense' }, 'invalid_endpoint', 'url'],
    [{ url: 'ftp://example.com/' }, 'invalid_endpoint', 'url'],
    [{ url: 'https://ada:secret@example.com/' }, 'invalid_endpoint', 'url'],
    [{ url: 'http://10.0.0.1/' }, 'invalid_endpoint', 'url'], // not this machine
    [{ url: `https://example.com/${'é'.repeat(1_000)}` }, 'invalid_endpoint', 'url'], // too long once encoded
    [{ url: '' }, 'invalid_request', 'url'],
    [{ headers: { 'Webhook-Signature': 'v1,x' } }, 'invalid_endpoint', 'headers.Webhook-Signature'],
    [{ headers: { 'x-a': 'b\r\nx-c: d' } }, 'invalid_endpoint', 'headers.x-a'],
    [{ headers: { 'x-a': 1 } }, 'invalid_request', 'headers.x-a'],
    [{ event_types: ['order.*', 'Order.created'] }, 'invalid_request', 'event_types.1'],
    [{ event_types: [] }, 'invalid_request', 'event_types'],
    [
      { filter: { field: 'type', operator: 'like', value: 'x' } },
      'invalid_request',
      'filter.operator',
    ],
    [{ filter: { and: [{ field: 'type' }] } }, 'invalid_request', 'filter.and.0.operator'],
    [{ signatures: ['v1', 'v1'] }, 'invalid_request', 'signatures'],
    [{ max_concurrency: 101 }, 'invalid_request', 'max_concurrency'],
    [{ rate_limit_per_second: 0 }, 'invalid_request', 'rate_limit_per_second'],
    [{ retry_pauses_s: [5, 86_401] }, 'invalid_request', 'retry_pauses_s.1'],
  ])('%j', async (input, code, field) => {
    const { body: endpoint } = await create()
    const count = async () => {
      const [row] = await database.owner`select count(*)::int as count from public.app_webhooks`
      return row?.count
    }
    const before = await count()

    const created = await create(input)
    const updated = await call(team.manager, '/webhooks/update', {
      endpoint_id: endpoint.id,
      ...input,
    })

    for (const { status, body } of [created, updated]) {
      const problem = body as unknown as { code: string; errors: { path: string }[] }
      expect({ status, code: problem.code, fields: problem.errors?.map((error) => error.path) })
        .toEqual({ status: 400, code, fields: [field] })
    }
    expect(await count()).toBe(before) // nothing half-written
    const { data: kept } = await plugboard.webhooks.endpoints.get(endpoint.id)
    const { secret: _, ...shown } = endpoint
    expect(kept).toEqual(shown)
  })
})
