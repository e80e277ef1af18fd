// How does a simulator answer? A loopback server that plays faults, logs calls and stops at once.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Fault, Faults } from './faults.ts'
import type { RequestLog } from './request-log.ts'

export type SimulatorRequest = {
  method: string
  url: URL
  headers: Record<string, string>
  body: string
  /** The fault to bend the answer with; the transport faults never get here. */
  fault: Fault | null
}

export type SimulatorAnswer = {
  status?: number
  headers?: Record<string, string>
  body: unknown
}

export type SimulatorServer = { url: string; stop(): Promise<void> }

export type SimulatorServerOptions = {
  port: number
  faults: Faults
  log: RequestLog
  /** Answers the platform's own routes. */
  answer(request: SimulatorRequest): SimulatorAnswer | Promise<SimulatorAnswer>
  /** Answers `/_control/…`; never spoiled by faults, never logged. */
  control(request: SimulatorRequest): SimulatorAnswer | Promise<SimulatorAnswer>
}

/** Starts a server on 127.0.0.1. `body` of an answer is sent as it is when text, else as JSON. */
export async function startSimulatorServer(
  options: SimulatorServerOptions,
): Promise<SimulatorServer> {
  const server = createServer((request, response) => {
    respond(request, response, options).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error)
      if (!response.headersSent) {
        send(response, { status: 500, body: { error: message } })
      } else response.destroy()
    })
  })
  server.keepAliveTimeout = 30_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function respond(
  incoming: IncomingMessage,
  response: ServerResponse,
  options: SimulatorServerOptions,
): Promise<void> {
  const started = performance.now()
  const path = incoming.url ?? '/'
  const request: SimulatorRequest = {
    method: incoming.method ?? 'GET',
    url: new URL(path, `http://${incoming.headers.host ?? '127.0.0.1'}`),
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    ),
    body: await readBody(incoming),
    fault: null,
  }
  if (path.startsWith('/_control/')) {
    return send(response, await options.control(request))
  }

  const fault = options.faults.next(path)
  const log = (status: number) =>
    options.log.add({
      at: new Date().toISOString(),
      method: request.method,
      path,
      status,
      duration_ms: Math.round(performance.now() - started),
      fault: fault?.kind ?? null,
    })
  switch (fault?.kind) {
    case 'timeout':
      return log(0)
    case 'reset':
      log(0)
      return void incoming.socket.destroy()
    case 'status':
      log(fault.status)
      return send(response, {
        status: fault.status,
        headers: fault.headers ?? {},
        body: fault.body ?? { error: `simulated ${fault.status}` },
      })
    case 'retry_after':
      log(fault.status ?? 429)
      return send(response, {
        status: fault.status ?? 429,
        headers: { 'retry-after': String(fault.retry_after) },
        body: { error: 'simulated throttling' },
      })
    case 'html':
      log(200)
      return send(response, {
        headers: { 'content-type': 'text/html' },
        body: '<!doctype html><title>Maintenance</title><p>We will be right back.</p>',
      })
    case 'slow':
      await new Promise((resolve) => setTimeout(resolve, fault.delay_ms))
      break
    case 'hold':
      await fault.until
      break
  }
  const answer = await options.answer({ ...request, fault })
  log(answer.status ?? 200)
  if (fault?.kind === 'cut_body') return cutShort(response, answer)
  send(response, answer)
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  if (incoming.method === 'GET' || incoming.method === 'HEAD') return ''
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, answer: SimulatorAnswer): void {
  const body = textOf(answer.body)
  response.writeHead(answer.status ?? 200, {
    'content-type': 'application/json;charset=UTF-8',
    ...answer.headers,
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

function cutShort(response: ServerResponse, answer: SimulatorAnswer): void {
  const body = Buffer.from(textOf(answer.body))
  response.writeHead(answer.status ?? 200, {
    'content-type': 'application/json;charset=UTF-8',
    'content-length': body.length,
  })
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy())
}

const textOf = (body: unknown) => typeof body === 'string' ? body : JSON.stringify(body)
