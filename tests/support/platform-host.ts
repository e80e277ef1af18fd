// Where is a platform in a test? One address that leads to the simulator which the test has opened.
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { passOn } from './pass-on.ts'

export type PlatformHost = {
  /** Origin without a slash at the end: what `CONNECTOR_OVERRIDES` takes. */
  url: string
  /** From now on calls go to the simulator at `origin`. */
  leadTo(origin: string): void
  stop(): Promise<void>
}

/** Starts the host on 127.0.0.1. */
export async function startPlatformHost(): Promise<PlatformHost> {
  let target: string | null = null
  const agent = new Agent({ keepAlive: true })
  const server = createServer((incoming, outgoing) => {
    if (target !== null) return passOn(incoming, outgoing, target, agent)
    incoming.resume()
    outgoing.writeHead(503).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo: (origin) => void (target = origin),
    stop: () =>
      new Promise((resolve) => {
        agent.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
