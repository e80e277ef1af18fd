// How does a request reach a Node handler once its body was read, or with another address, header or body?
import { IncomingMessage } from 'node:http'

/** The same request on the same connection, changed as told. */
export function replayedRequest(
  incoming: IncomingMessage,
  changes: { url?: string; headers?: IncomingMessage['headers']; body?: Buffer } = {},
): IncomingMessage {
  const { body } = changes
  const request = new IncomingMessage(incoming.socket)
  request.method = incoming.method
  request.url = changes.url ?? incoming.url
  request.httpVersion = incoming.httpVersion
  request.headers = { ...(changes.headers ?? incoming.headers) }
  if (body !== undefined && (body.length > 0 || incoming.method === 'POST')) {
    delete request.headers['transfer-encoding']
    request.headers['content-length'] = String(body.length)
    request.push(body)
  }
  request.push(null)
  request.complete = true // else its end is taken for the caller hanging up
  return request
}
