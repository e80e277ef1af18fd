import { type AddressInfo, createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import type { ProviderAnswer } from '../../../supabase/functions/_shared/http/answer.ts'
import type { Grant, RequestBudget } from '../../../supabase/functions/_shared/http/budget.ts'
import {
  createHttpClient,
  type HttpClientOptions,
} from '../../../supabase/functions/_shared/http/client.ts'
import type { HttpRequest } from '../../../supabase/functions/_shared/http/request.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { answering, loopbackServer } from '../../support/loopback-server.ts'

const silent = createLog({}, () => {})

function testClient(options: HttpClientOptions = {}) {
  const clock = fakeClock('2026-11-20T09:00:00Z')
  const client = createHttpClient({
    allowPrivateNetworks: true, // the platform in these tests listens on loopback
    clock,
    random: () => 0.5,
    log: silent,
    ...options,
  })
  return { client, clock }
}

async function failureOf(sending: Promise<unknown>): Promise<AppError> {
  const error = await sending.then(() => undefined, (error) => error)
  expect(error).toBeInstanceOf(AppError)
  return error
}

describe('a good answer', () => {
  it('arrives with status, headers, address, text and JSON', async () => {
    const server = await loopbackServer(answering(201, { 'x-total': '3' }, '{"id":"1"}'))
    const { client } = testClient()

    const response = await client.send({ url: `${server.url}/products?page=2` })

    expect(response.status).toBe(201)
    expect(response.headers.get('x-total')).toBe('3')
    expect(response.url).toBe(`${server.url}/products?page=2`)
    expect(response.text).toBe('{"id":"1"}')
    expect(response.json()).toEqual({ id: '1' })
  })

  it('arrives as bytes too, whatever they are', async () => {
    const content = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00])
    const server = await loopbackServer((_request, response) => response.end(content))

    const { bytes } = await testClient().client.send({ url: server.url })

    expect([...bytes]).toEqual([...content])
  })

  it('was asked for with the method, headers and body given, and with our name', async () => {
    const server = await loopbackServer(answering(200))
    const { client } = testClient()

    await client.send({
      method: 'post',
      url: server.url,
      headers: { 'content-type': 'text/csv', accept: 'text/plain' },
      body: new TextEncoder().encode('a,b'),
    })

    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      body: 'a,b',
      headers: { 'content-type': 'text/csv', accept: 'text/plain', 'user-agent': 'Plugboard' },
    })
  })

  it('is unpacked', async () => {
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"id":"1"}'))
    })

    const response = await testClient().client.send({ url: server.url })

    expect(response.json()).toEqual({ id: '1' })
  })

  it('may be empty', async () => {
    const server = await loopbackServer((_request, response) => response.writeHead(204).end())

    const response = await testClient().client.send({ url: server.url })

    expect(response).toMatchObject({ status: 204, text: '' })
  })

  it.each([
    ['a web page', 'text/html; charset=utf-8', '<!doctype html><title>Maintenance</title>'],
    ['a page that claims to be JSON', 'application/json', '\n<html></html>'],
    ['half an object', 'application/json', '{"id":'],
    ['nothing', 'application/json', ''],
  ])('that is %s is refused when its JSON is read', async (_what, type, body) => {
    const server = await loopbackServer(answering(200, { 'content-type': type }, body))

    const response = await testClient().client.send({ url: server.url })

    expect(() => response.json()).toThrow(expect.objectContaining({ code: 'provider_bad_answer' }))
  })
})

