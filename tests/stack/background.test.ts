import { createServer, type IncomingMessage } from 'node:http'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Stack, startStack } from '../../scripts/stack/stack.ts'
import { createProject } from './throwaway-project.ts'

const migration = `
create extension if not exists pg_cron;
create extension if not exists pg_net with schema extensions;
create table public.ticks (at timestamptz not null default clock_timestamp(), who text not null default current_user);
`

let stack: Stack
let sql: postgres.Sql
let sinkUrl = ''
const received: {
  method?: string
  url?: string
  headers: IncomingMessage['headers']
  body: string
}[] = []
const project = createProject({ 'migrations/20260101000000_background.sql': migration })
const sink = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  received.push({ method: request.method, url: request.url, headers: request.headers, body })
  if (request.url?.startsWith('/silent')) return
  response.writeHead(request.url?.startsWith('/missing') ? 404 : 200, {
    'content-type': 'application/json',
  })
  response.end('{"ok":true}')
})

beforeAll(async () => {
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve))
  const address = sink.address()
  sinkUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  stack = await startStack({ ephemeral: true, functions: false, supabaseDir: project.supabaseDir })
  sql = postgres(stack.dbUrl, { max: 4, onnotice: () => {} })
}, 60_000)
afterAll(async () => {
  await sql?.end()
  await stack?.stop()
  sink.closeAllConnections()
  sink.close()
  project.remove()
})

describe('cron', () => {
  it('runs a job every second as its owner, and writes each run down', async () => {
    await sql`select cron.schedule('tick', '1 second', 'insert into public.ticks default values')`

    await vi.waitFor(async () => {
      expect((await sql`select who from public.ticks`).length).toBeGreaterThanOrEqual(2)
    }, { timeout: 10_000, interval: 100 })

    await sql`select cron.unschedule('tick')`
    expect(await sql`select distinct who from public.ticks`).toEqual([{ who: 'postgres' }])
    await vi.waitFor(async () => {
      const runs = await sql`
        select distinct status, return_message, username from cron.job_run_details where command like '%ticks%'`
      expect(runs).toEqual([{
        status: 'succeeded',
        return_message: 'INSERT 1',
        username: 'postgres',
      }])
    })
  })

  it('writes a failed run down with its error, and rolls the whole command back', async () => {
    await sql`select cron.schedule('broken', '0 0 1 1 *', 'create table public.half (); select 1 / 0')`

    await stack.cron.run('broken')

    const [run] =
      await sql`select status, return_message from cron.job_run_details where command like '%1 / 0%'`
    expect(run).toEqual({ status: 'failed', return_message: 'ERROR: division by zero' })
    expect((await sql`select to_regclass('public.half') as name`)[0]).toEqual({ name: null })
  })

  it('never runs two instances of one job at a time', async () => {
    await sql`create table public.spans (started_at timestamptz, ended_at timestamptz)`
    await sql`
      select cron.schedule('slow', '1 second', $$
        insert into public.spans select now(), clock_timestamp() from pg_sleep(1.5) $$)`

    await vi.waitFor(async () => {
      expect((await sql`select * from public.spans`).length).toBeGreaterThanOrEqual(2)
    }, { timeout: 15_000, interval: 200 })

    await sql`select cron.unschedule('slow')`
    const overlaps = await sql`
      select from public.spans as a join public.spans as b
        on a.started_at < b.started_at and a.ended_at > b.started_at`
    expect(overlaps).toHaveLength(0)
  })
})

describe('net', () => {
  it('sends after the commit, and stores the answer', async () => {
    let id = ''
    await sql.begin(async (transaction) => {
      const [row] = await transaction`
        select net.http_post(${`${sinkUrl}/hook`}, body := '{"a":1}', params := '{"q":"ä b&"}',
          headers := '{"x-token":"t"}', timeout_milliseconds := 2000)::text as id`
      id = row?.id
      // What was queued after it has been sent and answered: it waits for nothing but its commit.
      await sql`select net.http_get(${`${sinkUrl}/overtaking`}, timeout_milliseconds := 2000)`
      await vi.waitFor(
        () => expect(received.map((request) => request.url)).toContain('/overtaking'),
        { timeout: 5_000 },
      )
      expect(received.filter((request) => request.url?.startsWith('/hook'))).toEqual([])
    })

    await vi.waitFor(async () => {
      const [response] = await sql`
        select status_code, content, timed_out, error_msg from net._http_response where id = ${id}`
      expect(response).toEqual({
        status_code: 200,
        content: '{"ok":true}',
        timed_out: false,
        error_msg: null,
      })
    }, { timeout: 5_000 })
    const [request] = received.filter((candidate) => candidate.url?.startsWith('/hook'))
    expect(request).toMatchObject({
      method: 'POST',
      url: '/hook?q=%C3%A4%20b%26',
      body: '{"a": 1}',
      headers: {
        'x-token': 't',
        'content-type': 'application/json',
        'user-agent': 'pg_net/0.20.0',
      },
    })
  })

  it('sends nothing of a transaction that was rolled back', async () => {
    await sql.begin(async (transaction) => {
      await transaction`select net.http_post(${`${sinkUrl}/rolled-back`}, timeout_milliseconds := 2000)`
      throw new Error('changed my mind')
    }).catch(() => {})

    // A later request overtakes nothing: once it is there, an earlier one would be too.
    await sql`select net.http_get(${`${sinkUrl}/later`}, timeout_milliseconds := 2000)`
    await vi.waitFor(() => expect(received.map((request) => request.url)).toContain('/later'), {
      timeout: 5_000,
    })

    expect(received.map((request) => request.url)).not.toContain('/rolled-back')
  })

  it('tells refusals, timeouts and unreachable addresses apart', async () => {
    const send = async (url: string) => {
      const [row] = await sql`select net.http_get(${url}, timeout_milliseconds := 300)::text as id`
      return await vi.waitFor(async () => {
        const [response] = await sql`
          select status_code, timed_out, error_msg is not null as failed from net._http_response where id = ${row?.id}`
        expect(response).toBeDefined()
        return response
      }, { timeout: 5_000 })
    }

    expect(await send(`${sinkUrl}/missing`)).toEqual({
      status_code: 404,
      timed_out: false,
      failed: false,
    })
    expect(await send(`${sinkUrl}/silent`)).toEqual({
      status_code: null,
      timed_out: true,
      failed: true,
    })
    expect(await send('http://127.0.0.1:1/')).toEqual({
      status_code: null,
      timed_out: false,
      failed: true,
    })
  })

  it('takes JSON only', async () => {
    await expect(sql`
      select net.http_post(${sinkUrl}, headers := '{"content-type":"text/plain"}', timeout_milliseconds := 100)`)
      .rejects.toThrow('Content-Type header must be "application/json"')
  })
})
