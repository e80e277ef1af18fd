// `npm run check`: is everything formatted, linted, typed, and are the generated files fresh?
import { spawn } from 'node:child_process'
import { generators } from './generate.ts'

type Check = { name: string; command: string[] }

const checks: Check[] = [
  { name: 'format', command: ['deno', 'fmt', '--check', '-q'] },
  { name: 'lint', command: ['deno', 'lint', '-q'] },
  {
    name: 'types of what Deno runs',
    command: [
      'deno',
      'check',
      '-q',
      'supabase/functions',
      'scripts/stack/functions/server.ts',
      'scripts/bench/webhooks/deno',
    ],
  },
  { name: 'types of everything else', command: ['tsc', '-p', '.'] },
  ...generators.map(({ name, script }) => ({
    name: `${name} fresh`,
    command: ['node', script, '--check'],
  })),
]

let failures = 0
for (const { name, command } of checks) {
  const startedAt = performance.now()
  const { code, output } = await run(command)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
  if (code !== 0) {
    failures++
    console.log(`${output.trim()}\n       again: npx ${command.join(' ')}`)
  }
}
process.exit(failures === 0 ? 0 : 1)

function run([program = '', ...args]: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    // npm puts node_modules/.bin first on the path
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => output += chunk)
    child.stderr.on('data', (chunk) => output += chunk)
    child.on('error', (error) => resolve({ code: 1, output: error.message }))
    child.on('close', (code) => resolve({ code, output }))
  })
}
