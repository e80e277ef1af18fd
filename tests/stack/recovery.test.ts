import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient } from '@supabase/supabase-js'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { readEnvFile } from '../../scripts/stack/env-file.ts'
import { isRunning, waitForExit } from '../../scripts/stack/processes.ts'
import { projectDir } from '../../scripts/stack/project.ts'
import { type Stack, startStack } from '../../scripts/stack/stack.ts'
import { createProject } from './throwaway-project.ts'

const folder = mkdtempSync(join(tmpdir(), 'plugboard-recovery-'))
chmodSync(folder, 0o711)
const project = createProject({
  'config.toml': 'project_id = "throwaway"\n[functions.hello]\nverify_jwt = false\n',
  'functions/hello/index.ts': `export default { fetch: () => new Response('hello') }`,
  'migrations/20260101000000_marks.sql': `
    create extension if not exists pg_cron;
    create extension if not exists pg_net with schema extensions;
    create table public.marks (name text primary key);
    grant select, insert on public.marks to service_role;
    select cron.schedule('mark', '1 second', 'insert into public.marks values (clock_timestamp()::text)');`,
  'migrations/20260101000001_connector_catalog.sql':
    `insert into public.marks values ('first connector') on conflict do nothing;`,
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  project.remove()
})

const start = (dataDir: string) =>
  startStack({ dataDir: join(folder, dataDir), supabaseDir: project.supabaseDir })
const service = (stack: Stack) => createClient(stack.url, stack.secretKey)
const readMark = (stack: Stack, name: string) =>
  service(stack).from('marks').select().eq('name', name)

describe('a second start on the same data', () => {
  it('takes in a connector catalog that was generated since, although its migration was applied', async () => {
    const first = await start('catalog')
    const before = (await readMark(first, 'second connector')).data
    await first.stop()
    project.write(
      'migrations/20260101000001_connector_catalog.sql',
      `insert into public.marks values ('second connector') on conflict do nothing;`,
    )

    const second = await start('catalog')

    try {
      expect(before).toEqual([])
      expect((await readMark(second, 'first connector')).data).toEqual([{
        name: 'first connector',
      }])
      expect((await readMark(second, 'second connector')).data).toEqual([
        { name: 'second connector' },
      ])
    } finally {
      await second.stop()
    }
  })

  it('continues: rows, users, keys and sessions are still there', async () => {
    const first = await start('twice')
    const before = createClient(first.url, first.publishableKey)
    const { data: { session } } = await before.auth.signUp({
      email: 'ada@example.com',
      password: 'correct horse',
    })
    await service(first).from('marks').insert({ name: 'kept' })
    await first.stop()

    const second = await start('twice')

    try {
      const after = createClient(second.url, second.publishableKey)
      const { data } = await after.auth.setSession({
        access_token: session?.access_token ?? '',
        refresh_token: session?.refresh_token ?? '',
      })
      expect([second.publishableKey, second.secretKey]).toEqual([
        first.publishableKey,
        first.secretKey,
      ])
      expect((await readMark(second, 'kept')).data).toEqual([{ name: 'kept' }])
      expect(data.user?.email).toBe('ada@example.com')
    } finally {
      await second.stop()
    }
  })

  it('points the database at the new address of the functions', async () => {
    const stack = await start('twice')
    const sql = postgres(stack.dbUrl, { max: 1 })
    try {
      expect(
        await sql`
        select decrypted_secret as url from vault.decrypted_secrets where name = 'plugboard_functions_url'`,
      ).toEqual([
        { url: stack.functionsUrl },
      ])
    } finally {
      await sql.end()
      await stack.stop()
    }
  })
})

describe('a folder that other users cannot enter', () => {
  it('is no obstacle, though Postgres runs as another user under root', async () => {
    const closed = mkdtempSync(join(folder, 'closed-')) // mode 700
    const stack = await startStack({
      dataDir: join(closed, 'data'),
      supabaseDir: project.supabaseDir,
      functions: false,
    })
    const sql = postgres(stack.adminDbUrl, { max: 1 })
    const [row] = await sql`show data_directory`
    try {
      expect((await service(stack).from('marks').insert({ name: 'inside' })).error).toBeNull()
    } finally {
      await sql.end()
      await stack.stop()
      rmSync(dirname(row?.data_directory), { recursive: true, force: true })
    }
  })
})

