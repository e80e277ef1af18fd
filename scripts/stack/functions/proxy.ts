// How does a request reach a function? Byte for byte, over connections that stay open.
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Tokens } from '../tokens.ts'
import { type Refusal, refuseWithoutJwt } from './gate.ts'
import type { Functions } from './supervisor.ts'

const methods = new Set(['POST', 'GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])

export type FunctionProxy = {
  handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>
  close(): void
}

/** Serves `/functions/v1/<name>/rest…`; the function sees the path `/<name>/rest…`. */
export function createFunctionProxy(functions: Functions, tokens: Tokens): FunctionProxy {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = (incoming.url ?? '').slice('/functions/v1'.length) || '/'
    const name = path.split(/[/?]/)[1] ?? ''
    const settings = functions.settings(name)
    if (!settings) {
      return refuse(incoming, outgoing, {
        status: 404,
        code: 'NOT_FOUND',
        message: 'Requested function was not found',
      })
    }
    if (!methods.has(incoming.method ?? '')) {
      return refuse(incoming, outgoing, {
        status: 405,
        code: 'METHOD_NOT_ALLOWED',
        message: 'Method not allowed',
      })
    }
    if (settings.verifyJwt && incoming.method !== 'OPTIONS') {
      const refusal = await refuseWithoutJwt(incoming.headers.authorization, tokens)
      if (refusal) return refuse(incoming, outgoing, refusal)
    }

    let port: number
    try {
      port = await functions.port()
    } catch {
      return refuse(incoming, outgoing, {
        status: 503,
        code: 'BOOT_ERROR',
        message: 'Function failed to start (please check logs)',
      })
    }
    await pass(incoming, outgoing, port, path)
  }

  function pass(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    port: number,
    path: string,
  ): Promise<void> {
    return new Promise((resolve) => {
      const upstream = request({
        agent,
        host: '127.0.0.1',
        port,
        path,
        method: incoming.method,
        // Raw, so that repeated headers and their case arrive as they were sent.
        headers: forwardedHeaders(incoming),
      }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answeredHeaders(answer, incoming.method))
        answer.pipe(outgoing)
        answer.once('error', () => outgoing.destroy())
        answer.once('end', () => {
          // A function that answers early has left the rest unread: it would block the caller's connection.
          incoming.unpipe(upstream)
          incoming.resume()
        })
        outgoing.once('close', resolve)
      })
      upstream.once('error', () => {
        if (outgoing.headersSent) outgoing.destroy()
        else {
          refuse(incoming, outgoing, {
            status: 500,
            code: 'WORKER_ERROR',
            message: 'Function exited due to an error (please check logs)',
          })
        }
        resolve()
      })
      outgoing.once('close', () => {
        if (!outgoing.writableFinished) upstream.destroy()
        resolve()
      })
      incoming.pipe(upstream)
    })
  }

  return { handle, close: () => agent.destroy() }
}

// Hop-by-hop headers belong to each connection (RFC 9110, 7.6.1).
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade'])

function forwardedHeaders(incoming: IncomingMessage): string[] {
  const headers: string[] = []
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const name = incoming.rawHeaders[index] ?? ''
    if (!hopByHop.has(name.toLowerCase())) headers.push(name, incoming.rawHeaders[index + 1] ?? '')
  }
  headers.push('x-forwarded-for', incoming.socket.remoteAddress ?? '', 'x-forwarded-proto', 'http')
  return headers
}

// Hosted serves no web pages from a function: HTML arrives as plain text.
function answeredHeaders(answer: IncomingMessage, method: string | undefined): string[] {
  const headers = [...answer.rawHeaders]
  if (method !== 'GET' || !answer.headers['content-type']?.startsWith('text/html')) return headers
  const index = headers.findIndex((name, at) =>
    at % 2 === 0 && name.toLowerCase() === 'content-type'
  )
  headers[index + 1] = (headers[index + 1] ?? '').replace('text/html', 'text/plain')
  return headers
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code, message }: Refusal,
): void {
  incoming.resume() // an unread body would hold the connection
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'access-control-allow-origin': '*',
    'sb-error-code': code,
  })
  outgoing.end(JSON.stringify({ code, message }))
}
