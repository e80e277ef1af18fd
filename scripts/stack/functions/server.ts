// Runs under Deno, in a process of its own: imports each function and serves what it exports.
// The Node side (supervisor.ts) gives it its list of functions on standard input, one JSON line, and
// keeps the pipe open: when the pipe ends, so does this process, however its parent died.
import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'

type Handler = (request: Request) => Response | Promise<Response>
type Loaded = { handler: Handler } | { error: string }
type Start = {
  functions: { name: string; entrypoint: string }[]
  marker: string
  visible: string[]
}

const caller = new AsyncLocalStorage<string>()
const functions = new Map<string, Loaded>()
const pending = new Set<Promise<unknown>>()
let open = 0

const input = createInterface({ input: process.stdin })
const lines = input[Symbol.asyncIterator]()
const start: Start = JSON.parse((await lines.next()).value ?? '')
// What this process needs itself and hosted does not have.
const visible = new Set(start.visible)
for (const name of Object.keys(process.env)) if (!visible.has(name)) delete process.env[name]

prefixConsole()
globalThis.addEventListener('unhandledrejection', (event) => {
  event.preventDefault()
  report('uncaught error (in a promise)', event.reason)
})
globalThis.addEventListener('error', (event) => {
  event.preventDefault()
  report('uncaught error', event.error)
})
Object.assign(globalThis, { EdgeRuntime: { waitUntil } })

await Promise.all(
  start.functions.map(({ name, entrypoint }) => caller.run(name, () => load(name, entrypoint))),
)

const server = Deno.serve({
  hostname: '127.0.0.1',
  port: 0,
  onListen: ({ port }) => tell({ port }),
}, serve)

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  if (line.value === 'drain') void drain()
}
Deno.exit(0)

async function load(name: string, entrypoint: string): Promise<void> {
  try {
    const module = await import(pathToFileURL(entrypoint).href)
    const handler = module.default?.fetch
    if (typeof handler !== 'function') {
      throw new TypeError(`${entrypoint} has no "export default { fetch }"`)
    }
    functions.set(name, { handler: handler.bind(module.default) })
  } catch (error) {
    functions.set(name, { error: String(error) })
    report('does not load', error)
  }
}

async function serve(request: Request): Promise<Response> {
  const name = new URL(request.url).pathname.split('/')[1] ?? ''
  const loaded = functions.get(name)
  if (!loaded) return failure(404, 'NOT_FOUND', 'Requested function was not found')
  if ('error' in loaded) {
    return failure(503, 'BOOT_ERROR', 'Function failed to start (please check logs)')
  }
  open++
  try {
    return await caller.run(name, async () => {
      const response = await loaded.handler(request)
      if (!(response instanceof Response)) {
        throw new TypeError('fetch did not answer with a Response')
      }
      return response
    })
  } catch (error) {
    caller.run(name, () => report('uncaught error', error))
    return failure(500, 'WORKER_ERROR', 'Function exited due to an error (please check logs)')
  } finally {
    open--
    // Left unread, a body breaks the connection it came on for the next request.
    if (request.body && !request.bodyUsed) void request.body.cancel().catch(() => {})
  }
}

function waitUntil<Value>(promise: Promise<Value>): Promise<Value> {
  const settled = promise.catch((error) => report('uncaught error in waitUntil', error)).finally(
    () => pending.delete(settled),
  )
  pending.add(settled)
  return promise
}

/** Lets requests and background work end, for a replacement has taken over. */
async function drain(): Promise<void> {
  const deadline = Date.now() + 100_000
  while ((open > 0 || pending.size > 0) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, 5_000))])
  Deno.exit(0)
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status, headers: { 'sb-error-code': code } })
}

function tell(message: { port: number }): void {
  write(`${start.marker}${JSON.stringify(message)}`)
}

function report(what: string, error: unknown): void {
  const text = error instanceof Error ? error.stack ?? error.message : format(error)
  write(`${caller.getStore() ?? 'functions'}: ${what}: ${text}`)
}

function prefixConsole(): void {
  for (const level of ['log', 'info', 'debug', 'warn', 'error'] as const) {
    console[level] = (...values: unknown[]) =>
      write(`${caller.getStore() ?? 'functions'}: ${format(...values)}`)
  }
}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}