describe('two stacks', () => {
  it('live beside each other on different data, and exclude each other on the same', async () => {
    const [one, two] = await Promise.all([start('one'), start('two')])
    try {
      await service(one).from('marks').insert({ name: 'of one' })

      expect((await readMark(one, 'of one')).data).toHaveLength(1)
      expect((await readMark(two, 'of one')).data).toHaveLength(0)
      await expect(start('one')).rejects.toThrow('A stack already runs on this data directory')
      expect((await readMark(one, 'of one')).data).toHaveLength(1)
    } finally {
      await Promise.all([one.stop(), two.stop()])
    }
  })
})

describe('Postgres', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await start('restarts')
  }, 60_000)
  afterAll(() => stack?.stop())

  const everythingWorks = async (name: string) => {
    const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} })
    try {
      expect((await service(stack).from('marks').insert({ name })).error).toBeNull()
      const [job] = await sql`select count(*)::int as before from public.marks`
      const [request] = await sql`
        select net.http_get(${`${stack.functionsUrl}/hello`}, timeout_milliseconds := 2000)::text as id`
      await vi.waitFor(async () => {
        expect(await sql`select content from net._http_response where id = ${request?.id}`).toEqual(
          [
            { content: 'hello' },
          ],
        )
        const [now] = await sql`select count(*)::int as after from public.marks`
        expect(now?.after).toBeGreaterThan(job?.before)
      }, { timeout: 10_000, interval: 100 })
    } finally {
      await sql.end()
    }
  }

  it.each(['fast', 'immediate'] as const)(
    'restarts (%s) and REST, cron and net find it again',
    async (mode) => {
      const pid = stack.postgres.pid

      await stack.postgres.restart(mode)

      expect(stack.postgres.pid).not.toBe(pid)
      await everythingWorks(`after ${mode}`)
    },
    30_000,
  )

  it(
    'restarts while thirty callers ask REST: each is answered, and by the new one at once',
    async () => {
      const { url, secretKey: apikey } = stack
      const ask = async () => {
        const request = fetch(`${url}/rest/v1/marks?limit=1`, {
          headers: { apikey },
          signal: AbortSignal.timeout(10_000),
        })
        return await request.then(({ status }) => status, ({ message }) => message as string)
      }
      let isOver = false
      const answers = new Set<number | string>()
      const callers = Array.from({ length: 30 }, async () => {
        while (!isOver) answers.add(await ask())
      })

      for (const mode of ['immediate', 'fast', 'immediate', 'fast'] as const) {
        await stack.postgres.restart(mode)
        expect(await ask()).toBe(200)
      }
      isOver = true
      await Promise.all(callers)

      expect([...answers].sort()).toEqual([200, 503])
    },
    60_000,
  )

  it('is started again when it dies by itself', async () => {
    const pid = stack.postgres.pid

    process.kill(pid, 'SIGKILL')

    await vi.waitFor(() => expect(stack.postgres.pid).not.toBe(pid), {
      timeout: 20_000,
      interval: 50,
    })
    await everythingWorks('after SIGKILL')
  }, 40_000)
})

