import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createPinnedCaller,
  type PinnedCaller,
  type PinnedRequest,
} from '../../../supabase/functions/_shared/http/pinned-call.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { type Answer, scriptedServer } from '../../support/scripted-server.ts'

const certificates = makeCertificates(['DNS:hooks.example.com'])

const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** Writes one piece each time the one before has left, a few milliseconds apart, for as long as anybody listens. */
function drip(socket: Socket, pieces: Iterable<string>, everyMs = 5) {
  const rest = pieces[Symbol.iterator]()
  const timer = setInterval(() => {
    const { done, value } = rest.next()
    if (done || socket.destroyed) return clearInterval(timer)
    socket.write(value)
  }, everyMs)
  socket.once('close', () => clearInterval(timer))
}

function* forever(piece: string) {
  for (;;) yield piece
}

// The same promises hold on a local stack, over http to loopback, as out in the world.
describe.each(['to a pinned address', 'to loopback'] as const)('a call %s', (way) => {
  async function serving(answer: Answer) {
    const isPinned = way === 'to a pinned address'
    const server = await scriptedServer(answer, isPinned ? certificates : undefined)
    const caller: PinnedCaller = isPinned
      ? createPinnedCaller({
        ca: [certificates.ca],
        resolve: () => Promise.resolve(['93.184.216.34']),
        connect: () => connect({ host: '127.0.0.1', port: server.port, noDelay: true }),
      })
      : createPinnedCaller({ allowPrivateNetworks: true })
    closing.push(() => caller.close())
    const url = isPinned ? 'https://hooks.example.com/in' : `http://127.0.0.1:${server.port}/in`
    const call = (request: Partial<PinnedRequest> = {}) =>
      caller.call({ url, headers: {}, body: new TextEncoder().encode('{}'), ...request })
    return { server, call }
  }

  it('sends the headers and exactly the bytes of the body', async () => {
    const { server, call } = await serving((socket) => socket.write(OK))
    const body = Uint8Array.of(0, 13, 10, 13, 10, 0xff, 0xc3, 0xa9)

    await call({ body, headers: { 'Webhook-Id': 'msg_1', 'content-type': 'application/json' } })

    const [head = '', ...rest] = server.requests[0]!.split('\r\n\r\n')
    expect(head.split('\r\n').map((line) => line.toLowerCase()).sort()).toEqual([
      'accept-encoding: identity',
      'content-length: 8',
      'content-type: application/json',
      way === 'to loopback' ? `host: 127.0.0.1:${server.port}` : 'host: hooks.example.com',
      'post /in http/1.1',
      'user-agent: plugboard',
      'webhook-id: msg_1',
    ])
    expect(rest.join('\r\n\r\n')).toBe('\0\r\n\r\n\xff\xc3\xa9')
  })

  it('frames the message itself, whatever headers are given', async () => {
    const { server, call } = await serving((socket) => socket.write(OK))

    await call({
      headers: {
        Host: 'other.example.com',
        'Content-Length': '99',
        'Transfer-Encoding': 'chunked',
        Connection: 'close',
        'Accept-Encoding': 'gzip',
        'User-Agent': 'Shop/1',
      },
    })
    await call()

    expect(server.requests[0]).toMatch(/\r\ncontent-length: 2\r\n/)
    expect(server.requests[0]).toMatch(/\r\nuser-agent: Shop\/1\r\n/)
    // the port is the system's choice, and may have a 99 of its own
    expect(server.requests[0]?.replace(`:${server.port}`, ''))
      .not.toMatch(/other\.example\.com|99|chunked|close|gzip/)
    expect(server.connectionCount).toBe(1)
  })

  it('answers the status, the headers and the body as text', async () => {
    const { call } = await serving((socket) =>
      socket.write(
        'HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ncaf\u00e9',
      )
    )

    const answer = await call()

    expect(answer).toEqual({
      ok: true,
      status: 503,
      headers: expect.any(Headers),
      answer: 'café',
      isWhole: true,
      latencyMs: expect.any(Number),
    })
    expect(answer.ok && Object.fromEntries(answer.headers)).toEqual({
      'retry-after': '120',
      'content-type': 'text/plain',
      'content-length': '5',
    })
  })

  it.each([
    ['https://127.0.0.1/', 301],
    ['http://169.254.169.254/latest/meta-data/', 302],
    ['/elsewhere', 307],
    ['//[::1]/', 308],
  ])('does not follow a redirect to %s, which is its status', async (location, status) => {
    const { server, call } = await serving((socket) =>
      socket.write(`HTTP/1.1 ${status} Moved\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`)
    )

    expect(await call()).toMatchObject({ ok: true, status, answer: '' })
    expect(server.requests).toHaveLength(1)
  })

  it('answers text that Postgres takes, whatever the bytes are', async () => {
    const { call } = await serving((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n')
      socket.write(Uint8Array.of(0x61, 0, 0xff, 0x62, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0x63))
    })

    const answer = await call()

    expect(answer.ok && answer.answer).toBe('a\ufffd\ufffdb\ufffd\ufffd\ufffd\ufffdc')
  })

  it('cuts a text between two characters', async () => {
    const { call } = await serving((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n\u00e9\u00e9\u00e9\u00e9')
    )

    expect(await call({ maxAnswerBytes: 5 })).toMatchObject({ answer: 'éé', isWhole: false })
  })

  it('has no text of an answer that is compressed unasked', async () => {
    const { call } = await serving((socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x08x',
      )
    )

    expect(await call()).toMatchObject({ ok: true, status: 200, answer: '' })
  })

  it.each([
    ['a length', 'content-length: 10485760\r\n\r\n', ''],
    ['chunks', 'transfer-encoding: chunked\r\n\r\n', '10000\r\n'],
    ['no end but the connection', '\r\n', ''],
  ])('keeps 16 KB of 10 MB with %s and closes the connection', async (_, headers, chunkSize) => {
    const closed = Promise.withResolvers<number>()
    const { call } = await serving((socket) => {
      socket.once('close', () => closed.resolve(socket.bytesWritten))
      socket.write(`HTTP/1.1 200 OK\r\n${headers}`)
      const chunk = `${chunkSize}${'x'.repeat(0x10000)}${chunkSize && '\r\n'}`
      drip(socket, Array(160).fill(chunk), 0)
    })

    const answer = await call()

    expect(answer).toMatchObject({ ok: true, status: 200, isWhole: false })
    expect(answer.ok && answer.answer).toBe('x'.repeat(16_384))
    expect(await closed.promise).toBeLessThan(10_000_000)
  })

  it('gives up a server that says nothing', async () => {
    const { call } = await serving(() => {})

    const answer = await call({ timeoutMs: 80 })

    expect(answer).toMatchObject({
      ok: false,
      code: 'timed_out',
      reason: 'The server did not answer in time: nothing within 0.08 s.',
    })
    expect(answer.latencyMs).toBeGreaterThanOrEqual(79)
  })

  it('gives up headers that come byte by byte, each in time by itself', async () => {
    const { call } = await serving((socket) =>
      drip(socket, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(500)}`)
    )

    expect(await call({ timeoutMs: 100 })).toMatchObject({ ok: false, code: 'timed_out' })
  })

  it('takes an answer that comes byte by byte and ends in time', async () => {
    const { call } = await serving((socket) => drip(socket, OK, 1))

    expect(await call()).toMatchObject({ ok: true, status: 200, answer: 'ok', isWhole: true })
  })

  it.each([
    ['comes byte by byte', () => forever('x')],
    ['stops', () => []],
  ])('takes the status of an answer whose body %s and does not end in time', async (_, pieces) => {
    const { call } = await serving((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nx')
      drip(socket, pieces())
    })

    const answer = await call({ timeoutMs: 500 })

    expect(answer).toMatchObject({ ok: true, status: 200, isWhole: false })
    expect(answer.ok && answer.answer).toMatch(/^x+$/)
  })

  it.each([
    ['resets the connection', (_: Socket, reset: () => void) => reset()],
    ['closes the connection', (socket: Socket) => void socket.end()],
    [
      'breaks off within its headers',
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nx: '),
    ],
  ])('a server that %s has not answered', async (_, answer) => {
    const { server, call } = await serving(answer)

    expect(await call()).toMatchObject({ ok: false, code: 'connection_reset' })
    expect(server.requests).toHaveLength(1)
  })

  it('a server that breaks off within its body has answered its status', async () => {
    const { call } = await serving((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart')
    )

    expect(await call()).toMatchObject({ ok: true, status: 200, answer: 'part', isWhole: false })
  })

  it.each([
    ['length is given twice', 'content-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
    ['length is negative', 'content-length: -1\r\n\r\nxx'],
    ['chunk has no length', 'transfer-encoding: chunked\r\n\r\nxx\r\n'],
    ['chunk is longer than it says', 'transfer-encoding: chunked\r\n\r\n1\r\nxx\r\n'],
  ])('takes the status of an answer whose %s, and not its connection', async (_, rest) => {
    const { server, call } = await serving((socket) => socket.write(`HTTP/1.1 200 OK\r\n${rest}`))

    expect(await call()).toMatchObject({ ok: true, status: 200, isWhole: false })
    expect(await call()).toMatchObject({ ok: true, status: 200, isWhole: false })
    expect(server.connectionCount).toBe(2)
  })

  it('answers while the server leaves most of the request unread', async () => {
    const { call } = await serving((socket) => socket.end(OK))
    const body = new Uint8Array(4_000_000)

    expect(await call({ body })).toMatchObject({ ok: true, status: 200 })
  })

  it('ends at once when the caller cancels', async () => {
    const cancel = new AbortController()
    const { call } = await serving(() => cancel.abort())

    expect(await call({ signal: cancel.signal })).toMatchObject({ ok: false, code: 'cancelled' })
    expect(await call({ signal: cancel.signal })).toMatchObject({ ok: false, code: 'cancelled' })
  })

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', 'it is not HTTP'],
    ['a web page without a head', '<html></html>', 'it is not HTTP'],
    [
      'headers without an end',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`,
      'its headers have no end',
    ],
    [
      'another protocol to go on with',
      'HTTP/1.1 101 Go\r\nupgrade: websocket\r\n\r\n',
      'leave HTTP',
    ],
  ])('%s is no answer', async (_, bytes, reason) => {
    const { call } = await serving((socket) => socket.write(bytes))

    expect(await call()).toMatchObject({
      ok: false,
      code: 'bad_answer',
      reason: expect.stringContaining(reason),
    })
  })

  it('uses a connection again, one after the other', async () => {
    const { server, call } = await serving((socket) => socket.write(OK))

    for (let count = 0; count < 5; count++) {
      expect(await call()).toMatchObject({ ok: true, answer: 'ok' })
    }

    expect(server.requests).toHaveLength(5)
    expect(server.connectionCount).toBe(1)
  })

  it('has a connection for each call that is under way', async () => {
    const waiting: Socket[] = []
    const { server, call } = await serving((socket) => {
      if (waiting.push(socket) === 3) { for (const each of waiting) each.write(OK) }
    })

    const answers = await Promise.all([call(), call(), call()])

    expect(answers.map((answer) => answer.ok && answer.status)).toEqual([200, 200, 200])
    expect(server.connectionCount).toBe(3)
  })

  it.each([
    ['says that it closes', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'],
    [
      'keeps connections for a second',
      'HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n',
    ],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['sends a second answer unasked', `${OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`],
    ['sends a line that is no header', 'HTTP/1.1 200 OK\r\nno header\r\ncontent-length: 0\r\n\r\n'],
    [
      'says both length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('leaves the connection to a server that %s', async (_, bytes) => {
    const { server, call } = await serving((socket) => socket.write(bytes))

    const answers = [await call(), await call()]

    expect(answers.map((answer) => answer.ok && answer.status)).toEqual([200, 200])
    expect(answers.map((answer) => answer.ok && answer.answer)).not.toContain('evil')
    expect(server.connectionCount).toBe(2)
  })

  it('takes a new connection when the server has just closed the one that waited', async () => {
    const { server, call } = await serving((socket, reset) => {
      if (server.requests.length === 2) reset() // as if it had closed before this request came
      else socket.write(OK)
    })

    expect(await call()).toMatchObject({ ok: true, status: 200 })
    expect(await call()).toMatchObject({ ok: true, status: 200 })
    expect(server.connectionCount).toBe(2)
  })

  it('replaces one connection a call, however many wait', async () => {
    const waiting: Socket[] = []
    const { server, call } = await serving((socket, reset) => {
      if (server.requests.length > 3) return reset()
      if (waiting.push(socket) === 3) { for (const each of waiting) each.write(OK) }
    })
    await Promise.all([call(), call(), call()])

    expect(await call()).toMatchObject({ ok: false, code: 'connection_reset' })
    expect(server.requests).toHaveLength(5)
  })
})

it.each([
  ['would begin another line', { 'x-team': 'one\r\nhost: other' }],
  ['would begin another line by its name', { 'x-team: one\r\nhost': 'other' }],
  ['holds NUL', { 'x-team': 'one\0' }],
  ['Latin-1 does not hold', { 'x-team': 'o\u0144e' }],
  ['has a name that is none', { 'x team': 'one' }],
])('refuses to send a header that %s', async (_, headers) => {
  const server = await scriptedServer((socket) => socket.write(OK))
  const caller = createPinnedCaller({ allowPrivateNetworks: true })
  closing.push(() => caller.close())
  const url = `http://127.0.0.1:${server.port}/`
  const call = (headers: Record<string, string>) =>
    caller.call({ url, headers, body: new Uint8Array() })

  await expect(call(headers)).rejects.toThrow(TypeError)
  expect(await call({ 'X-Team': '\t one \xe9\xa0 ' })).toMatchObject({ ok: true })
  expect(server.requests).toEqual([expect.stringContaining('\r\nx-team: one \xe9\xa0\r\n')])
})

it('a server that nobody runs refuses the connection', async () => {
  const server = await scriptedServer((socket) => socket.write(OK))
  const caller = createPinnedCaller({
    allowPrivateNetworks: true,
    connect: () => connect({ host: '127.0.0.1', port: 1 }),
  })
  closing.push(() => caller.close())

  const answer = await caller.call({
    url: `http://127.0.0.1:${server.port}/`,
    headers: {},
    body: new Uint8Array(),
  })

  expect(answer).toEqual({
    ok: false,
    code: 'connection_refused',
    reason: 'The server refused the connection.',
    latencyMs: expect.any(Number),
  })
})

it('a server that does not speak TLS gets no request', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end('220 mail ready\r\n'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  closing.push(() => server.close())
  const { port } = server.address() as AddressInfo
  const caller = createPinnedCaller({
    resolve: () => Promise.resolve(['93.184.216.34']),
    connect: () => connect({ host: '127.0.0.1', port }),
  })

  const answer = await caller.call({
    url: 'https://hooks.example.com/',
    headers: {},
    body: new Uint8Array(),
  })

  expect(answer).toMatchObject({
    ok: false,
    code: 'tls_failed',
    reason: expect.stringContaining('does not speak TLS'),
  })
})
