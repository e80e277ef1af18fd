// Run by Deno: the function webhook-receive alone in a process, as hosted runs it; no gateway before it.
import process from 'node:process'

const { env } = JSON.parse(process.env['SETUP']!) as { env: Record<string, string> }
Object.assign(process.env, env)
const { default: { fetch } } = await import(
  '../../../../supabase/functions/webhook-receive/index.ts'
)
const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: () => {} }, fetch)
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.addr.port}` }))
