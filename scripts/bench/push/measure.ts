// Contacts changed here, pushed to a simulated HubSpot: its requests, counted there, and the function's CPU.
import { setTimeout as sleep } from 'node:timers/promises'
import { startHubSpotSimulator } from '../../simulators/hubspot.ts'
import { busiest } from '../../simulators/parts/rate-limit.ts'
import type { Stack } from '../../stack/stack.ts'
import { cpuSeconds } from '../process-usage.ts'
import type { BenchStore } from '../sync/bench-store.ts'

/** What HubSpot allows an account. */
export const REQUESTS = 100
export const SECONDS = 10

const LONGEST_RUN_MS = 180_000

export type Pushed = {
  over: 'Data API' | 'direct'
  /** What marking adds to the statement that changes them. */
  mark_ms_a_row: number
  /** What the same trigger adds while the stream only pulls. */
  pull_only_ms_a_row: number
  requests: number
  /** From the first request to the last. */
  seconds: number
  /** Of what the platform allows in that time. */
  share: number
  busiest: number
  refused: number
  slices: number
  /** Of the slice that took the most. */
  cpu_seconds_a_slice: number
}

export async function measurePush(
  bench: BenchStore,
  stack: Stack,
  { contacts, runs, log }: { contacts: number; runs: number; log: (line: string) => void },
): Promise<Pushed[]> {
  const results: Pushed[] = []
  for (const over of ['Data API', 'direct'] as const) {
    for (let run = 1; run <= runs; run++) {
      const hubspot = await startHubSpotSimulator({ contacts, requestsPerTenSeconds: REQUESTS })
      try {
        await stack.functions.setEnv({
          CONNECTOR_OVERRIDES: JSON.stringify({ hubspot: { baseUrl: hubspot.baseUrl } }),
          PLUGBOARD_DATABASE_URL: over === 'direct' ? stack.dbUrl : '',
        })
        const id = await readOnce(bench, stack, hubspot.credentials, contacts)
        const arrivals: number[] = []
        hubspot.control.clear()
        const marking = await changeAll(bench, id, contacts)
        const pushed = await push(bench, stack, id)
        for (const { path, at } of hubspot.requests) {
          if (path.startsWith('/crm/')) arrivals.push(Date.parse(at))
        }
        const refused = hubspot.requests.filter(({ status }) => status === 429).length
        const seconds = (arrivals.at(-1)! - arrivals[0]!) / 1000
        const measured: Pushed = {
          over,
          ...marking,
          requests: arrivals.length,
          seconds,
          // the first request takes no time: the gaps between them count
          share: (arrivals.length - 1) / seconds / (REQUESTS / SECONDS),
          busiest: busiest(arrivals, SECONDS * 1000),
          refused,
          ...pushed,
        }
        results.push(measured)
        log(
          `${over}, run ${run} of ${runs}: ${measured.requests} requests in ${
            seconds.toFixed(1)
          } s, ${(measured.share * 100).toFixed(1)} % of the limit, ${
            measured.cpu_seconds_a_slice.toFixed(2)
          } CPU s a slice of ${measured.slices}`,
        )
      } finally {
        await hubspot.stop()
      }
    }
  }
  return results
}

/** A fresh integration with everything read; its contacts go both ways from then on. */
async function readOnce(
  { admin }: BenchStore,
  stack: Stack,
  credentials: Record<string, string>,
  contacts: number,
): Promise<string> {
  await admin`delete from public.organizations where name = 'Push'`
  const [organization] = await admin<{ id: string }[]>`
    insert into public.organizations (name) values ('Push') returning id`
  const { id } = await post<{ id: string }>(stack, 'integrations/connect', {
    organization_id: organization!.id,
    connector: 'hubspot',
    settings: { auth: 'private_app' },
    credentials,
  })
  // not as often as HubSpot allows, but at once: reading is not what is measured
  await admin`delete from private.request_budgets`
  const started = await post<{ sync_log_id: string }>(stack, 'sync', {
    integration_id: id,
    stream: 'contacts',
    mode: 'full',
  })
  await ended(admin, started.sync_log_id)
  const [read] = await admin<{ count: number }[]>`
    select count(*)::int as count from public.contacts where integration_id = ${id}`
  if (read?.count !== contacts) throw new Error(`${read?.count} of ${contacts} contacts were read`)
  await admin`
    update public.sync_streams set next_sync_at = now() + interval '1 day'
    where integration_id = ${id}`
  return id
}

