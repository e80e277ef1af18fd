// Run by Deno: the limit. Signs and sends a number of webhooks, so many at once, with nothing before or after it.
import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { keyOf, SECRET, sendSigned } from './send-signed.ts'

const { url, deliveries, atOnce, body } = JSON.parse(process.env['SETUP']!) as {
  url: string
  deliveries: number
  atOnce: number
  body: string
}
const key = keyOf(SECRET)
let left = deliveries

async function send() {
  while (left-- > 0) await sendSigned(key, { url, id: randomUUID(), body })
}
const startedAt = performance.now()
await Promise.all(Array.from({ length: atOnce }, send))
console.log(JSON.stringify({ seconds: (performance.now() - startedAt) / 1000 }))
