// Run by Deno: a platform that sends signed webhooks, so many at once, each another one. They are signed before the clock
// starts and written as bytes, so that a sender costs next to nothing of what it measures.
import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { keyOf, signedHeaders } from './send-signed.ts'

const { url, secret, webhooks, atOnce } = JSON.parse(process.env['SETUP']!) as {
  url: string
  secret: string
  webhooks: number
  atOnce: number
}
const { hostname, port, host, pathname } = new URL(url)
const key = keyOf(secret)
const requests = Array.from({ length: webhooks }, signedRequest)
const waits: number[] = []
let sent = 0
let refused = 0

function signedRequest(): Uint8Array<ArrayBuffer> {
  const id = randomUUID()
  const body = JSON.stringify({
    type: 'note.added',
    timestamp: new Date().toISOString(),
    data: { id, text: 'x'.repeat(300) },
  })
  const headers = { host, 'content-length': body.length, ...signedHeaders(key, { id, body }) }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return new TextEncoder().encode(`POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/** Over one connection, one after the other. */
async function send(): Promise<void> {
  using connection = await Deno.connect({ hostname, port: Number(port) })
  connection.setNoDelay()
  const read = answersOf(connection)
  while (sent < requests.length) {
    const request = requests[sent++]!
    const startedAt = performance.now()
    await connection.write(request) // smaller than any socket's buffer
    if (await read() !== 200) refused++
    waits.push(performance.now() - startedAt)
  }
}

/** Reads answers that have a Content-Length, of which it gives the status. */
function answersOf(connection: Deno.TcpConn): () => Promise<number> {
  const buffer = new Uint8Array(4096)
  const decoder = new TextDecoder('latin1')
  return async () => {
    let text = ''
    while (true) {
      const count = await connection.read(buffer)
      if (count === null) throw new Error(`the receiver hung up after "${text}"`)
      text += decoder.decode(buffer.subarray(0, count))
      const [head, body] = text.split('\r\n\r\n', 2)
      const length = /\r\ncontent-length: (\d+)/i.exec(head!)?.[1]
      if (body !== undefined && body.length === Number(length)) return Number(head!.split(' ')[1])
    }
  }
}

const startedAt = performance.now()
await Promise.all(Array.from({ length: atOnce }, send))
const seconds = (performance.now() - startedAt) / 1000
waits.sort((a, b) => a - b)
console.log(JSON.stringify({
  rate: webhooks / seconds,
  p99_ms: waits[Math.floor((waits.length - 1) * 0.99)],
  refused,
}))
