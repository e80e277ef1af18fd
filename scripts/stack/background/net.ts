// Who sends pg_net's queued requests? The worker behind the stand-in extension pg_net.
import type postgres from 'postgres'
import { openPool } from '../pool.ts'

export type NetWorker = { stop(): Promise<void> }

type QueuedRequest = {
  id: string
  method: string
  url: string
  headers: Record<string, string> | null
  body: Uint8Array | null
  timeout_milliseconds: number
}

const batchSize = 200 // pg_net.batch_size
const ttl = '6 hours' // pg_net.ttl

/** Starts sending. A request leaves after its transaction commits, at most once, without retries. */
export async function startNet(
  adminDbUrl: string,
  log: (line: string) => void,
): Promise<NetWorker> {
  const sql = openPool(adminDbUrl, {
    max: 3,
    connection: { application_name: 'pg_net worker' },
  })
  let stopped = false
  let isDraining = false
  let isWoken = false
  const aborts = new AbortController()

  async function drain(): Promise<void> {
    isWoken = true
    if (isDraining) return
    isDraining = true
    try {
      while (isWoken && !stopped) {
        isWoken = false
        const batch = await take(sql)
        if (batch.length === 0) continue
        isWoken = true // more may wait behind this batch
        // Not awaited: one slow address must not hold the next wake back.
        void Promise.all(batch.map((request) => answer(request)))
      }
    } catch (error) {
      // The connection went away; the notice of the next one, or the timer, comes back here.
      if (!stopped && !isConnectionLost(error)) {
        log(`net: ${error instanceof Error ? error.message : error}`)
      }
    } finally {
      isDraining = false
    }
  }

  async function answer(request: QueuedRequest): Promise<void> {
    const response = await send(request, aborts.signal)
    if (stopped) return
    try {
      await sql`
        insert into net._http_response ${sql({ id: request.id, ...response })}`
    } catch (error) {
      if (!stopped && !isConnectionLost(error)) {
        log(`net: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  await sql.listen('plugboard_net', () => void drain(), () => void drain())
  const poll = setInterval(() => void drain(), 1_000)
  const cleaning = setInterval(() => void clean(sql).catch(() => {}), 60_000)

  return {
    async stop() {
      stopped = true
      clearInterval(poll)
      clearInterval(cleaning)
      aborts.abort()
      await sql.end({ timeout: 1 })
    },
  }
}

// Deleted and committed before anything is sent: a crash loses a request, it never repeats one.
async function take(sql: postgres.Sql): Promise<QueuedRequest[]> {
  const [{ exists } = { exists: false }] = await sql<{ exists: boolean }[]>`
    select to_regclass('net.http_request_queue') is not null as exists`
  if (!exists) return []
  return await sql<QueuedRequest[]>`
    delete from net.http_request_queue
    where id = any (array(select id from net.http_request_queue order by id limit ${batchSize} for update skip locked))
    returning id::text, method, url, headers, body, timeout_milliseconds`
}

async function clean(sql: postgres.Sql): Promise<void> {
  await sql`delete from net._http_response where created < now() - ${ttl}::interval`
}

type StoredResponse = {
  status_code: number | null
  content_type: string | null
  headers: postgres.JSONValue
  content: string | null
  timed_out: boolean
  error_msg: string | null
}

async function send(request: QueuedRequest, stop: AbortSignal): Promise<StoredResponse> {
  const timeout = AbortSignal.timeout(request.timeout_milliseconds)
  try {
    const response = await fetch(request.url, {
      method: request.method.toUpperCase(),
      headers: { 'user-agent': 'pg_net/0.20.0', ...request.headers },
      body: request.body ? Uint8Array.from(request.body) : null,
      signal: AbortSignal.any([timeout, stop]),
    })
    return {
      status_code: response.status,
      content_type: response.headers.get('content-type'),
      headers: Object.fromEntries(response.headers),
      content: await response.text(),
      timed_out: false,
      error_msg: null,
    }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return {
      status_code: null,
      content_type: null,
      headers: null,
      content: null,
      timed_out: timeout.aborted,
      error_msg: timeout.aborted
        ? `Timeout of ${request.timeout_milliseconds} ms reached`
        : cause instanceof Error
        ? cause.message
        : String(cause),
    }
  }
}

function isConnectionLost(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('CONNECTION_') || code === 'ECONNREFUSED' || code === 'ECONNRESET' ||
    code.startsWith('57P0')
}
