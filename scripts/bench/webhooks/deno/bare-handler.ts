// Run by Deno: the limit of webhook-receive. Checks one HMAC and makes one durable insert, with nothing before or after it.
import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import process from 'node:process'
import postgres from 'postgres'
import { keyOf } from './send-signed.ts'

const { dbUrl, secret } = JSON.parse(process.env['SETUP']!) as { dbUrl: string; secret: string }
const key = keyOf(secret)
const sql = postgres(dbUrl, { max: 10, prepare: true, onnotice: () => {} })

async function take(request: Request): Promise<Response> {
  const body = Buffer.from(await request.arrayBuffer())
  const header = (name: string) => request.headers.get(name) ?? ''
  const id = header('webhook-id')
  const expected = createHmac('sha256', key).update(`${id}.${header('webhook-timestamp')}.`)
    .update(body).digest()
  const given = Buffer.from(header('webhook-signature').slice('v1,'.length), 'base64')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return new Response(null, { status: 401 })
  }
  await sql`
    insert into private.bench_inserts (key, body) values (${id}, ${body}) on conflict do nothing`
  return Response.json({ received: true })
}

const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: () => {} }, take)
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.addr.port}` }))