describe('an answer that says no', () => {
  it.each([
    [400, 'provider_rejected'],
    [401, 'provider_unauthorized'],
    [403, 'provider_forbidden'],
    [404, 'provider_not_found'],
    [409, 'provider_rejected'],
    [410, 'provider_not_found'],
    [422, 'provider_rejected'],
    [304, 'provider_bad_answer'],
  ])('%i is %s and is not sent again, since it cannot improve', async (status, code) => {
    const server = await loopbackServer((_request, response) => response.writeHead(status).end())
    const { client } = testClient()

    const error = await failureOf(client.send({ url: server.url }))

    expect(error.code).toBe(code)
    expect(server.requests).toHaveLength(1)
  })

  it('keeps status and a short excerpt as the cause', async () => {
    const server = await loopbackServer(answering(400, {}, `no such filter ${'x'.repeat(10_000)}`))

    const error = await failureOf(testClient().client.send({ url: server.url }))
    const cause = error.cause as ProviderAnswer

    expect(cause.status).toBe(400)
    expect(cause.excerpt).toMatch(/^no such filter x+$/)
    expect(cause.excerpt.length).toBe(300)
  })

  it('never keeps credentials, even when the platform repeats them', async () => {
    const server = await loopbackServer((request, response) => {
      const sent = JSON.stringify(request.headers)
      response.writeHead(401).end(`${sent} ${request.url} hunter2-in-the-body`)
    })
    const lines: string[] = []
    const log = createLog({}, (line) => lines.push(line))

    const error = await failureOf(
      testClient({ log }).client.send({
        method: 'POST',
        url: `${server.url}/token?api_key=hunter2-in-the-query`,
        headers: { 'x-api-key': 'hunter2-in-a-header' },
        body: 'client_id=app&client_secret=hunter2-in-the-body',
        authorize: ({ headers }) => {
          headers.set('authorization', `Basic ${btoa('app:hunter2-in-basic')}`)
          headers.set('x-shop', 'hunter2-by-authorize')
        },
      }),
    )
    log.error('x', { error })

    const cause = error.cause as ProviderAnswer
    expect(cause.excerpt).toContain('[redacted]')
    expect(`${cause.message} ${error.detail} ${lines}`).not.toMatch(/hunter2|aHVudGVyMg|YXBwOmh1/)
  })
})

describe('retries', () => {
  it('wait exactly as long as Retry-After asks, then succeed', async () => {
    const server = await loopbackServer(answering(429, { 'retry-after': '7' }), answering(200))
    const { client, clock } = testClient()

    const response = await client.send({ url: server.url })

    expect(response.status).toBe(200)
    expect(clock.slept).toEqual([7_000])
  })

  it('understand a date in Retry-After', async () => {
    const date = 'Fri, 20 Nov 2026 09:00:30 GMT'
    const server = await loopbackServer(answering(429, { 'retry-after': date }), answering(200))
    const { client, clock } = testClient()

    await client.send({ url: server.url })

    expect(clock.slept).toEqual([30_000])
  })

  it('back off with jitter after 429 without Retry-After, up to four sends', async () => {
    const server = await loopbackServer(answering(429))
    const { client, clock } = testClient()

    const error = await failureOf(client.send({ url: server.url }))

    expect(error.code).toBe('provider_rate_limited')
    expect(server.requests).toHaveLength(4)
    expect(clock.slept).toEqual([125, 250, 500])
  })

  it('do not sit out a Retry-After longer than allowed but say when', async () => {
    const server = await loopbackServer(answering(429, { 'retry-after': '61' }))
    const { client, clock } = testClient()

    const error = await failureOf(client.send({ url: server.url }))

    expect(error).toMatchObject({ code: 'provider_rate_limited', retryAfterMs: 61_000 })
    expect(clock.slept).toEqual([])
  })

  it('take 403 with Retry-After for throttling, and without for a refusal', async () => {
    const server = await loopbackServer(answering(403, { 'retry-after': '2' }), answering(403))
    const { client, clock } = testClient()

    const error = await failureOf(client.send({ url: server.url }))

    expect(error.code).toBe('provider_forbidden')
    expect(clock.slept).toEqual([2_000])
  })

  it.each([500, 502, 503, 504, 408, 425])('pass over a %i', async (status) => {
    const server = await loopbackServer(answering(status), answering(200))

    const response = await testClient().client.send({ url: server.url })

    expect(response.status).toBe(200)
  })

  it.each([
    ['POST', undefined, 1],
    ['PATCH', undefined, 1],
    ['POST', true, 4],
    ['PUT', undefined, 4],
    ['DELETE', undefined, 4],
    ['GET', false, 1],
  ])(
    '%s with repeatable %s is sent %i times when nobody knows what became of it',
    async (method, repeatable, count) => {
      const server = await loopbackServer(answering(500))

      const error = await failureOf(
        testClient().client.send({ method, url: server.url, repeatable }),
      )

      expect(error.code).toBe('provider_unavailable')
      expect(server.requests).toHaveLength(count)
    },
  )

  it('send a POST again after 429, which was not carried out', async () => {
    const server = await loopbackServer(answering(429, { 'retry-after': '1' }), answering(200))

    await testClient().client.send({ method: 'POST', url: server.url, body: 'order=1' })

    expect(server.requests.map(({ body }) => body)).toEqual(['order=1', 'order=1'])
  })

  it('ask for fresh credentials each time', async () => {
    const server = await loopbackServer(answering(500), answering(200))
    let signed = 0
    const authorize: HttpRequest['authorize'] = ({ headers }) => {
      headers.set('authorization', `Signature ${++signed}`)
    }

    await testClient().client.send({ url: server.url, authorize })

    expect(server.requests.map(({ headers }) => headers.authorization))
      .toEqual(['Signature 1', 'Signature 2'])
  })

  it('say in the log what they wait for', async () => {
    const server = await loopbackServer(answering(500), answering(200))
    const lines: string[] = []
    const log = createLog({}, (line) => lines.push(line))

    await testClient({ log }).client.send({ url: server.url })

    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', wait_ms: 125, error: { code: 'provider_unavailable' } },
    ])
  })
})