/** Every contact, in one statement; what marking costs is what it takes more than without the trigger. */
async function changeAll(
  { admin }: BenchStore,
  id: string,
  contacts: number,
): Promise<Pick<Pushed, 'mark_ms_a_row' | 'pull_only_ms_a_row'>> {
  // nobody is rung: the push begins when it is asked for
  await admin`
    update private.worker_wakes set awake_until = now() + interval '1 hour' where worker = 'sync'`
  // the best of three: the same rows, each time on clean pages and with nothing marked
  const change = async (name: string) => {
    const took: number[] = []
    for (let time = 1; time <= 3; time++) {
      await admin`delete from private.outbound_changes where integration_id = ${id}`
      await admin`vacuum (analyze) public.contacts`
      const start = performance.now()
      await admin`
        update public.contacts set first_name = ${name + time} where integration_id = ${id}`
      took.push(performance.now() - start)
    }
    return Math.min(...took)
  }
  await admin`alter table public.contacts disable trigger mark_changed_contacts`
  const without = await change('Without')
  await admin`alter table public.contacts enable trigger mark_changed_contacts`
  const pulling = await change('Pulling')
  await admin`update public.sync_streams set direction = 'both' where integration_id = ${id}`
  const marking = await change('Augusta')
  await admin`update private.worker_wakes set awake_until = null where worker = 'sync'`
  return {
    mark_ms_a_row: (marking - without) / contacts,
    pull_only_ms_a_row: (pulling - without) / contacts,
  }
}

async function push(
  { admin }: BenchStore,
  stack: Stack,
  id: string,
): Promise<{ slices: number; cpu_seconds_a_slice: number }> {
  const pid = stack.functions.pid()
  const idle = await idleCpuPerSecond(pid)
  const { sync_log_id } = await post<{ sync_log_id: string }>(stack, 'sync', {
    integration_id: id,
    stream: 'contacts',
    mode: 'push',
    wait: false,
  })
  // a claim begins a slice; what is used until the next is that slice's
  const beginnings = new Map<number, number>()
  const own = (at: number) => cpuSeconds(pid) - idle * (at - start) / 1000
  const start = performance.now()
  const { attempt_count: slices } = await ended(admin, sync_log_id, (attempt) => {
    if (!beginnings.has(attempt)) beginnings.set(attempt, own(performance.now()))
  })
  const left = await admin`select 1 from private.outbound_changes limit 1`
  if (left.length > 0) throw new Error('changes are left')
  const used = [...beginnings.values(), own(performance.now())]
  return {
    slices,
    cpu_seconds_a_slice: Math.max(...used.slice(1).map((end, index) => end - used[index]!)),
  }
}

async function idleCpuPerSecond(pid: number): Promise<number> {
  await sleep(500) // what the last run left behind
  const before = cpuSeconds(pid)
  await sleep(2_000)
  return (cpuSeconds(pid) - before) / 2
}

async function ended(
  admin: BenchStore['admin'],
  id: string,
  onAttempt: (attempt: number) => void = () => {},
): Promise<{ attempt_count: number }> {
  for (const begun = performance.now(); performance.now() - begun < LONGEST_RUN_MS;) {
    const [log] = await admin<
      { status: string; error: unknown; attempt_count: number; finished_at: Date | null }[]
    >`
      select status, error, attempt_count, finished_at from public.sync_logs where id = ${id}`
    if (log) onAttempt(log.attempt_count)
    if (log?.finished_at) {
      if (log.status === 'success') return log
      throw new Error(`a run ended as ${log.status}: ${JSON.stringify(log.error)}`)
    }
    await sleep(50)
  }
  throw new Error(`the run ${id} does not end`)
}

async function post<Body>(stack: Stack, path: string, body: unknown): Promise<Body> {
  const response = await fetch(`${stack.functionsUrl}/${path}`, {
    method: 'POST',
    headers: { apikey: stack.secretKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return await response.json() as Body
}
