// How does a test, in its worker, reach what only the process that started the stack can do?
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StackRemote = {
  /** Puts a simulated store behind the address that the Treez connector calls. */
  addStore(dispensary: string, origin: string): Promise<void>
  /** Leads the calls of this platform's connector to the simulator at `origin`. */
  leadTo(slug: string, origin: string): Promise<void>
  /** Restarts the functions with more variables; an empty one counts as not set. */
  setFunctionsEnv(extra: Record<string, string>): Promise<void>
  /** Runs a scheduled job now. */
  runCron(jobName: string): Promise<void>
  /** A user token with these claims; see `Stack.signToken`. */
  signToken(claims: { sub: string; [claim: string]: unknown }): Promise<string>
  /** What the stack and the functions have printed so far. */
  readLog(): Promise<string[]>
}

/** Serves the remote on 127.0.0.1. */
export async function serveRemote(
  remote: StackRemote,
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    try {
      const method = request.url?.slice(1) as keyof StackRemote
      const call = remote[method] as (...args: unknown[]) => Promise<unknown>
      response.end(JSON.stringify({ result: await call(...JSON.parse(body)) }))
    } catch (error) {
      response.statusCode = 500
      response.end(error instanceof Error ? error.stack : String(error))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The remote at this address. */
export function connectRemote(url: string): StackRemote {
  const call = (method: keyof StackRemote) => async (...args: unknown[]) => {
    const response = await fetch(`${url}/${method}`, { method: 'POST', body: JSON.stringify(args) })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method}: ${text}`)
    return JSON.parse(text).result
  }
  return {
    addStore: call('addStore'),
    leadTo: call('leadTo'),
    setFunctionsEnv: call('setFunctionsEnv'),
    runCron: call('runCron'),
    signToken: call('signToken'),
    readLog: call('readLog'),
  }
}
