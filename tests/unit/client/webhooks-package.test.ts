// `plugboard/webhooks` as it is installed: what is in it, where it runs, and the receivers of its page.
import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { generateKeyPair } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import { appWithPackage, compileErrors, examplesOf } from './built-package.ts'

const project = join(import.meta.dirname, '../../..')
const run = promisify(execFile)
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

let app: string
let built: string

beforeAll(async () => {
  app = await appWithPackage(['express', 'hono', '@hono', '@types'], ['node'])
  built = join(app, 'node_modules/plugboard/dist/webhooks.js')
}, 60_000)

afterAll(() => rm(app, { recursive: true, force: true }))

/** Signed now by the official library. */
function aWebhook(id: string, body = '{"type":"product.updated","timestamp":"","data":{}}') {
  const at = new Date()
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': `${Math.floor(at.getTime() / 1000)}`,
      'webhook-signature': new Webhook(secret).sign(id, at, body),
    },
    body,
  }
}

describe('plugboard/webhooks', () => {
  it('is one file that imports nothing, with none of our other code in it', async () => {
    const bundle = await readFile(built, 'utf8')

    const files = [...bundle.matchAll(/^\/\/ (\S+\.[cm]?[jt]s)$/gm)].map(([, file]) => file ?? '')

    expect(bundle).not.toMatch(/^\s*import\b|\bimport\(|\brequire\(/m)
    expect(files).toContain('supabase/functions/_shared/webhooks/verify.ts')
    expect(
      files.filter((file) =>
        !/^supabase\/functions\/_shared\/(webhooks\/|http\/body\.ts)/.test(file)
      ),
    ).toEqual([])
  })

  it('verifies in Deno without a permission, v1 and v1a', async () => {
    const folder = join(app, 'plain')
    await mkdir(folder)
    await copyFile(built, join(folder, 'webhooks.js'))
    await writeFile(join(folder, 'main.js'), judging(`await import('./webhooks.js')`))
    const deno = join(project, 'node_modules/.bin/deno')

    const { stdout } = await run(
      deno,
      ['run', '--no-prompt', '--no-config', '--no-remote', '--no-npm', join(folder, 'main.js')],
    )

    expect(JSON.parse(stdout)).toEqual(judged)
  })

  it('verifies in Node', async () => {
    await writeFile(join(app, 'main.js'), judging(`await import('plugboard/webhooks')`))

    const { stdout } = await run(process.execPath, [join(app, 'main.js')])

    expect(JSON.parse(stdout)).toEqual(judged)
  })

  it('verifies where there is nothing but what workers have', async () => {
    const code = `
      import vm from 'node:vm'
      import { readFile } from 'node:fs/promises'
      const context = vm.createContext({ crypto, TextEncoder, TextDecoder, atob, btoa })
      async function load(code) {
        const module = new vm.SourceTextModule(code, { context })
        await module.link(() => { throw new Error('it imports something') })
        await module.evaluate()
        return module.namespace
      }
      async function loadWebhooks() {
        return await load(await readFile(${JSON.stringify(built)}, 'utf8'))
      }
      const left = ['process', 'Buffer', 'require', 'Request', 'fetch', 'Deno']
        .filter((name) => vm.runInContext('typeof ' + name, context) !== 'undefined')
      if (left.length > 0) throw new Error('still there: ' + left)
      ${judging('await loadWebhooks()')}`

    const { stdout } = await run(
      process.execPath,
      ['--experimental-vm-modules', '--no-warnings', '--input-type=module', '--eval', code],
    )

    expect(JSON.parse(stdout)).toEqual(judged)
  })
})

const { secretKey, publicKey } = generateKeyPair()

/** A program that prints how a valid, a forged and an ed25519 webhook were judged. */
function judging(webhooks: string): string {
  const { headers, body } = aWebhook('evt_1')
  const ed25519 = signatureHeaders({
    id: 'evt_1',
    timestamp: Number(headers['webhook-timestamp']),
    body: new TextEncoder().encode(body),
    secrets: [],
    ed25519Keys: [secretKey],
  })
  const cases = [
    [{ headers, body }, secret],
    [{ headers, body: body + ' ' }, secret],
    [{ headers: ed25519, body }, publicKey],
    [{ headers: ed25519, body: body + ' ' }, publicKey],
  ]
  return `
    const { verify, WebhookVerificationError } = ${webhooks}
    const judged = []
    for (const [message, key] of ${JSON.stringify(cases)}) {
      judged.push(await verify(message, key).then(
        ({ id, payload }) => [id, payload.type],
        (error) => [error instanceof WebhookVerificationError, error.code],
      ))
    }
    console.log(JSON.stringify(judged))`
}

const judged = [
  ['evt_1', 'product.updated'],
  [true, 'no_matching_signature'],
  ['evt_1', 'product.updated'],
  [true, 'no_matching_signature'],
]

describe('docs/receiving-webhooks.md', () => {
  let examples: { simple: string; express: string; hono: string; worker: string }

  beforeAll(async () => {
    const [simple = '', express = '', hono = '', worker = ''] = await examplesOf(
      'docs/receiving-webhooks.md',
    )
    examples = { simple, express, hono, worker }
    await Promise.all(
      Object.entries(examples).map(([name, code]) => writeFile(join(app, `${name}.ts`), code)),
    )
  })

  it('has examples that compile in an app of its own', async () => {
    expect(await compileErrors(app)).toEqual([])
    expect(examples.express).toContain(`from 'express'`)
    expect(examples.hono).toContain(`from 'hono'`)
    expect(examples.worker).toContain('export default')
  })

  it.each(['express', 'hono'])(
    'has a receiver for %s that runs as it stands there',
    async (name) => {
      const receiver = await startReceiver(name)
      try {
        const send = (init: RequestInit) => fetch(`${receiver.url}/webhooks`, init)
        const signed = aWebhook('evt_1')
        const forged = { ...signed, body: signed.body.replace('updated', 'deleted') }

        const answers = [await send(signed), await send(forged), await send(signed)]

        expect(answers.map(({ status }) => status)).toEqual([204, 400, 204])
        expect(await answers[1]?.json()).toEqual({ code: 'no_matching_signature' })
        expect((await send(aWebhook('evt_2'))).status).toBe(204)
        const lines = await receiver.stop()
        expect(lines.filter((line) => line.startsWith('received'))).toEqual([
          'received evt_1 product.updated',
          'received evt_2 product.updated',
        ])
      } finally {
        await receiver.stop()
      }
    },
  )

  it('has a receiver for workers that runs as it stands there', async () => {
    const { default: worker } = await import(join(app, 'worker.ts'))
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const signed = aWebhook('evt_1')
    const receive = (init: RequestInit): Promise<Response> =>
      worker.fetch(new Request('https://app.example/', init), { WEBHOOK_SECRET: secret })

    expect((await receive(signed)).status).toBe(204)
    expect((await receive({ ...signed, body: '{}' })).status).toBe(400)
    expect(log.mock.calls).toEqual([['received', 'evt_1', 'product.updated']])
    log.mockRestore()
  })
})

/** `stop` answers all that it has printed. */
type Receiver = { url: string; stop: () => Promise<string[]> }

/** Runs an example as a program of its own, on a free port that it prints. */
async function startReceiver(name: string): Promise<Receiver> {
  const child = spawn(process.execPath, [join(app, `${name}.ts`)], {
    env: { PATH: process.env.PATH, PORT: '0', WEBHOOK_SECRET: secret },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = createInterface(child.stdout)
  const ended = new Promise<void>((resolve) => output.once('close', () => resolve()))
  const lines: string[] = []
  const port = await new Promise<string>((resolve, reject) => {
    output.on('line', (line) => {
      lines.push(line)
      const [, port] = /\bport: (\d+)/.exec(line) ?? []
      if (port) resolve(port)
    })
    child.once('close', () => reject(new Error(`${name}.ts ended: ${lines.join('\n')}`)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill()
      await ended
      return lines
    },
  }
}