describe('a connection that fails', () => {
  it('refused: provider_unavailable', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))

    const error = await failureOf(testClient().client.send({ url: `http://127.0.0.1:${port}` }))

    expect(error.code).toBe('provider_unavailable')
  })

  it('cut in the middle of the body: sent again', async () => {
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"half":', () => response.destroy())
    }, answering(200, {}, '{"whole":true}'))

    const response = await testClient().client.send({ url: server.url })

    expect(response.json()).toEqual({ whole: true })
  })

  it('cut in the middle of a chunked body, every time: provider_unavailable', async () => {
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200)
      response.write('{"half":', () => response.destroy())
    })

    const error = await failureOf(testClient().client.send({ url: server.url }))

    expect(error.code).toBe('provider_unavailable')
    expect(server.requests).toHaveLength(4)
  })

  it('reset while it is kept open between calls: the next call is sent again', async () => {
    const server = await loopbackServer(
      answering(200),
      (request) => request.socket.resetAndDestroy(),
      answering(200, {}, '{"again":true}'),
    )
    const { client } = testClient()

    await client.send({ url: server.url })
    const response = await client.send({ url: server.url })

    expect(response.json()).toEqual({ again: true })
  })

  it('silent: provider_timeout', async () => {
    const server = await loopbackServer(() => {})
    const { client } = testClient({ timeoutMs: 60, maxAttempts: 2 })

    const error = await failureOf(client.send({ url: server.url }))

    expect(error.code).toBe('provider_timeout')
    expect(server.requests).toHaveLength(2)
  })

  it('dripping, so that each byte is in time and the whole is not: provider_timeout', async () => {
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200)
      const drip = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(drip))
    })
    const { client } = testClient({ maxAttempts: 1 })

    const error = await failureOf(client.send({ url: server.url, timeoutMs: 100 }))

    expect(error.code).toBe('provider_timeout')
  })

  it('a name server that never answers: provider_timeout', async () => {
    const { client } = testClient({
      allowPrivateNetworks: false,
      resolve: () => new Promise(() => {}),
      timeoutMs: 30,
      maxAttempts: 1,
    })

    const error = await failureOf(client.send({ url: 'https://api.example.com' }))

    expect(error.code).toBe('provider_timeout')
  })
})

describe('an answer that is too large', () => {
  it('by what it announces is not read at all', async () => {
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200, { 'content-length': '1001' }).flushHeaders()
    })
    const { client } = testClient({ maxResponseBytes: 1_000 })

    const error = await failureOf(client.send({ url: server.url }))

    expect(error.code).toBe('provider_answer_too_large')
    expect(server.requests).toHaveLength(1)
  })

  it('without an announcement is cut off while it comes, and one at the limit is not', async () => {
    const sending = (bytes: number) =>
      loopbackServer((_request, response) => {
        response.writeHead(200)
        response.write('x'.repeat(500))
        response.end('x'.repeat(bytes - 500))
      })
    const { client } = testClient({ maxResponseBytes: 1_000 })

    const error = await failureOf(client.send({ url: (await sending(1_001)).url }))
    const response = await client.send({ url: (await sending(1_000)).url })

    expect(error.code).toBe('provider_answer_too_large')
    expect(response.text).toHaveLength(1_000)
  })

  it('only once it is unpacked is refused too', async () => {
    const packed = gzipSync(Buffer.alloc(5_000_000))
    const server = await loopbackServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)
    })
    const { client } = testClient({ maxResponseBytes: 1_000_000 })

    const error = await failureOf(client.send({ url: server.url }))

    expect(packed.byteLength).toBeLessThan(10_000)
    expect(error.code).toBe('provider_answer_too_large')
  })
})

