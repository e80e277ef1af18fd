import { mkdirSync } from 'node:fs'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Stack, startStack } from '../../scripts/stack/stack.ts'
import { createProject } from './throwaway-project.ts'

const project = createProject({
  'config.toml': `
project_id = "throwaway"
[edge_runtime.secrets]
FROM_CONFIG = "configured"
FROM_SHELL = "env(PLUGBOARD_TEST_SHELL_VARIABLE)"
UNSET = "env(PLUGBOARD_TEST_NOT_SET)"
[functions.open]
verify_jwt = false
[functions.broken]
verify_jwt = false
[functions.versioned]
verify_jwt = false
[functions.switched-off]
enabled = false
`,
  'functions/open/index.ts': `
    import { AsyncLocalStorage } from 'node:async_hooks'
    export default {
      async fetch(request: Request): Promise<Response> {
        const url = new URL(request.url)
        switch (url.pathname) {
          case '/open/echo':
            return new Response(request.body, { status: 207, headers: {
              'x-method': request.method, 'x-search': url.search, 'x-got': request.headers.get('x-sent') ?? '',
            } })
          case '/open/env':
            return Response.json(Deno.env.toObject())
          case '/open/throw':
            throw new Error('thrown by the handler')
          case '/open/reject':
            void Promise.reject(new Error('rejected in the background'))
            return new Response('ok')
          case '/open/wait-until': {
            const id = url.searchParams.get('id')
            EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(resolve, 50)).then(() => console.log('done', id)))
            return new Response('accepted', { status: 202 })
          }
          case '/open/stream':
            return new Response(new ReadableStream({ async start(controller) {
              controller.enqueue(new TextEncoder().encode('one'))
              await request.text()
              controller.enqueue(new TextEncoder().encode('two'))
              controller.close()
            } }))
          case '/open/page':
            return new Response('<h1>hi</h1>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
          case '/open/hang':
            return await new Promise<Response>(() => {})
          default:
            return new Response(url.pathname)
        }
      },
    }`,
  'functions/me/index.ts': `
    import { withSupabase } from '@supabase/server'
    export default { fetch: withSupabase({ auth: 'user' }, async (_request, context) => {
      const { data } = await context.supabase.auth.getUser()
      return Response.json({ id: context.userClaims?.id, role: context.userClaims?.role, sees: data.user?.id ?? null })
    }) }`,
  'functions/broken/index.ts': `throw new Error('cannot start')`,
  'functions/versioned/index.ts': `import { version } from '../_shared/version.ts'
    export default { fetch: () => new Response(version) }`,
  'functions/_shared/version.ts': `export const version = 'one'`,
  'functions/switched-off/index.ts': `export default { fetch: () => new Response('on') }`,
})

let stack: Stack
const lines: string[] = []
const call = (path: string, init?: RequestInit & { duplex?: 'half' }) =>
  fetch(`${stack.functionsUrl}${path}`, init)
const printed = (text: string) =>
  vi.waitFor(() => expect(lines.find((line) => line.includes(text))).toBeDefined(), {
    timeout: 5_000,
  })

beforeAll(async () => {
  process.env.PLUGBOARD_TEST_SHELL_VARIABLE = 'from the shell'
  process.env.PLUGBOARD_TEST_UNDECLARED = 'not for functions'
  stack = await startStack({
    ephemeral: true,
    supabaseDir: project.supabaseDir,
    functionsEnv: { MY_SECRET: 'told' },
    log: (line) => lines.push(line),
  })
}, 60_000)
afterAll(async () => {
  await stack?.stop()
  project.remove()
  delete process.env.PLUGBOARD_TEST_SHELL_VARIABLE
  delete process.env.PLUGBOARD_TEST_UNDECLARED
})

describe('a request', () => {
  it('reaches the function as it was sent, under the path hosted gives it', async () => {
    const response = await call('/open/echo?a=1&b=%20', {
      method: 'PUT',
      headers: { 'x-sent': 'yes' },
      body: 'bytes \u{1F98A}',
    })

    expect(response.status).toBe(207)
    expect(await response.text()).toBe('bytes \u{1F98A}')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-method': 'PUT',
      'x-search': '?a=1&b=%20',
      'x-got': 'yes',
    })
    expect(await (await call('/open')).text()).toBe('/open')
  })

  it('streams both ways', async () => {
    const upload = new TransformStream<Uint8Array, Uint8Array>()
    const writer = upload.writable.getWriter()
    const answer = call('/open/stream', { method: 'POST', body: upload.readable, duplex: 'half' })
    await writer.write(new TextEncoder().encode('begun'))

    const reader = (await answer).body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe('one')
    await writer.close()

    expect((await reader?.read())?.value).toBe('two')
  })

  it('gets 404 for a function that is not there, is switched off, or is shared code', async () => {
    const statuses = await Promise.all(
      ['/none', '/switched-off', '/_shared', '/'].map(async (path) => (await call(path)).status),
    )

    expect(statuses).toEqual([404, 404, 404, 404])
  })

  it('gets a web page as plain text, as hosted serves it', async () => {
    expect((await call('/open/page')).headers.get('content-type')).toBe('text/plain; charset=utf-8')
  })
})

