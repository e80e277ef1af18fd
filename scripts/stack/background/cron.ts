// When do pg_cron's jobs run? The scheduler behind the stand-in extension pg_cron.
import { Cron } from 'croner'
import postgres from 'postgres'
import { openPool } from '../pool.ts'

export type CronWorker = {
  /** Runs a job now, whatever its schedule says, and resolves when it is done. */
  run(jobName: string): Promise<void>
  stop(): Promise<void>
}

export type CronOptions = {
  dbUrl: string
  adminDbUrl: string
  /** False: schedules are not followed, jobs start through `run` only. */
  followSchedules: boolean
  log: (line: string) => void
}

type Job = {
  jobid: string
  schedule: string
  command: string
  database: string
  username: string
  jobname: string | null
}

/** A job and what the scheduler remembers of it between ticks. */
type Entry = { job: Job; dueAt: number; isRunning: boolean; isQueued: boolean }

export async function startCron(options: CronOptions): Promise<CronWorker> {
  const { log } = options
  const sql = openPool(options.adminDbUrl, {
    max: 2,
    connection: { application_name: 'pg_cron scheduler' },
  })
  const entries = new Map<string, Entry>()
  const runs = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  async function reload(): Promise<void> {
    const jobs = await readJobs(sql)
    const known = new Set(jobs.map((job) => job.jobid))
    for (const id of entries.keys()) if (!known.has(id)) entries.delete(id)
    for (const job of jobs) {
      const entry = entries.get(job.jobid)
      if (!entry) {
        entries.set(job.jobid, {
          job,
          dueAt: nextDue(job.schedule),
          isRunning: false,
          isQueued: false,
        })
      } else {
        if (entry.job.schedule !== job.schedule) entry.dueAt = nextDue(job.schedule)
        entry.job = job
      }
    }
    tick()
  }

  const reloadSafely = () => {
    reload().catch((error) => {
      if (stopped) return
      log(`cron: the jobs could not be read, trying again: ${error.message}`)
      setTimeout(reloadSafely, 500).unref()
    })
  }

  function tick(): void {
    clearTimeout(timer)
    if (stopped || !options.followSchedules) return
    const now = Date.now()
    for (const entry of entries.values()) {
      if (entry.dueAt > now) continue
      entry.dueAt = nextDue(entry.job.schedule, now)
      // One instance at a time; while it runs late, one more is remembered and no further ones.
      if (entry.isRunning) entry.isQueued = true
      else begin(entry)
    }
    const next = Math.min(...[...entries.values()].map((entry) => entry.dueAt), now + 60_000)
    timer = setTimeout(tick, Math.max(next - now, 1))
  }

  function begin(entry: Entry): void {
    entry.isRunning = true
    const run = execute(sql, options, entry.job)
      .catch((error) => {
        if (!stopped) log(`cron: job ${entry.job.jobname ?? entry.job.jobid}: ${error.message}`)
      })
      .finally(() => {
        runs.delete(run)
        entry.isRunning = false
        if (entry.isQueued && !stopped) {
          entry.isQueued = false
          begin(entry)
        }
      })
    runs.add(run)
  }

  // Called again after each reconnection, when the server may have lost runs and we may have lost notices.
  await sql.listen('plugboard_cron', reloadSafely, () => {
    failInterrupted(sql).then(reloadSafely, reloadSafely)
  })

  return {
    async run(jobName) {
      const job = (await readJobs(sql)).find((candidate) => candidate.jobname === jobName)
      if (!job) throw new Error(`There is no active cron job "${jobName}".`)
      await execute(sql, options, job)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await sql.end({ timeout: 1 })
      await Promise.allSettled(runs)
    },
  }
}

async function readJobs(sql: postgres.Sql): Promise<Job[]> {
  const [{ exists } = { exists: false }] = await sql<{ exists: boolean }[]>`
    select to_regclass('cron.job') is not null as exists`
  if (!exists) return []
  return await sql<Job[]>`
    select jobid::text, schedule, command, database, username, jobname from cron.job where active`
}

async function failInterrupted(sql: postgres.Sql): Promise<void> {
  const [{ exists } = { exists: false }] = await sql<{ exists: boolean }[]>`
    select to_regclass('cron.job_run_details') is not null as exists`
  if (!exists) return
  await sql`
    update cron.job_run_details
    set status = 'failed', return_message = 'server restarted', end_time = now()
    where status in ('starting', 'connecting', 'sending', 'running')`
}

/** Runs one job in a connection of its own, as the job's user, and writes its `job_run_details`. */
async function execute(sql: postgres.Sql, options: CronOptions, job: Job): Promise<void> {
  const [run] = await sql<{ runid: string }[]>`
    insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time)
    values (${job.jobid}, nextval('cron.runid_seq'), ${job.database}, ${job.username}, ${job.command}, 'running', clock_timestamp())
    returning runid::text`
  const finish = (status: string, message: string) =>
    sql`
      update cron.job_run_details
      set status = ${status}, return_message = ${message}, end_time = clock_timestamp()
      where runid = ${run?.runid ?? null}`

  // `postgres` logs in as itself, which applies the role's own settings; for another user the
  // superuser steps down, because passwords are not ours to know.
  const logsIn = job.username === 'postgres'
  const connection = postgres(logsIn ? options.dbUrl : options.adminDbUrl, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: 'pg_cron' },
  })
  try {
    if (!logsIn) await connection`set session authorization ${connection(job.username)}`
    await finish('succeeded', describe(await connection.unsafe(job.command).simple()))
  } catch (error) {
    await finish('failed', `ERROR: ${error instanceof Error ? error.message : error}`)
  } finally {
    await connection.end({ timeout: 1 })
  }
}

// Of several statements in one command, the last one's outcome is the job's.
function describe(results: postgres.RowList<postgres.Row[]>): string {
  const last: unknown = results.command === undefined ? results.at(-1) : results
  if (!Array.isArray(last) || !('command' in last) || !('count' in last)) return ''
  if (last.command === 'SELECT') return last.count === 1 ? '1 row' : `${last.count} rows`
  return [last.command, last.count].filter((part) => part !== null && part !== undefined).join(' ')
}

/** The next time after `after` (ms since 1970), in UTC like `cron.timezone`'s default. */
function nextDue(schedule: string, after = Date.now()): number {
  const seconds = schedule.match(/^\s*(\d+)\s+seconds?\s*$/i)?.[1]
  if (seconds) return after + Number(seconds) * 1000
  if (/^\s*@reboot\s*$/i.test(schedule)) return Infinity
  try {
    const pattern = schedule.trim().replace('$', 'L').replace(/^@midnight$/i, '@daily')
    return new Cron(pattern, { timezone: 'UTC', paused: true }).nextRun(new Date(after))
      ?.getTime() ?? Infinity
  } catch {
    return Infinity // pg_cron too keeps a job that it cannot schedule
  }
}
