// A server on loopback whose every byte the test decides, over TCP or TLS.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach } from 'vitest'
import type { Certificates } from './certificates.ts'

const open: { server: Server; connections: Map<unknown, Socket> }[] = []

afterEach(async () => {
  for (const { server, connections } of open.splice(0)) {
    for (const socket of connections.values()) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

export type ScriptedServer = {
  port: number
  /** Each request as it came: head and body. */
  requests: string[]
  /** The names that were asked for in TLS, one a connection. */
  serverNames: (string | undefined)[]
  /** Connections so far. */
  connectionCount: number
}

/** Answers one request. `reset` breaks the connection off as a crash would, with RST. */
export type Answer = (socket: Socket, reset: () => void) => void

/** Runs `answer` for each request, which is taken to be whole when its declared body has come. */
export async function scriptedServer(
  answer: Answer,
  certificates?: Certificates,
): Promise<ScriptedServer> {
  const seen: ScriptedServer = { port: 0, requests: [], serverNames: [], connectionCount: 0 }
  /** By the port at the other side: what is below TLS. */
  const connections = new Map<number | undefined, Socket>()
  const onConnection = (socket: Socket & { servername?: string | false | null }) => {
    seen.connectionCount++
    if (certificates) seen.serverNames.push(socket.servername || undefined)
    let text = ''
    socket.on('error', () => {}) // the other side may go away in the middle of our answer
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const [, length = '0'] = /^content-length: (\d+)\r$/im.exec(text) ?? []
      const end = text.indexOf('\r\n\r\n') + 4
      if (end < 4 || text.length < end + Number(length)) return
      seen.requests.push(text)
      text = ''
      answer(socket, () => connections.get(socket.remotePort)?.resetAndDestroy())
    })
  }
  const server = certificates
    ? createTlsServer({ key: certificates.key, cert: certificates.cert }, onConnection)
    : createServer(onConnection)
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {})
    connections.set(socket.remotePort, socket)
  })
  open.push({ server, connections })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  seen.port = (server.address() as AddressInfo).port
  return seen
}