describe('verify_jwt', () => {
  const codeOf = async (authorization?: string) => {
    const response = await call('/me', { headers: authorization ? { authorization } : {} })
    return [response.status, response.headers.get('sb-error-code')]
  }

  it('lets a signed-up user in, whom the function then knows by their token', async () => {
    const client = createClient(stack.url, stack.publishableKey)
    const { data } = await client.auth.signUp({
      email: 'ada@example.com',
      password: 'correct horse',
    })

    const { data: me } = await client.functions.invoke('me')

    expect(me).toEqual({ id: data.user?.id, role: 'authenticated', sees: data.user?.id })
  })

  it('stops everything else with the reason in sb-error-code', async () => {
    const expired = await stack.signToken({ sub: crypto.randomUUID(), exp: 1_700_000_000 })
    const legacy = `${Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')}.e30.c2ln`

    expect(await codeOf()).toEqual([401, 'UNAUTHORIZED_NO_AUTH_HEADER'])
    expect(await codeOf(`Bearer ${stack.secretKey}`)).toEqual([
      401,
      'UNAUTHORIZED_INVALID_JWT_FORMAT',
    ])
    expect(await codeOf(`Bearer ${legacy}`)).toEqual([401, 'UNAUTHORIZED_LEGACY_JWT'])
    expect(await codeOf(`Bearer ${expired}`)).toEqual([401, 'UNAUTHORIZED_ASYMMETRIC_JWT'])
    expect(await codeOf(`Bearer ${await stack.signToken({ sub: crypto.randomUUID() })}`)).toEqual([
      200,
      null,
    ])
  })
})

describe('a broken function', () => {
  it('answers 503 and prints why, beside a good one that serves', async () => {
    const response = await call('/broken')

    expect([response.status, response.headers.get('sb-error-code')]).toEqual([503, 'BOOT_ERROR'])
    expect(lines.join('\n')).toContain('broken: does not load: Error: cannot start')
    expect((await call('/open')).status).toBe(200)
  })

  it('answers 500 where it throws, prints the error under its name, and goes on serving', async () => {
    const response = await call('/open/throw')

    expect([response.status, response.headers.get('sb-error-code')]).toEqual([500, 'WORKER_ERROR'])
    await printed('open: uncaught error: Error: thrown by the handler')
    expect((await call('/open')).status).toBe(200)
  })

  it('does not take the others down with a promise that nobody caught', async () => {
    const pid = stack.functions.pid()

    expect((await call('/open/reject')).status).toBe(200)

    await printed('open: uncaught error (in a promise): Error: rejected in the background')
    expect(stack.functions.pid()).toBe(pid)
  })
})

describe('the environment', () => {
  it('is what hosted gives plus declared secrets, and nothing of this shell', async () => {
    const env = await (await call('/open/env')).json()

    expect(Object.keys(env).sort()).toEqual([
      'DENO_DEPLOYMENT_ID',
      'FROM_CONFIG',
      'FROM_SHELL',
      'MY_SECRET',
      'PLUGBOARD_ALLOW_PRIVATE_NETWORKS',
      'PLUGBOARD_RETURN_URLS',
      'PLUGBOARD_WORKER_TOKEN',
      'SB_EXECUTION_ID',
      'SB_REGION',
      'SUPABASE_DB_URL',
      'SUPABASE_JWKS',
      'SUPABASE_PUBLISHABLE_KEYS',
      'SUPABASE_SECRET_KEYS',
      'SUPABASE_URL',
    ])
    expect(env).toMatchObject({
      FROM_CONFIG: 'configured',
      FROM_SHELL: 'from the shell',
      MY_SECRET: 'told',
      SUPABASE_URL: stack.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secretKey }),
    })
  })

  it('takes more secrets while it runs', async () => {
    await stack.functions.setEnv({ ANOTHER: 'added', MY_SECRET: 'changed' })

    expect(await (await call('/open/env')).json()).toMatchObject({
      ANOTHER: 'added',
      MY_SECRET: 'changed',
    })
  })
})

describe('background work', () => {
  it('goes on after the response, also when a reload replaces the process meanwhile', async () => {
    expect((await call('/open/wait-until?id=plain')).status).toBe(202)
    await printed('open: done plain')

    await call('/open/wait-until?id=replaced')
    await stack.functions.setEnv({ REPLACED: 'yes' })

    await printed('open: done replaced')
  })
})

describe('the process', () => {
  it('loads a change of shared code without refusing a request meanwhile', async () => {
    const seen = new Set<string>()
    project.write('functions/_shared/version.ts', `export const version = 'two'`)

    await vi.waitFor(async () => {
      const response = await call('/versioned')
      expect(response.status).toBe(200)
      seen.add(await response.text())
      expect(seen).toContain('two')
    }, { timeout: 10_000, interval: 20 })

    expect([...seen]).toEqual(['one', 'two'])
  })

  it('serves a function that was added, and one that was repaired', async () => {
    mkdirSync(`${project.supabaseDir}/functions/added`)
    project.write('functions/added/index.ts', `export default { fetch: () => new Response('new') }`)
    project.write(
      'functions/broken/index.ts',
      `export default { fetch: () => new Response('repaired') }`,
    )
    const token = await stack.signToken({ sub: crypto.randomUUID() })

    await vi.waitFor(async () => {
      const added = await call('/added', { headers: { authorization: `Bearer ${token}` } })
      expect(await added.text()).toBe('new')
      expect(await (await call('/broken')).text()).toBe('repaired')
    }, { timeout: 10_000, interval: 50 })
  })

  it('comes back after kill -9; the request it died with gets an error, the next one an answer', async () => {
    const before = stack.functions.pid()
    const interrupted = call('/open/hang')
    await call('/open')

    await stack.functions.kill()

    expect((await interrupted).status).toBe(500)
    expect((await call('/open')).status).toBe(200)
    expect(stack.functions.pid()).not.toBe(before)
  })
})