describe('npm run stack', () => {
  const running: ChildProcess[] = []
  const run = (...options: string[]) => {
    const child = spawn(process.execPath, [join(projectDir, 'scripts/stack/cli.ts'), ...options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.push(child)
    const lines: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => lines.push(line))
    }
    const ready = () =>
      new Promise<void>((resolve, reject) => {
        const look = setInterval(() => {
          const ended = child.exitCode !== null || child.signalCode !== null
          if (!ended && !lines.at(-1)?.startsWith('ready http')) return
          clearInterval(look)
          if (ended) reject(new Error(`ended before it was ready:\n${lines.join('\n')}`))
          else resolve()
        }, 20)
      })
    return { child, lines, ready }
  }
  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill('SIGTERM')
      await waitForExit(child)
    }
  })
  const dataDir = join(folder, 'cli')
  const envFile = join(folder, 'cli.env')

  it(
    'ends with a line that begins with "ready", and writes an env file for its owner only',
    async () => {
      const { ready } = run('--port', '0', '--data', dataDir, '--env', envFile)
      await ready()

      const env = readEnvFile(envFile)
      const response = await fetch(`${env.SUPABASE_URL}/auth/v1/health`, {
        headers: { apikey: env.SUPABASE_PUBLISHABLE_KEY ?? '' },
      })

      expect(Object.keys(env).sort()).toEqual([
        'SUPABASE_DB_URL',
        'SUPABASE_FUNCTIONS_URL',
        'SUPABASE_PUBLISHABLE_KEY',
        'SUPABASE_SECRET_KEY',
        'SUPABASE_URL',
      ])
      expect(response.status).toBe(200)
      expect(statSync(envFile).mode & 0o777).toBe(0o600)
    },
    60_000,
  )

  it.each(['SIGINT', 'SIGTERM'] as const)('stops every child on %s', async (signal) => {
    const { child, ready } = run('--port', '0', '--data', dataDir, '--env', envFile)
    await ready()
    const children = childrenOf(child)

    child.kill(signal)
    await waitForExit(child)

    expect(children.length).toBeGreaterThanOrEqual(3) // Postgres, its watchdog, Deno
    expect(children.filter(isRunning)).toEqual([])
    expect(child.exitCode).toBe(0)
  }, 60_000)

  it('leaves nothing behind after kill -9 that stops the next start', async () => {
    const first = run('--port', '0', '--data', dataDir, '--env', envFile)
    await first.ready()
    const children = childrenOf(first.child)

    first.child.kill('SIGKILL')
    await waitForExit(first.child)
    const second = run('--port', '0', '--data', dataDir, '--env', envFile)
    await second.ready()

    await vi.waitFor(() => expect(children.filter(isRunning)).toEqual([]), { timeout: 10_000 })
  }, 60_000)

  it('deletes an ephemeral directory, also after kill -9', async () => {
    const { child, ready } = run('--port', '0', '--ephemeral', '--env', envFile)
    await ready()
    const sql = postgres(
      (readEnvFile(envFile).SUPABASE_DB_URL ?? '').replace('//postgres:', '//supabase_admin:'),
      { max: 1 },
    )
    const [row] = await sql`show data_directory`
    await sql.end()

    child.kill('SIGKILL')

    await vi.waitFor(() => expect(existsSync(row?.data_directory)).toBe(false), { timeout: 10_000 })
  }, 60_000)

  it('starts over the pid file of a Postgres that is gone', async () => {
    const stale = join(dataDir, 'postgres/postmaster.pid')
    writeFileSync(stale, `1\n${join(dataDir, 'postgres')}\n`)

    const { ready } = run('--port', '0', '--data', dataDir, '--env', envFile)

    await ready()
    expect(readFileSync(stale, 'utf8').split('\n')[0]).not.toBe('1')
  }, 60_000)

  it.each([
    [['--prot', '1'], "Unknown option '--prot'"],
    [['--port', 'http'], '--port wants a whole number from 0 to 65535'],
    [['--functions-env', '/nowhere'], 'There is no file /nowhere'],
    [['--ephemeral', '--data', 'x'], '--ephemeral and --data exclude each other'],
  ])('answers %j with one sentence and exit code 2', async (options, sentence) => {
    const { child, lines } = run(...options)
    await waitForExit(child)

    expect(child.exitCode).toBe(2)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(sentence)
  })

  it('explains itself', async () => {
    const { child, lines } = run('--help')
    await waitForExit(child)

    expect(child.exitCode).toBe(0)
    expect(lines.join('\n')).toContain('--functions-env FILE')
  })
})

function childrenOf(parent: ChildProcess): number[] {
  return readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ')
    .map(Number)
}
