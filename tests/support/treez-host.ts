// Where is api.treez.io in a test? One address in front of any number of simulated stores, told apart
// by the dispensary in the path, as at Treez.
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { passOn } from './pass-on.ts'

export type TreezHost = {
  /** Origin without a slash at the end: what `CONNECTOR_OVERRIDES` takes. */
  url: string
  /** From now on this dispensary's calls go to the store at `origin`. */
  addStore(dispensary: string, origin: string): void
  stop(): Promise<void>
}

/** Starts the host on 127.0.0.1. */
export async function startTreezHost(): Promise<TreezHost> {
  const stores = new Map<string, string>()
  const agent = new Agent({ keepAlive: true })
  const server = createServer((incoming, outgoing) => {
    const origin = stores.get(dispensaryOf(incoming.url ?? '/'))
    if (origin) return passOn(incoming, outgoing, origin, agent)
    incoming.resume()
    outgoing.writeHead(404, { 'content-type': 'application/json' }).end(
      '{"resultCode":"FAIL","resultReason":"NOT_FOUND","resultDetail":"No such dispensary","data":null}',
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    addStore: (dispensary, origin) => void stores.set(dispensary, origin),
    stop: () =>
      new Promise((resolve) => {
        agent.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** `/v2.0/dispensary/<name>/…`, `/dispensary/v3/<name>/…` or `/service/…?dispensaryName=<name>`. */
function dispensaryOf(path: string): string {
  const [, inPath] = /^\/(?:v2\.0\/dispensary|dispensary\/v3)\/([^/?]+)/.exec(path) ?? []
  return inPath ?? new URL(path, 'http://host').searchParams.get('dispensaryName') ?? ''
}