describe('a body that nobody reads', () => {
  it.each<[string, ResponseInit]>([
    ['of a redirect', { status: 302, headers: { location: 'https://elsewhere.example/' } }],
    ['of an answer that announces too much', { headers: { 'content-length': '99999999' } }],
  ])('%s is cancelled, which frees its connection', async (_what, init) => {
    const cancel = vi.fn()
    const fetch = () => Promise.resolve(new Response(new ReadableStream({ cancel }), init))

    await failureOf(testClient({ fetch }).client.send({ url: 'https://api.example.com' }))

    expect(cancel).toHaveBeenCalledOnce()
  })
})

describe('redirects', () => {
  it('within the host are followed with the credentials', async () => {
    const server = await loopbackServer(answering(307, { location: '/v3?page=1' }), answering(200))
    const authorize: HttpRequest['authorize'] = ({ url, headers }) => {
      headers.set('authorization', `Signature for ${new URL(url).pathname}`)
    }

    const response = await testClient().client.send({ url: `${server.url}/v2`, authorize })

    expect(response.url).toBe(`${server.url}/v3?page=1`)
    expect(server.requests.map(({ headers }) => headers.authorization))
      .toEqual(['Signature for /v2', 'Signature for /v3'])
  })

  it('to another host are refused, and that host hears nothing', async () => {
    const other = await loopbackServer(answering(200))
    const server = await loopbackServer(answering(302, { location: other.url }))

    const error = await failureOf(testClient().client.send({ url: server.url }))

    expect(error.code).toBe('provider_redirect_refused')
    expect(other.requests).toEqual([])
  })

  it('to another host are followed for public files', async () => {
    const other = await loopbackServer(answering(200, {}, 'the file'))
    const server = await loopbackServer(answering(302, { location: `${other.url}/file` }))

    const response = await testClient().client.send({ url: server.url, redirects: 'any host' })

    expect(response.url).toBe(`${other.url}/file`)
    expect(response.text).toBe('the file')
  })

  it.each<[string, Partial<HttpRequest>]>([
    ['authorize', { authorize: () => {} }],
    ['a header', { headers: { 'X-Api-Key': 'secret' } }],
    ['a body', { body: 'client_secret=secret' }],
  ])('to any host are a mistake of ours beside %s', async (_what, parts) => {
    const server = await loopbackServer(answering(200))
    const { client } = testClient()

    await expect(client.send({ url: server.url, redirects: 'any host', ...parts })).rejects
      .toThrow(TypeError)
    expect(server.requests).toEqual([])
  })

  it('of a POST are refused', async () => {
    const server = await loopbackServer(answering(307, { location: '/v3' }))

    const error = await failureOf(testClient().client.send({ method: 'POST', url: server.url }))

    expect(error.code).toBe('provider_redirect_refused')
    expect(server.requests).toHaveLength(1)
  })

  it('in a circle end after five', async () => {
    const server = await loopbackServer(answering(302, { location: '/again' }))

    const error = await failureOf(testClient().client.send({ url: server.url }))

    expect(error.code).toBe('provider_redirect_refused')
    expect(server.requests).toHaveLength(6)
  })
})

describe('the private-network guard', () => {
  it('stands before every call unless a local setting takes it away', async () => {
    const server = await loopbackServer(answering(200))
    const guarded = testClient({ allowPrivateNetworks: false }).client

    const error = await failureOf(guarded.send({ url: server.url }))
    const response = await testClient().client.send({ url: server.url })

    expect(error.code).toBe('private_network_refused')
    expect(server.requests).toHaveLength(1)
    expect(response.status).toBe(200)
  })

  it('asks again at a redirect, since the name may lead elsewhere by then', async () => {
    const addresses = [['93.184.216.34'], ['127.0.0.1']]
    const fetch = vi.fn(() =>
      Promise.resolve(new Response(null, { status: 302, headers: { location: '/next' } }))
    )
    const { client } = testClient({
      allowPrivateNetworks: false,
      fetch,
      resolve: () => Promise.resolve(addresses.shift() ?? []),
    })

    const error = await failureOf(client.send({ url: 'https://api.example.com' }))

    expect(error.code).toBe('private_network_refused')
    expect(fetch).toHaveBeenCalledOnce()
  })
})

