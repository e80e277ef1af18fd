// What answers on the stack's one address? Routes, CORS and the form of tokens; the rest is behind it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import type { FunctionProxy } from './functions/proxy.ts'
import type { RestAuth } from './rest-auth.ts'
import { withHostedAddresses } from './storage-answers.ts'
import type { Tokens } from './tokens.ts'
import { UserError } from './user-error.ts'

export type Gateway = {
  port: number
  /** From now on requests are answered; before, they are told that the stack is starting. */
  open(routes: { restAuth: RestAuth; functions: FunctionProxy | null }): void
  stop(): Promise<void>
}

/** Listens on 127.0.0.1. 0 means any free port; a taken one is an error that names it. */
export async function startGateway(port: number, tokens: Tokens): Promise<Gateway> {
  let routes: { restAuth: RestAuth; functions: FunctionProxy | null } | null = null

  const app = new Hono()
  app.get('/auth/v1/.well-known/jwks.json', (c) => c.json(tokens.jwks, 200, publicDocument))
  app.all('/rest/v1', (c) => forward(c.req.raw))
  app.all('/rest/v1/*', (c) => forward(c.req.raw))
  app.all('/auth/v1/*', async (c) => await withOutsideTokens(await forward(c.req.raw)))
  app.all('/storage/v1/*', async (c) => {
    const { raw } = c.req
    return await withHostedAddresses(raw, await forward(raw))
  })
  app.notFound((c) => c.json({ message: 'no Route matched with those values' }, 404))
  app.onError((error, c) =>
    c.json({ message: `The stack's gateway failed: ${error.message}` }, 500)
  )

  async function forward(request: Request): Promise<Response> {
    if (!routes) return Response.json({ message: 'The stack is starting' }, { status: 503 })
    return await routes.restAuth.fetch(await withLiteToken(request))
  }

  async function withLiteToken(request: Request): Promise<Request> {
    const token = request.headers.get('authorization')?.match(/^Bearer\s+(.+)$/i)?.[1]
    if (!token || token.startsWith('sb_')) return request
    const headers = new Headers(request.headers)
    // Anything we did not sign stays something that lite refuses, also what carries lite's own secret.
    headers.set('authorization', `Bearer ${(await tokens.toLite(token)) ?? 'not.a.token'}`)
    const { method, body, url } = request
    return new Request(url, { method, headers, body, ...(body ? { duplex: 'half' } : {}) })
  }

  async function withOutsideTokens(response: Response): Promise<Response> {
    const headers = new Headers(response.headers)
    const location = headers.get('location')
    if (location?.includes('access_token=')) {
      headers.set('location', await translateLocation(location))
    }
    if (!headers.get('content-type')?.includes('json')) {
      return new Response(response.body, { status: response.status, headers })
    }
    const text = await response.text()
    if (!text.includes('"access_token"')) {
      return new Response(text || null, { status: response.status, headers })
    }
    headers.delete('content-length')
    return Response.json(await translate(JSON.parse(text)), { status: response.status, headers })
  }

  async function translate(value: unknown): Promise<unknown> {
    if (Array.isArray(value)) return await Promise.all(value.map(translate))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(async (
      [key, inner],
    ) => [
      key,
      key === 'access_token' && typeof inner === 'string'
        ? await tokens.fromLite(inner)
        : await translate(inner),
    ])
    return Object.fromEntries(await Promise.all(entries))
  }

  // A confirmed mail link answers with a redirect that carries the session in its fragment.
  async function translateLocation(location: string): Promise<string> {
    const [address, fragment] = location.split('#')
    const params = new URLSearchParams(fragment)
    params.set('access_token', await tokens.fromLite(params.get('access_token') ?? ''))
    return `${address}#${params}`
  }

  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (!isFunctionCall(incoming.url)) return void listener(incoming, outgoing)
    if (routes?.functions) return void routes.functions.handle(incoming, outgoing)
    incoming.resume()
    outgoing.writeHead(503, { 'content-type': 'application/json' }).end(
      '{"message":"The stack is starting"}',
    )
  })
  server.requestTimeout = 0 // as long as a function streams
  server.keepAliveTimeout = 65_000 // longer than clients' own, so that none meets a closing connection

  return {
    port: await listen(server, port),
    open(ready) {
      routes = ready
    },
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

const publicDocument = {
  'cache-control': 'public, max-age=600',
  'access-control-allow-origin': '*',
}

function isFunctionCall(url: string | undefined): boolean {
  return url === '/functions/v1' || url?.startsWith('/functions/v1/') === true
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new UserError(`Port ${port} is taken: choose another with --port.`)
          : error,
      )
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}
