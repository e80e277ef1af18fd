// How does a simulator answer? A loopback server that plays faults, logs calls and stops at once.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Fault, Faults } from './faults.ts'
import type { RequestLog } from './request-log.ts'

export type SimulatorRequest = {
  method: string
  url: URL
  headers: Record<string, string>
  /** As text; `formOf` and `jsonOf` read it. */
  body: string
  /** As received: an upload is not text. */
  bytes: Buffer
  /** The fault to bend the answer with; the transport faults never get here. */
  fault: Fault | null
}

export type SimulatorAnswer = {
  status?: number
  headers?: Record<string, string | string[]>
  /** Text and bytes are sent as they are, anything else as JSON, nothing as an empty body. */
  body?: unknown
}

export type SimulatorServer = { url: string; stop(): Promise<void> }

export type SimulatorServerOptions = {
  port: number
  faults: Faults
  log: RequestLog
  /**
   * Takes requests as Node has them, body unread, and says whether it did: for a server of its own beside the
   * platform's routes. They are logged and spoiled like the others.
   */
  mount?(incoming: IncomingMessage, outgoing: ServerResponse): boolean
  /** Answers the platform's own routes. */
  answer(request: SimulatorRequest): SimulatorAnswer | Promise<SimulatorAnswer>
  /** Answers `/_control/…`; never spoiled by faults, never logged. */
  control(request: SimulatorRequest): SimulatorAnswer | Promise<SimulatorAnswer>
}

/** The fields of a form, as `application/x-www-form-urlencoded` sends them. */
export const formOf = (request: SimulatorRequest) =>
  Object.fromEntries(new URLSearchParams(request.body))

/** The JSON sent; `null` for an empty or broken body. */
export function jsonOf(request: SimulatorRequest): unknown {
  try {
    return JSON.parse(request.body)
  } catch {
    return null
  }
}

/** Starts a server on 127.0.0.1. */
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
  if (path.startsWith('/_control/')) {
    return send(response, await options.control(await read(incoming, null)))
  }

  const fault = options.faults.next(path)
  const log = (status: number) =>
    options.log.add({
      at: new Date().toISOString(),
      method: incoming.method ?? 'GET',
      path,
      status,
      duration_ms: Math.round(performance.now() - started),
      fault: fault?.kind ?? null,
    })
  const instead = fault && answerInstead(fault)
  if (instead) {
    incoming.resume()
    log(instead.status ?? 200)
    return send(response, instead)
  }
  switch (fault?.kind) {
    case 'timeout':
      incoming.resume()
      return log(0)
    case 'reset':
      log(0)
      return void incoming.socket.destroy()
    case 'slow':
      await new Promise((resolve) => setTimeout(resolve, fault.delay_ms))
      break
    case 'hold':
      await fault.until
      break
  }
  onEnd(response, fault, log)
  if (options.mount?.(incoming, response)) return
  const answer = await options.answer(await read(incoming, fault))
  if (fault?.kind === 'hold_answer') await fault.until
  send(response, answer)
}

/** The answer of a fault that keeps the platform from seeing the request at all. */
function answerInstead(fault: Fault): SimulatorAnswer | null {
  switch (fault.kind) {
    case 'status':
      return {
        status: fault.status,
        headers: fault.headers ?? {},
        body: fault.body ?? { error: `simulated ${fault.status}` },
      }
    case 'retry_after':
      return {
        status: fault.status ?? 429,
        headers: { 'retry-after': String(fault.retry_after) },
        body: { error: 'simulated throttling' },
      }
    case 'html':
      return {
        headers: { 'content-type': 'text/html' },
        body: '<!doctype html><title>Maintenance</title><p>We will be right back.</p>',
      }
    default:
      return null
  }
}

async function read(incoming: IncomingMessage, fault: Fault | null): Promise<SimulatorRequest> {
  const bytes = await readBody(incoming)
  return {
    method: incoming.method ?? 'GET',
    url: new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? '127.0.0.1'}`),
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    ),
    body: bytes.toString('utf8'),
    bytes,
    fault,
  }
}

export async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, answer: SimulatorAnswer): void {
  const { body } = answer
  const sent = body === undefined || typeof body === 'string' || body instanceof Uint8Array
    ? Buffer.from(body ?? '')
    : Buffer.from(JSON.stringify(body))
  response.writeHead(answer.status ?? 200, {
    ...(body === undefined ? {} : { 'content-type': 'application/json;charset=UTF-8' }),
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': sent.length }),
  })
  response.end(sent)
}

/**
 * Logs the answer before the caller can have it, and spoils it if so told: half of it, or not a byte. Counts on an
 * answer that is ended in one piece, as all handlers here do.
 */
function onEnd(response: ServerResponse, fault: Fault | null, log: (status: number) => void): void {
  const end = response.end.bind(response) as (...given: unknown[]) => ServerResponse
  const ended = (...given: unknown[]) => {
    log(fault?.kind === 'lost_answer' ? 0 : response.statusCode)
    if (fault?.kind !== 'cut_body' && fault?.kind !== 'lost_answer') return end(...given)
    const [body] = given
    const bytes = Buffer.from(typeof body === 'string' || body instanceof Uint8Array ? body : '')
    if (fault.kind === 'lost_answer') response.destroy()
    else response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => response.destroy())
    return response
  }
  response.end = ended as ServerResponse['end']
}
