// A real HTTP server on loopback for one test, closed with all its connections afterwards.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach } from 'vitest'

const open: Server[] = []

afterEach(async () => {
  await Promise.all(
    open.splice(0).map((server) => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    }),
  )
})

export type LoopbackServer = {
  /** Origin without a slash at the end. */
  url: string
  /** What came in, oldest first. */
  requests: { method: string; path: string; headers: IncomingMessage['headers']; body: string }[]
}

/**
 * Starts a server that answers each request with the next of `answers`, and with the last one
 * from then on.
 */
export async function loopbackServer(
  ...answers: ((request: IncomingMessage, response: ServerResponse) => void)[]
): Promise<LoopbackServer> {
  const requests: LoopbackServer['requests'] = []
  const server = createServer(async (request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)]
    const seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: '',
    }
    requests.push(seen)
    for await (const chunk of request) seen.body += chunk
    answer?.(request, response)
  })
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

/** An answer of this status, headers and body. */
export function answering(status: number, headers: Record<string, string> = {}, body = '{}') {
  return (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  }
}
