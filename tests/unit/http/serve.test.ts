import { beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type Auth, contract } from '../../../supabase/functions/_shared/contracts/contract.ts'
import {
  reply,
  routes,
  serve,
  type ServeOptions,
  type WorkContext,
} from '../../../supabase/functions/_shared/http/serve.ts'
import { DatabaseError } from '../../../supabase/functions/_shared/platform/database.ts'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { type SupabaseKeys, supabaseKeys } from '../../support/supabase-keys.ts'

const userId = '11111111-1111-4111-8111-111111111111'
const integrationId = '22222222-2222-4222-8222-222222222222'
const workerToken = 'the-worker-token-of-this-test'

let keys: SupabaseKeys
let userToken: string
beforeAll(async () => {
  keys = await supabaseKeys()
  userToken = await keys.userToken(userId)
})

const endpoint = (auth: Auth) =>
  contract({
    method: 'POST',
    path: '/things',
    auth,
    request: z.strictObject({
      integration_id: z.uuid(),
      settings: z.strictObject({ size: z.int() }).optional(),
      note: z.string().optional(),
    }),
    response: z.object({ caller: z.string(), note: z.string().optional() }),
    errors: [],
  })

type Body = z.output<ReturnType<typeof endpoint>['request']>
type Work = (context: WorkContext<Body>) => Promise<{ caller: string; note?: string }>

/** A served endpoint, the lines it logged and how often its work ran. */
function things(auth: Auth, options: ServeOptions & { work?: Work } = {}) {
  const lines: string[] = []
  const work = vi.fn(
    options.work ??
      (({ caller }) => Promise.resolve({ caller: JSON.stringify(caller) })),
  )
  const handler = serve(endpoint(auth), work, {
    supabase: keys.supabase,
    environment: { SUPABASE_URL: keys.supabase.url, PLUGBOARD_WORKER_TOKEN: workerToken },
    log: createLog({}, (line) => lines.push(line)),
    ...options,
  })
  return { handler, work, lines }
}

function post(body: unknown, headers: Record<string, string> = {}): Request {
  return new Request('http://localhost/things', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

const valid = { integration_id: integrationId }
const asUser = () => ({ authorization: `Bearer ${userToken}` })

async function problem(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const body = await response.json()
  expect(body).toMatchObject({
    status: response.status,
    request_id: response.headers.get('x-request-id'),
    type: `urn:plugboard:error:${body.code}`,
  })
  return body
}

describe('an answer', () => {
  it("is JSON with the request's id, readable from any page and never cached", async () => {
    const { handler } = things('user-or-secret')

    const response = await handler(post(valid, asUser()))

    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ caller: JSON.stringify({ kind: 'user', userId }) })
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'cache-control': 'no-store',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  it('may have another status', async () => {
    const handler = serve(
      endpoint('user-or-secret'),
      () => Promise.resolve(reply(202, { caller: 'later' })),
      { supabase: keys.supabase, environment: { SUPABASE_URL: keys.supabase.url } },
    )

    const response = await handler(post(valid, asUser()))

    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ caller: 'later' })
  })

  it('holds only what the contract names', async () => {
    const work: Work = () => Promise.resolve({ caller: 'x', credentials_secret_id: 'hunter2' })

    const response = await things('user-or-secret', { work }).handler(post(valid, asUser()))

    expect(await response.json()).toEqual({ caller: 'x' })
  })

  it('that does not fit the contract is our error, logged with the field', async () => {
    const work = () => Promise.resolve({ caller: 7 }) as unknown as ReturnType<Work>
    const { handler, lines } = things('user-or-secret', { work })

    const response = await handler(post(valid, asUser()))

    expect(response.status).toBe(500)
    expect((await problem(response)).code).toBe('internal_error')
    expect(lines.join()).toContain('caller')
  })

  it('to OPTIONS comes before anything else and asks for nothing', async () => {
    const { handler, work } = things('user-or-secret')

    const response = await handler(
      new Request('http://localhost/things', { method: 'OPTIONS' }),
    )

    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization')
    expect(response.headers.get('access-control-allow-methods')).toContain('POST')
    expect(work).not.toHaveBeenCalled()
  })
})

