// Who may call an endpoint, and what does everybody else get to hear?
import { randomUUID } from 'node:crypto'
import { generateKeyPair, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { endpoints, makeWorld, workerEndpoints, type World } from '../support/endpoints.ts'
import { type FunctionCaller, useFunctions } from '../support/functions.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()
const { call, send } = functions
let store: TreezSimulator
beforeAll(async () => {
  store = await functions.openStore()
})

describe.each(endpoints)('$path', ({ path, body, owner }) => {
  let world: World
  beforeAll(async () => {
    world = await makeWorld(functions, store)
  })

  it.each(['owner', 'manager'] as const)('serves the %s', async (role) => {
    const answer = await call(world[role], path, body(world))

    expect(JSON.parse(answer.text)).not.toHaveProperty('code')
    expect(answer.status).toBe(200)
  })

  it('serves the secret key', async () => {
    const answer = await call('secret key', path, body(world))

    expect(answer.status).toBe(200)
  })

  it.each(['member', 'viewer'] as const)('refuses the %s', async (role) => {
    const answer = await call(world[role], path, body(world))

    expect(answer).toMatchObject({ status: 403, body: { code: 'not_a_manager', status: 403 } })
  })

  it('answers a stranger as if the id were unknown', async () => {
    const unknown = { ...body(world), [owner.field]: randomUUID() }

    const ofTheirs = await call(world.stranger, path, body(world))
    const ofNobody = await call(world.stranger, path, unknown)
    const ofNobodyToManager = await call(world.manager, path, unknown)

    expect(ofTheirs).toMatchObject({ status: 404, body: { code: owner.code } })
    const { request_id: _, ...problem } = ofTheirs.body
    for (const { status, body: { request_id: _, ...other } } of [ofNobody, ofNobodyToManager]) {
      expect({ status, other }).toEqual({ status: 404, other: problem })
    }
  })

  it('answers the secret key that an id is unknown', async () => {
    const answer = await call('secret key', path, { ...body(world), [owner.field]: randomUUID() })

    expect(answer).toMatchObject({ status: 404, body: { code: owner.code } })
  })

  it('refuses everybody who does not show who they are', async () => {
    const callers = await unknownCallers(world.manager)

    const answers = await Promise.all(callers.map(async ([who, caller]) => {
      const { status, body: problem, headers } = await call(caller, path, body(world))
      return { who, status, code: problem.code, asks: headers.get('www-authenticate') }
    }))

    expect(answers).toEqual(
      callers.map(([who]) => ({ who, status: 401, code: 'unauthorized', asks: 'Bearer' })),
    )
  })
})

async function unknownCallers(person: { id: string; email: string }) {
  const { publishableKey } = sharedStack
  const token = await functions.remote.signToken({ sub: person.id, email: person.email })
  const expired = await functions.remote.signToken({
    sub: person.id,
    iat: Math.floor(Date.now() / 1000) - 7200,
    exp: Math.floor(Date.now() / 1000) - 3600,
  })
  const anonymous = await functions.remote.signToken({ sub: person.id, role: 'anon' })
  const serviceRole = await functions.remote.signToken({ sub: person.id, role: 'service_role' })
  const withToken = (value: string): FunctionCaller => ({
    headers: { apikey: publishableKey, authorization: `Bearer ${value}` },
  })
  return [
    ['nobody at all', { headers: {} }],
    ['the publishable key', 'not signed in'],
    ['the publishable key as a token', withToken(publishableKey)],
    ['a wrong secret key', { headers: { apikey: 'sb_secret_0000000000000000000000_00000000' } }],
    ['a token that is none', withToken('nonsense')],
    ['an expired token', withToken(expired)],
    ['a token with a broken signature', withToken(`${token.slice(0, -8)}AAAAAAAA`)],
    ["somebody else's signature", withToken(await selfSigned(person.id))],
    ['a token without a signature', withToken(unsigned(person.id))],
    ['a token of the role anon', withToken(anonymous)],
    ['a token of the role service_role', withToken(serviceRole)],
    ['a token in the wrong scheme', { headers: { authorization: `Basic ${token}` } }],
    ['the worker token', { headers: { 'x-worker-token': await workerToken() } }],
  ] satisfies [string, FunctionCaller][]
}

async function selfSigned(userId: string): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256')
  return await new SignJWT({ role: 'authenticated', aud: 'authenticated' })
    .setProtectedHeader({ alg: 'ES256', kid: 'mine' }).setSubject(userId).setIssuedAt()
    .setExpirationTime('1h').sign(privateKey)
}

function unsigned(userId: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 3600
  return `${part({ alg: 'none' })}.${part({ sub: userId, role: 'authenticated', exp })}.`
}

async function workerToken(): Promise<string> {
  const rows = await functions.database.admin`
    select decrypted_secret from vault.decrypted_secrets where name = 'plugboard_worker_token'`
  const token: string = rows[0]?.decrypted_secret
  functions.keepSecret(token)
  return token
}

describe.each(workerEndpoints)('%s', (path) => {
  const body = { reason: 'wake' }

  it('serves the wake call', async () => {
    const answer = await call({ headers: { 'x-worker-token': await workerToken() } }, path, body)

    expect(answer).toMatchObject({ status: 200, body: { accepted: true } })
  })

  it('refuses everybody else, the secret key included', async () => {
    const { owner } = await makeWorld(functions, store)
    const callers: FunctionCaller[] = [
      owner,
      'secret key',
      'not signed in',
      { headers: {} },
      { headers: { 'x-worker-token': '' } },
      { headers: { 'x-worker-token': `${await workerToken()}x` } },
      { headers: { authorization: `Bearer ${await workerToken()}` } },
    ]

    const answers = await Promise.all(callers.map((caller) => call(caller, path, body)))

    expect(answers.map(({ status, body: { code } }) => ({ status, code }))).toEqual(
      callers.map(() => ({ status: 401, code: 'unauthorized' })),
    )
  })
})

describe('a function', () => {
  it.each(['/sync/nothing', '/integrations', '/integrations/connect/more', '/sync-products-2'])(
    'has nothing at %s',
    async (path) => {
      const answer = await send('secret key', path, { method: 'POST', body: '{}' })

      expect(answer.status).toBe(404)
    },
  )
})
