// Who receives our webhooks in a test? A real server on loopback that keeps what came and answers as it is told.
import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type ReceivedWebhook = {
  /** Milliseconds, when the whole of it was there. */
  at: number
  path: string
  method: string
  headers: Record<string, string>
  body: Buffer
  id: string
}

export type Answering = (
  webhook: ReceivedWebhook,
  response: ServerResponse,
  /** How many came to this path before it. */
  earlier: number,
) => unknown

export type WebhookReceiver = {
  /** Without a slash at the end. */
  url: string
  received: ReceivedWebhook[]
  /** What came to a path, oldest first. */
  at(path: string): ReceivedWebhook[]
  /** From now on; 204 where nothing is said. */
  answer(path: string, answering: Answering): void
  /** Calls under way now. */
  readonly underWay: number
  stop(): Promise<void>
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = []
  const counts = new Map<string, number>()
  const answers = new Map<string, Answering>()
  let underWay = 0
  const server = createServer(async (request, response) => {
    underWay++
    response.once('close', () => underWay--)
    const webhook = await readWebhook(request)
    const earlier = counts.get(webhook.path) ?? 0
    counts.set(webhook.path, earlier + 1)
    received.push(webhook)
    const answering = answers.get(webhook.path)
    if (answering) await answering(webhook, response, earlier)
    else response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    at: (path) => received.filter((webhook) => webhook.path === path),
    answer: (path, answering) => answers.set(path, answering),
    get underWay() {
      return underWay
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function readWebhook(request: IncomingMessage): Promise<ReceivedWebhook> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  )
  return {
    at: Date.now(),
    path: request.url ?? '',
    method: request.method ?? '',
    headers,
    body: Buffer.concat(chunks),
    id: headers['webhook-id'] ?? '',
  }
}

/** An answer of this status, with these headers and body. */
export const answering = (
  status: number,
  headers: Record<string, string> = {},
  body = '',
): Answering =>
(_webhook, response) => response.writeHead(status, headers).end(body)
