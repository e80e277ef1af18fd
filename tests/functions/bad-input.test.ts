// What does an endpoint say to a request that is not the one it takes?
import { Agent, request } from 'node:http'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { type Endpoint, endpoints, makeWorld, workerEndpoints } from '../support/endpoints.ts'
import { type FunctionCaller, useFunctions } from '../support/functions.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { call, send } = functions
let store: TreezSimulator
let wakeCall: FunctionCaller
beforeAll(async () => {
  store = await functions.openStore()
  const rows = await functions.database.admin`
    select decrypted_secret from vault.decrypted_secrets where name = 'plugboard_worker_token'`
  const token: string = rows[0]?.decrypted_secret
  functions.keepSecret(token)
  wakeCall = { headers: { 'x-worker-token': token } }
})

type Taker = Pick<Endpoint, 'path' | 'body' | 'maxBodyBytes'> & { isWorker: boolean }
const takers: Taker[] = [
  ...endpoints.map((endpoint) => ({ ...endpoint, isWorker: false })),
  ...workerEndpoints.map((path) => ({ path, body: () => ({ reason: 'wake' }), isWorker: true })),
]

describe.each(takers)('$path', ({ path, body, maxBodyBytes = 1_000_000, isWorker }) => {
  let caller: FunctionCaller
  let good: Record<string, unknown>
  beforeAll(async () => {
    const world = await makeWorld(functions, store)
    caller = isWorker ? wakeCall : world.manager
    good = body(world)
  })
  const post = (body: BodyInit, headers: HeadersInit = {}) =>
    send(caller, path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })

  it('takes the request that all these are bent from', async () => {
    const answer = await post(JSON.stringify(good))

    expect(answer).toMatchObject({ status: 200 })
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('lets a browser ask first', async () => {
    const answer = await send({ headers: {} }, path, {
      method: 'OPTIONS',
      headers: {
        'origin': 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, apikey, content-type, x-client-info',
      },
    })

    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-methods')).toContain('POST')
    for (const header of ['authorization', 'apikey', 'content-type', 'x-client-info']) {
      expect(answer.headers.get('access-control-allow-headers')).toContain(header)
    }
  })

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])(
    'refuses %s and says what it allows',
    async (method) => {
      const answer = await send(caller, path, { method })

      expect(answer).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } })
      expect(answer.headers.get('allow')).toBe('POST, OPTIONS')
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    },
  )

  it('refuses a body that is not JSON', async () => {
    const whole = JSON.stringify(good)
    const bodies: BodyInit[] = [
      '',
      'nonsense',
      whole.slice(0, -1),
      `${whole}${whole}`,
      'integration_id=1',
      new Uint8Array([0xff, 0xfe, 0x00]),
      new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xc3, 0x28, 0x22, 0x7d]),
    ]

    const answers = await Promise.all(bodies.map((body) => post(body)))

    expect(answers.map(({ status, body: { code } }) => ({ status, code }))).toEqual(
      bodies.map(() => ({ status: 400, code: 'invalid_json' })),
    )
  })

  it('refuses a body that is larger than it takes, announced or not', async () => {
    const large = JSON.stringify({ ...good, note: 'x'.repeat(maxBodyBytes) })

    const announced = await post(large)
    const streamed = await send(caller, path, {
      method: 'POST',
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit)

    expect(announced).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
    expect(streamed).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
  })

  it('refuses a field it does not know, by its name', async () => {
    const answer = await post(JSON.stringify({ ...good, surprise: true, toString: 1 }))

    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(answer.body.errors).toEqual([
      { path: 'surprise', message: 'is not a known field' },
      { path: 'toString', message: 'is not a known field' },
    ])
    expect(answer.body.detail).toContain('surprise')
  })

  it('refuses each field of a wrong type, by its name', async () => {
    const wrong = Object.keys(good).flatMap((field) =>
      [null, 42.5, [], [[]], { $ne: 1 }, true, '\u0000', '\ud800'].filter((value) =>
        !isAcceptable(path, field, value)
      ).map((value) => ({ field, value }))
    )

    const answers = await Promise.all(wrong.map(async ({ field, value }) => {
      const { status, body } = await post(JSON.stringify({ ...good, [field]: value }))
      const named = (body.errors as { path: string }[] | undefined)?.map(({ path }) => path) ?? []
      return { field, value, status, isNamed: named.some((path) => path.split('.')[0] === field) }
    }))

    expect(answers).toEqual(wrong.map((bent) => ({ ...bent, status: 400, isNamed: true })))
  })

  it.each([[null], [[]], ['text'], [42], [true]])(
    'refuses %j in place of an object',
    async (value) => {
      const answer = await post(JSON.stringify(value))

      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    },
  )
})

