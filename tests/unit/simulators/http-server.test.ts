import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Fault, faults } from '../../../scripts/simulators/parts/faults.ts'
import {
  formOf,
  jsonOf,
  type SimulatorRequest,
  type SimulatorServerOptions,
  startSimulatorServer,
} from '../../../scripts/simulators/parts/http-server.ts'
import { requestLog } from '../../../scripts/simulators/parts/request-log.ts'

async function start(options: Partial<SimulatorServerOptions> = {}) {
  const injected = faults()
  const log = requestLog()
  const got: SimulatorRequest[] = []
  const server = await startSimulatorServer({
    port: 0,
    faults: injected,
    log,
    answer: (request) => {
      got.push(request)
      return { body: { path: request.url.pathname } }
    },
    control: () => ({ body: { control: true } }),
    ...options,
  })
  onTestFinished(server.stop)
  return { ...server, faults: injected, log, got }
}

/** A handler of Node's own kind at `/mounted`, which answers what it was sent. */
function echo(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
  if (!incoming.url?.startsWith('/mounted')) return false
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    outgoing.writeHead(201, { 'content-type': 'text/plain' }).end(Buffer.concat(chunks))
  })
  return true
}

describe('an answer of a simulator', () => {
  it('may have no body, and say what matters in a header', async () => {
    const { url } = await start({
      answer: () => ({ status: 201, headers: { 'x-restli-id': 'urn:li:share:1' } }),
    })

    const response = await fetch(url, { method: 'POST', body: '{}' })

    expect(response.status).toBe(201)
    expect(response.headers.get('x-restli-id')).toBe('urn:li:share:1')
    expect(response.headers.get('content-type')).toBeNull()
    expect(await response.text()).toBe('')
  })

  it('may be 204, text, bytes or JSON', async () => {
    const answers = [
      { status: 204 },
      { body: 'plain' },
      { body: Uint8Array.of(0xff, 0x00), headers: { 'content-type': 'image/png' } },
      { body: { a: 1 } },
    ]
    const { url } = await start({ answer: () => answers.shift()! })

    expect((await fetch(url)).status).toBe(204)
    expect(await (await fetch(url)).text()).toBe('plain')
    expect(await (await fetch(url)).bytes()).toEqual(Uint8Array.of(0xff, 0x00))
    expect(await (await fetch(url)).json()).toEqual({ a: 1 })
  })
})

describe('a request to a simulator', () => {
  it('is read as a form, as JSON or as bytes', async () => {
    const { url, got } = await start()
    const post = async (body: BodyInit) => await fetch(url, { method: 'POST', body })

    await post(new URLSearchParams({ grant_type: 'refresh_token', scope: 'a b' }))
    await post('{"a":1}')
    await post('not json')
    await post(Uint8Array.of(0xff, 0x00))

    expect(formOf(got[0]!)).toEqual({ grant_type: 'refresh_token', scope: 'a b' })
    expect(jsonOf(got[1]!)).toEqual({ a: 1 })
    expect(jsonOf(got[2]!)).toBeNull()
    expect([...got[3]!.bytes]).toEqual([0xff, 0x00])
  })
})

describe('a mounted handler', () => {
  it('gets its paths unread, and the platform’s routes the others', async () => {
    const { url, got, log } = await start({ mount: echo })

    const mounted = await fetch(`${url}/mounted/path`, { method: 'POST', body: 'unread' })
    const other = await fetch(`${url}/other`)
    const control = await fetch(`${url}/_control/x`)

    expect([mounted.status, await mounted.text()]).toEqual([201, 'unread'])
    expect(await other.json()).toEqual({ path: '/other' })
    expect(await control.json()).toEqual({ control: true })
    expect(got).toHaveLength(1)
    expect(log.entries.map(({ path, status }) => [path, status]))
      .toEqual([['/mounted/path', 201], ['/other', 200]])
  })
})

describe.each(['/mounted', '/own'])('a fault at %s', (path) => {
  const call = async (url: string) => await fetch(url + path, { method: 'POST', body: 'four' })

  it.each<[Fault, number]>([
    [{ kind: 'status', status: 503 }, 503],
    [{ kind: 'retry_after', retry_after: 3 }, 429],
    [{ kind: 'html' }, 200],
    [{ kind: 'slow', delay_ms: 1 }, path === '/own' ? 200 : 201],
  ])('%j is played once and logged', async (fault, status) => {
    const server = await start({ mount: echo })
    server.faults.set(fault)

    expect((await call(server.url)).status).toBe(status)
    expect((await call(server.url)).status).toBe(path === '/own' ? 200 : 201)
    expect(server.log.entries.map((entry) => entry.fault)).toEqual([fault.kind, null])
  })

  it('drops the connection before or after the work is done', async () => {
    let done = 0
    const server = await start({
      mount: (incoming, outgoing) => echo(incoming, outgoing) && (done += 1) > 0,
      answer: () => ({ body: { done: done += 1 } }),
    })

    server.faults.set({ kind: 'reset' })
    await expect(call(server.url)).rejects.toThrow('fetch failed')
    expect(done).toBe(0)

    server.faults.set({ kind: 'lost_answer' })
    await expect(call(server.url)).rejects.toThrow('fetch failed')
    expect(done).toBe(1)

    expect((await call(server.url)).ok).toBe(true)
    expect(server.log.entries.map((entry) => entry.status).slice(0, 2)).toEqual([0, 0])
  })

  it('cuts the answer in half', async () => {
    const server = await start({ mount: echo })
    server.faults.set({ kind: 'cut_body' })

    await expect(call(server.url).then((response) => response.text())).rejects.toThrow('terminated')
    expect((await call(server.url)).ok).toBe(true)
  })

  it('can be taken back before it is played', async () => {
    const server = await start({ mount: echo })
    const takeBack = server.faults.set({ kind: 'status', status: 503, times: null })

    expect((await call(server.url)).status).toBe(503)
    takeBack()
    expect((await call(server.url)).ok).toBe(true)
  })
})