describe('the private-network guard, where any host may be redirected to', () => {
  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://localhost:5432/',
    'http://[::1]/',
    'https://inside.example/',
    'file:///etc/passwd',
  ])('refuses to be sent on to %s', async (location) => {
    const fetch = vi.fn(() =>
      Promise.resolve(new Response(null, { status: 302, headers: { location } }))
    )
    const { client } = testClient({
      allowPrivateNetworks: false,
      fetch,
      resolve: (host) =>
        Promise.resolve([host === 'inside.example' ? '10.0.0.7' : '93.184.216.34']),
    })

    const error = await failureOf(
      client.send({ url: 'http://images.example/a.png', redirects: 'any host' }),
    )

    expect(error.code).toBe('private_network_refused')
    expect(fetch).toHaveBeenCalledOnce()
  })
})

describe('credentials that cannot be sent', () => {
  it.each(['line\nbreak', 'snowman ☃'])(
    "%j is the owner's to correct and is not quoted",
    async (key) => {
      const server = await loopbackServer(answering(200))

      const error = await failureOf(
        testClient().client.send({ url: server.url, headers: { 'x-api-key': key } }),
      )

      expect(error).toMatchObject({ code: 'invalid_credentials', cause: undefined })
      expect(error.detail).not.toContain(key)
      expect(server.requests).toEqual([])
    },
  )
})

describe('cancelling', () => {
  it('ends a call that is under way', async () => {
    const stop = new AbortController()
    const server = await loopbackServer(() => stop.abort())

    const error = await failureOf(
      testClient({ signal: stop.signal }).client.send({ url: server.url }),
    )

    expect(error.code).toBe('unavailable')
    expect(server.requests).toHaveLength(1)
  })

  it('ends the wait before the next try', async () => {
    const stop = new AbortController()
    const server = await loopbackServer((request, response) => {
      answering(500)(request, response)
      response.on('close', () => stop.abort())
    })
    const sleep = (_ms: number, signal?: AbortSignal) => systemClock.sleep(60_000, signal)
    const clock = { ...systemClock, sleep }
    const { client } = testClient({ signal: stop.signal, clock })

    const error = await failureOf(
      client.send({ url: server.url, headers: { connection: 'close' } }),
    )

    expect(error.code).toBe('unavailable')
  })

  it('sends nothing once it has happened', async () => {
    const server = await loopbackServer(answering(200))

    const error = await failureOf(
      testClient({ signal: AbortSignal.abort() }).client.send({ url: server.url }),
    )

    expect(error.code).toBe('unavailable')
    expect(server.requests).toEqual([])
  })
})

