// Runs in Deno: calls addresses whose name leads to a public address, on an internet that ends at one local port.
// Arguments: the port, the authority's certificate. Prints for each address what came of it, and what was dialled.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import process from 'node:process'
import { createPinnedCaller } from '../../supabase/functions/_shared/http/pinned-call.ts'

const [port, ca = '', ...urls] = process.argv.slice(2)
const dialled: string[] = []
const caller = createPinnedCaller({
  ca: [readFileSync(ca, 'utf8')],
  resolve: (host) => Promise.resolve([host.startsWith('inside.') ? '10.0.0.1' : '93.184.216.34']),
  connect: (address, wanted) => {
    dialled.push(`${address} ${wanted}`)
    return connect({ host: '127.0.0.1', port: Number(port) })
  },
})
const outcomes = []
for (const url of urls) {
  const body = new TextEncoder().encode('{}')
  const answer = await caller.call({
    url,
    headers: {},
    body,
    timeoutMs: url.endsWith('/slow') ? 200 : 5_000,
  })
  outcomes.push(answer.ok ? [answer.status, answer.answer.length, answer.isWhole] : answer.code)
}
console.log(JSON.stringify({ outcomes, dialled }))