describe('the method', () => {
  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])(
    '%s is refused, naming the one allowed',
    async (method) => {
      const { handler, work } = things('user-or-secret')

      const response = await handler(
        new Request('http://localhost/things', { method, headers: asUser() }),
      )

      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('POST, OPTIONS')
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(work).not.toHaveBeenCalled()
    },
  )
})

describe('a user', () => {
  it.each(['Bearer', 'bearer', 'BEARER'])(
    'is known by a token after %s',
    async (scheme) => {
      const response = await things('user-or-secret').handler(
        post(valid, { authorization: `${scheme} ${userToken}` }),
      )

      expect(response.status).toBe(200)
    },
  )

  it('may send a publishable key beside the token', async () => {
    const headers = { ...asUser(), apikey: 'sb_publishable_test' }

    const response = await things('user-or-secret').handler(post(valid, headers))

    expect(await response.json()).toEqual({ caller: JSON.stringify({ kind: 'user', userId }) })
  })

  it('stays that user when the secret key is sent too', async () => {
    const headers = { ...asUser(), apikey: 'sb_secret_test' }

    const response = await things('user-or-secret').handler(post(valid, headers))

    expect(await response.json()).toEqual({ caller: JSON.stringify({ kind: 'user', userId }) })
  })

  it('reads the database with their own token', async () => {
    const sent: Request[] = []
    vi.stubGlobal(
      'fetch',
      (input: string | URL | Request, init?: RequestInit) => {
        sent.push(new Request(input, init))
        return Promise.resolve(Response.json([]))
      },
    )
    const work: Work = async ({ db, admin }) => {
      await db.from('integrations').select()
      await admin.from('integrations').select()
      return { caller: 'x' }
    }

    const response = await things('user-or-secret', { work }).handler(post(valid, asUser()))
    vi.unstubAllGlobals()

    expect(response.status).toBe(200)
    expect(
      sent.map(({ headers }) => [headers.get('apikey'), headers.get('authorization')]),
    ).toEqual([
      ['sb_publishable_test', `Bearer ${userToken}`],
      ['sb_secret_test', expect.not.stringContaining(userToken)],
    ])
  })

  const refused: [string, () => Promise<Record<string, string>> | Record<string, string>][] = [
    ['no token', () => ({})],
    ['an empty token', () => ({ authorization: 'Bearer ' })],
    ['another scheme', () => ({ authorization: `Basic ${userToken}` })],
    ['a token without a scheme', () => ({ authorization: userToken })],
    ['nonsense', () => ({ authorization: 'Bearer nonsense' })],
    [
      'a token with a changed signature',
      () => ({ authorization: `Bearer ${userToken.slice(0, -6)}AAAAAA` }),
    ],
    ['a token without a signature', () => ({
      authorization: `Bearer ${btoa('{"alg":"none","kid":"test-key"}')}.${
        userToken.split('.')[1]
      }.`,
    })],
    ['an expired token', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, { exp: 1_000_000_000 })}`,
    })],
    ['a token of an unknown key', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, {}, { kid: 'other' })}`,
    })],
    ['a token without a key id', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, {}, {})}`,
    })],
    ['a token of another project', async () => ({
      authorization: `Bearer ${await (await supabaseKeys()).userToken(userId)}`,
    })],
    ['an anonymous token', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, { role: 'anon' })}`,
    })],
    ['a service_role token', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, { role: 'service_role' })}`,
    })],
    ['a token without a role', async () => ({
      authorization: `Bearer ${await keys.userToken(userId, { role: undefined })}`,
    })],
    ['the publishable key', () => ({ apikey: 'sb_publishable_test' })],
    ['the secret key as a token', () => ({ authorization: 'Bearer sb_secret_test' })],
    ['a wrong secret key', () => ({ apikey: 'sb_secret_wrong' })],
    ['the worker token', () => ({ 'x-worker-token': workerToken })],
  ]
  it.each(refused)('is not known by %s', async (_what, headers) => {
    const { handler, work } = things('user-or-secret')

    const response = await handler(post(valid, await headers()))

    expect(response.status).toBe(401)
    expect((await problem(response)).code).toBe('unauthorized')
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(work).not.toHaveBeenCalled()
  })
})

describe('a service', () => {
  it.each(['sb_secret_test', 'sb_secret_second'])(
    'is known by the secret key %s',
    async (apikey) => {
      const response = await things('user-or-secret').handler(post(valid, { apikey }))

      expect(await response.json()).toEqual({ caller: '{"kind":"service"}' })
    },
  )

  it('is refused when a bad token comes with its key, since it is unclear who calls', async () => {
    const headers = { apikey: 'sb_secret_test', authorization: 'Bearer nonsense' }

    const response = await things('user-or-secret').handler(post(valid, headers))

    expect(response.status).toBe(401)
  })
})

describe('a worker', () => {
  it('is known by the worker token', async () => {
    const response = await things('worker').handler(post(valid, { 'x-worker-token': workerToken }))

    expect(await response.json()).toEqual({ caller: '{"kind":"worker"}' })
  })

  it.each([
    ['nothing', {}],
    ['a wrong token', { 'x-worker-token': `${workerToken}x` }],
    ['an empty token', { 'x-worker-token': '' }],
    ['the secret key', { apikey: 'sb_secret_test' }],
    ['the token in another place', { authorization: `Bearer ${workerToken}` }],
  ])('is not known by %s', async (_what, headers) => {
    const response = await things('worker').handler(post(valid, headers))

    expect(response.status).toBe(401)
  })

  it('is nobody where no token is set up', async () => {
    const environment = { SUPABASE_URL: keys.supabase.url }
    const { handler } = things('worker', { environment })

    for (const token of ['', 'undefined', workerToken]) {
      expect((await handler(post(valid, { 'x-worker-token': token }))).status)
        .toBe(401)
    }
  })
})

describe('the body', () => {
  it.each([
    ['empty', ''],
    ['no JSON', 'hello'],
    ['half an object', '{"integration_id":'],
    ['JSON in Latin-1', Uint8Array.of(0x22, 0xe9, 0x22)],
  ])('that is %s is invalid_json and not quoted', async (_what, body) => {
    const request = new Request('http://localhost/things', {
      method: 'POST',
      headers: asUser(),
      body,
    })

    const response = await things('user-or-secret').handler(request)

    expect(response.status).toBe(400)
    const answered = await problem(response)
    expect(answered.code).toBe('invalid_json')
    expect(JSON.stringify(answered)).not.toContain('hello')
  })

  it.each([
    ['a missing field', {}, 'integration_id'],
    ['a wrong type', { integration_id: 7 }, 'integration_id'],
    ['a malformed id', { integration_id: 'seven' }, 'integration_id'],
    ['an unknown field', { ...valid, surprise: 1 }, 'surprise'],
    ['an unknown field inside', { ...valid, settings: { size: 1, colour: 2 } }, 'settings.colour'],
    ['a wrong type inside', { ...valid, settings: { size: 'big' } }, 'settings.size'],
    [
      'a prototype',
      JSON.parse(`{"integration_id":"${integrationId}","__proto__":{"x":1}}`),
      '__proto__',
    ],
    ['an array', [valid], ''],
    ['null', null, ''],
    ['a character Postgres cannot hold', { ...valid, note: 'a\0b' }, 'note'],
    ['half a character', { ...valid, note: '\ud800' }, 'note'],
    ['such a character in a name', { ...valid, 'note\0': 'x' }, ''],
  ])(
    'with %s is invalid_request and names the field',
    async (_what, body, path) => {
      const { handler, work } = things('user-or-secret')

      const response = await handler(post(body, asUser()))

      expect(response.status).toBe(400)
      const answered = await problem(response)
      expect(answered.code).toBe('invalid_request')
      expect(answered.errors.map((error: { path: string }) => error.path))
        .toContain(path)
      expect(work).not.toHaveBeenCalled()
    },
  )

  it('may hold any other character, an emoji as escapes too', async () => {
    const work: Work = ({ body }) => Promise.resolve({ caller: 'x', note: body.note })
    const body = `{"integration_id":"${integrationId}","note":"\\ud83d\\ude00 \\\\u0000 é"}`

    const response = await things('user-or-secret', { work }).handler(post(body, asUser()))

    expect(await response.json()).toEqual({ caller: 'x', note: '😀 \\u0000 é' })
  })

  it('at the limit is taken, one byte more is body_too_large, announced or not', async () => {
    const { handler } = things('user-or-secret', { maxBodyBytes: 200 })
    const sized = (bytes: number) => {
      const rest = bytes - JSON.stringify({ ...valid, note: '' }).length
      return JSON.stringify({ ...valid, note: 'x'.repeat(rest) })
    }
    const streamed = (body: string) =>
      new Request('http://localhost/things', {
        method: 'POST',
        headers: asUser(),
        body: new Blob([body]).stream(),
        duplex: 'half',
      } as RequestInit)

    expect((await handler(post(sized(200), asUser()))).status).toBe(200)
    expect((await handler(streamed(sized(200)))).status).toBe(200)
    for (
      const request of [
        post(sized(201), asUser()),
        streamed(sized(201)),
        post(sized(200), { ...asUser(), 'content-length': '201' }),
      ]
    ) {
      const response = await handler(request)
      expect(response.status).toBe(413)
      expect((await problem(response)).code).toBe('body_too_large')
    }
  })

  it("that breaks off is the caller's error", async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) })
    const init = { method: 'POST', headers: asUser(), body, duplex: 'half' } as RequestInit

    const response = await things('user-or-secret').handler(
      new Request('http://localhost/things', init),
    )

    expect(response.status).toBe(400)
  })

  it.each<[string, string, () => Record<string, string>]>([
    ['a preflight', 'OPTIONS', () => ({})],
    ['a wrong method', 'PUT', asUser],
    ['no token', 'POST', () => ({})],
    ['too large an announcement', 'POST', () => ({ ...asUser(), 'content-length': '9999999' })],
  ])(
    'is given up after %s, so that the connection can go on',
    async (_what, method, headers) => {
      const cancel = vi.fn()
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(9)),
        cancel,
      })
      const init = { method, headers: headers(), body, duplex: 'half' } as RequestInit

      await things('user-or-secret').handler(
        new Request('http://localhost/things', init),
      )

      expect(cancel).toHaveBeenCalledOnce()
    },
  )
})

describe('work that fails', () => {
  it('with an AppError answers it, with Retry-After in whole seconds', async () => {
    const work: Work = () => {
      throw new AppError('circuit_open', { detail: 'Paused.', retryAfterMs: 1_200 })
    }

    const response = await things('user-or-secret', { work }).handler(post(valid, asUser()))

    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await problem(response)).toMatchObject({ code: 'circuit_open', detail: 'Paused.' })
  })

  it.each([
    ['an Error', () => new Error('connect to postgres://user:hunter2@db')],
    ['an internal AppError', () => new AppError('internal_error', { cause: new Error('hunter2') })],
    ['a string', () => 'hunter2'],
    ['undefined', () => undefined],
  ])(
    'with %s answers internal_error, shows nothing and logs the whole',
    async (_what, make) => {
      const work: Work = () => {
        throw make()
      }
      const { handler, lines } = things('user-or-secret', { work })

      const response = await handler(post(valid, asUser()))

      expect(response.status).toBe(500)
      const answered = await problem(response)
      expect(answered.code).toBe('internal_error')
      expect(JSON.stringify(answered)).not.toMatch(/hunter2|postgres|serve\.test/)
      expect(lines).toHaveLength(1)
      expect(JSON.parse(lines[0]!)).toMatchObject({
        level: 'error',
        request_id: answered.request_id,
        endpoint: '/things',
      })
    },
  )

  it("does not fill the log with refusals, which are the caller's business", async () => {
    const { handler, lines } = things('user-or-secret')

    await handler(post({}, asUser()))
    await handler(post(valid))

    expect(lines).toEqual([])
  })
})

describe('a database', () => {
  it.each([
    ['08006', 'unavailable'], // the connection broke
    ['', 'unavailable'], // it did not answer
    ['42883', 'internal_error'], // no such function: our error
  ])('that fails with %j makes the answer %s', async (sqlState, code) => {
    const work: Work = () => {
      throw new DatabaseError(sqlState, 'hunter2')
    }
    const { handler, lines } = things('user-or-secret', { work })

    const response = await handler(post(valid, asUser()))

    const answered = await problem(response)
    expect(answered.code).toBe(code)
    expect(JSON.stringify(answered)).not.toContain('hunter2')
    expect(lines.join()).toContain('hunter2')
  })
})

describe('a set-up that is wrong', () => {
  it("in our settings is logged by the variable's name, without its value", async () => {
    const environment = { SUPABASE_URL: keys.supabase.url, CONNECTOR_OVERRIDES: '{"hunter2' }
    const { handler, lines } = things('user-or-secret', { environment })

    const response = await handler(post(valid, asUser()))

    expect((await problem(response)).code).toBe('internal_error')
    expect(JSON.parse(lines[0]!)).toMatchObject({ variables: ['CONNECTOR_OVERRIDES'] })
    expect(lines.join()).not.toContain('hunter2')
  })

  it('in the keys is logged, and the answer says nothing', async () => {
    const supabase = { ...keys.supabase, secretKeys: {} }
    const { handler, lines } = things('user-or-secret', { supabase })

    const response = await handler(post(valid, { apikey: 'sb_secret_test' }))

    expect((await problem(response)).code).toBe('internal_error')
    expect(lines.join()).toContain('SUPABASE_SECRET_KEYS')
  })

  it('with keys that cannot be fetched now is unavailable', async () => {
    const jwks = new URL('http://127.0.0.1:9/jwks.json')
    const { handler } = things('user-or-secret', { supabase: { ...keys.supabase, jwks } })

    const response = await handler(post(valid, asUser()))

    expect((await problem(response)).code).toBe('unavailable')
  })
})

describe('routes', () => {
  const answer = (name: string) => () => Promise.resolve(new Response(name))
  const handler = routes({
    'POST /': answer('root'),
    'POST /connect': answer('connect'),
    'GET /connect': answer('list'),
    'POST /deep/er': answer('deeper'),
  })
  const call = (method: string, path: string) =>
    handler(new Request(`http://localhost${path}`, { method }))

  it.each([
    ['POST', '/things', 'root'],
    ['POST', '/things/', 'root'],
    ['POST', '/things/connect', 'connect'],
    ['GET', '/things/connect?x=1', 'list'],
    ['POST', '/things/deep/er', 'deeper'],
  ])(
    '%s %s is %s, whatever the function is called',
    async (method, path, name) => {
      expect(await (await call(method, path)).text()).toBe(name)
    },
  )

  it.each(['/things/unknown', '/things/connect/more', '/things/__proto__', '/things/constructor'])(
    'know nothing at %s',
    async (path) => {
      const response = await call('POST', path)

      expect(response.status).toBe(404)
      expect((await problem(response)).code).toBe('not_found')
    },
  )

  it('name the methods of a known path when another is used', async () => {
    const response = await call('DELETE', '/things/connect')

    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST, GET, OPTIONS')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('answer a preflight anywhere', async () => {
    expect((await call('OPTIONS', '/things/unknown')).status).toBe(204)
  })
})