describe('the request budget', () => {
  function scriptedBudget(...grants: Grant[]) {
    const reports: unknown[][] = []
    const budget: RequestBudget = {
      acquire: () => Promise.resolve(grants.length > 1 ? grants.shift()! : grants[0]!),
      report: (outcome, retryAfterMs) => {
        reports.push([outcome, retryAfterMs])
        return Promise.resolve()
      },
    }
    return { budget, reports }
  }
  const closed: Grant = { wait_ms: 0, circuit: 'closed' }

  it('makes a call wait its turn', async () => {
    const server = await loopbackServer(answering(200))
    const { budget, reports } = scriptedBudget({ wait_ms: 240, circuit: 'closed' })
    const { client, clock } = testClient({ budget })

    await client.send({ url: server.url })

    expect(clock.slept).toEqual([240])
    expect(reports).toEqual([]) // a good call costs one round trip
  })

  it('gives another turn to whoever slept through theirs: what woke together would call together', async () => {
    const server = await loopbackServer(answering(200))
    const { budget } = scriptedBudget({ wait_ms: 240, circuit: 'closed' }, {
      wait_ms: 110,
      circuit: 'closed',
    })
    const { client, clock } = testClient({ budget })
    const sleep = clock.sleep
    const lateBy = [30_000, 100]
    clock.sleep = async (ms, signal) => {
      await sleep(ms, signal)
      clock.advance(lateBy.shift()!)
    }

    await client.send({ url: server.url })

    expect(clock.slept).toEqual([240, 110])
    expect(server.requests).toHaveLength(1)
  })

  it('is told how long we would wait at most, so that no turn is taken in vain', async () => {
    const server = await loopbackServer(answering(200))
    const { budget } = scriptedBudget(closed)
    const acquire = vi.spyOn(budget, 'acquire')

    await testClient({ budget, maxRetryAfterMs: 5_000 }).client.send({ url: server.url })

    expect(acquire).toHaveBeenCalledWith(expect.objectContaining({ maxWaitMs: 5_000 }))
  })

  it('that asks for a longer wait than allowed ends the call at once', async () => {
    const server = await loopbackServer(answering(200))
    const { budget } = scriptedBudget({ wait_ms: 60_001, circuit: 'closed' })
    const { client, clock } = testClient({ budget })

    const error = await failureOf(client.send({ url: server.url }))

    expect(error).toMatchObject({ code: 'provider_rate_limited', retryAfterMs: 60_001 })
    expect(clock.slept).toEqual([])
    expect(server.requests).toEqual([])
  })

  it('with an open circuit refuses without a call', async () => {
    const server = await loopbackServer(answering(200))
    const { budget, reports } = scriptedBudget({
      wait_ms: 0,
      circuit: 'open',
      retry_after_ms: 5_000,
    })

    const error = await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(error).toMatchObject({ code: 'circuit_open', retryAfterMs: 5_000 })
    expect(server.requests).toEqual([])
    expect(reports).toEqual([])
  })

  it('hears once of a call that failed, however often it was tried', async () => {
    const server = await loopbackServer(answering(500))
    const { budget, reports } = scriptedBudget(closed)

    await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(server.requests).toHaveLength(4)
    expect(reports).toEqual([['failure', undefined]])
  })

  it('hears nothing of a failure that the next try cured', async () => {
    const server = await loopbackServer(answering(500), answering(200))
    const { budget, reports } = scriptedBudget(closed)

    await testClient({ budget }).client.send({ url: server.url })

    expect(reports).toEqual([])
  })

  it('hears of every 429, so that all who call the account slow down', async () => {
    const server = await loopbackServer(
      answering(429, { 'retry-after': '7' }),
      answering(429),
      answering(200),
    )
    const { budget, reports } = scriptedBudget(closed)

    await testClient({ budget }).client.send({ url: server.url })

    expect(reports).toEqual([['throttled', 7_000], ['throttled', undefined]])
  })

  it('hears that a half-open circuit may close', async () => {
    const server = await loopbackServer(answering(200))
    const { budget, reports } = scriptedBudget({ wait_ms: 0, circuit: 'half_open' })

    await testClient({ budget }).client.send({ url: server.url })

    expect(reports).toEqual([['success', undefined]])
  })

  it('takes a refusal for a sign of life when the circuit is half open', async () => {
    const server = await loopbackServer(answering(404))
    const { budget, reports } = scriptedBudget({ wait_ms: 0, circuit: 'half_open' })

    await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(reports).toEqual([['success', undefined]])
  })

  it('lets a half-open circuit decide by one call', async () => {
    const server = await loopbackServer(answering(500))
    const { budget, reports } = scriptedBudget({ wait_ms: 0, circuit: 'half_open' })

    await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(server.requests).toHaveLength(1)
    expect(reports).toEqual([['failure', undefined]])
  })

  it('hears of the failure also when the circuit opens before the next try', async () => {
    const server = await loopbackServer(answering(500))
    const { budget, reports } = scriptedBudget(closed, { wait_ms: 0, circuit: 'open' })

    const error = await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(error.code).toBe('circuit_open')
    expect(reports).toEqual([['failure', undefined]])
  })

  it('hears of no failure when the last try was answered', async () => {
    const server = await loopbackServer(answering(500), answering(429, { 'retry-after': '61' }))
    const { budget, reports } = scriptedBudget(closed)

    await failureOf(testClient({ budget }).client.send({ url: server.url }))

    expect(reports).toEqual([['throttled', 61_000]])
  })

  it('that cannot be told does not spoil a good answer', async () => {
    const server = await loopbackServer(answering(200))
    const budget: RequestBudget = {
      acquire: () => Promise.resolve({ wait_ms: 0, circuit: 'half_open' }),
      report: () => Promise.reject(new Error('database gone')),
    }
    const lines: string[] = []
    const log = createLog({}, (line) => lines.push(line))

    const response = await testClient({ budget, log }).client.send({ url: server.url })

    expect(response.status).toBe(200)
    expect(lines.join()).toContain('database gone')
  })

  it('is asked again for each try', async () => {
    const server = await loopbackServer(answering(500), answering(200))
    const { budget } = scriptedBudget(closed)
    const acquire = vi.spyOn(budget, 'acquire')

    await testClient({ budget }).client.send({ url: server.url })

    expect(acquire).toHaveBeenCalledTimes(2)
  })
})
