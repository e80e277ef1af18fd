// Run by Deno: an endpoint that answers 204 at once, or after a while. GET says how many webhooks came and when.
import process from 'node:process'

const { delayMs } = JSON.parse(process.env['SETUP']!) as { delayMs: number }
let count = 0
let first = 0
let last = 0
const ids = new Set<string>()

const server = Deno.serve(
  { hostname: '127.0.0.1', port: 0, onListen: () => {} },
  async (request) => {
    if (request.method === 'GET') {
      const said = { count, distinct: ids.size, first, last }
      if (new URL(request.url).searchParams.has('reset')) {
        count = 0
        ids.clear()
      }
      return Response.json(said)
    }
    await request.arrayBuffer()
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    last = performance.timeOrigin + performance.now()
    if (count++ === 0) first = last
    ids.add(`${request.headers.get('webhook-id')} ${new URL(request.url).pathname}`)
    return new Response(null, { status: 204 })
  },
)
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.addr.port}` }))