/** A few of the values are right for a field. */
function isAcceptable(path: string, field: string, value: unknown): boolean {
  const canBeTakenAway = ['description', 'filter', 'rate_limit_per_second'].includes(field)
  if (path === '/webhooks/update' && canBeTakenAway && value === null) return true
  if (field === 'rate_limit_per_second' && value === 42.5) return true
  if (field === 'retry_pauses_s') return Array.isArray(value) && value.length === 0 // never again
  const isFlag = [
    'paused',
    'delete_data',
    'allow_mass_delete',
    'wait',
    'retry_dead',
    'dry_run',
    'hex_signature',
    'ordered_by_subject',
    'enabled',
  ].includes(field)
  // whether an object is right is for the connector to say: settings and credentials have their own test
  const isObject = ['settings', 'credentials'].includes(field) && typeof value === 'object' &&
    value !== null && !Array.isArray(value)
  return (isFlag && typeof value === 'boolean') || isObject
}

describe('/integrations/connect', () => {
  it.each([
    ['settings', { dispensary: '' }, 'settings.dispensary'],
    ['settings', { dispensary: 'a/../b' }, 'settings.dispensary'],
    ['settings', { dispensary: 'demo', token: 'x' }, 'settings.token'],
    ['settings', {}, 'settings.dispensary'],
    ['credentials', { client_id: 'a' }, 'credentials.api_key'],
    ['credentials', { client_id: 'a', api_key: 7 }, 'credentials.api_key'],
    ['credentials', { client_id: 'a', api_key: 'b', more: 'c' }, 'credentials.more'],
  ])('names what is wrong in %s %j', async (field, value, path) => {
    const world = await makeWorld(functions, store)
    const connect = endpoints.find((endpoint) => endpoint.path === '/integrations/connect')!
    const good = connect.body(world)

    const refused = await call(world.manager, '/integrations/connect', { ...good, [field]: value })
    const accepted = await call(world.manager, '/integrations/connect', good)

    expect(refused).toMatchObject({ status: 400, body: { code: `invalid_${field}` } })
    expect(refused.body.errors?.map((error) => error.path)).toContain(path)
    expect(accepted.status).toBe(200)
  })

  it('knows the connectors there are', async () => {
    const { manager, organizationId } = await makeWorld(functions, store)

    const answer = await call(manager, '/integrations/connect', {
      organization_id: organizationId,
      connector: '__proto__',
      settings: {},
      credentials: {},
    })

    expect(answer).toMatchObject({ status: 404, body: { code: 'connector_not_found' } })
  })
})

describe('a connection', () => {
  it('serves the next request after a body that was refused unread', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { functionsUrl, secretKey } = sharedStack
    const statusOf = (body: string) =>
      new Promise((resolve, reject) => {
        const headers = { 'apikey': secretKey, 'content-length': body.length }
        const sent = request(`${functionsUrl}/sync`, { agent, method: 'POST', headers }, (answer) =>
          answer.resume().on('end', () =>
            resolve(answer.statusCode)))
        sent.on('error', reject)
        sent.end(body)
      })

    const statuses = [await statusOf('x'.repeat(8_000_000)), await statusOf('{"a":1}')]
    agent.destroy()

    expect(statuses).toEqual([413, 400])
  })
})

describe('/integrations/update', () => {
  it('refuses to change nothing', async () => {
    const { manager, integrationId } = await makeWorld(functions, store)
    const update = (change: Record<string, unknown>) =>
      call(manager, '/integrations/update', { integration_id: integrationId, ...change })

    const nothing = await update({})
    const something = await update({ name: 'Riverside' })

    expect(nothing).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(nothing.body.detail).toContain('at least one of')
    expect(something).toMatchObject({ status: 200, body: { name: 'Riverside' } })
  })
})

describe('/sync', () => {
  it.each(['/sync', '/sync/replay'])('%s knows the streams there are', async (path) => {
    const { manager, integrationId } = await makeWorld(functions, store)

    const known = await call(manager, path, { integration_id: integrationId, stream: 'products' })
    const unknown = await call(manager, path, { integration_id: integrationId, stream: 'toString' })

    expect(known.status).toBe(200)
    expect(unknown).toMatchObject({ status: 404, body: { code: 'stream_not_found' } })
  })
})
