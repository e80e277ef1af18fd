// How does a host in front of a simulator hand a call on?
import { type Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** Passes a call on as it came, with its `Host`, and a broken connection as a broken connection. */
export function passOn(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  origin: string,
  agent: Agent,
): void {
  const upstream = request(`${origin}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    agent,
  }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.on('error', () => outgoing.destroy())
    answer.pipe(outgoing)
  })
  upstream.on('error', () => outgoing.destroy())
  outgoing.on('close', () => upstream.destroy())
  incoming.pipe(upstream)
}
