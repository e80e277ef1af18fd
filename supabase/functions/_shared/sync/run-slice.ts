// Does as much of a claimed run as one worker may, and leaves it finished or ready for the next worker.
import type { Account, Page } from '../connectors/account.ts'
import { type Connector, findStream, type Stream } from '../connectors/define-connector.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import type { ErrorSummary } from '../contracts/contract.ts'
import type { SyncLog } from '../contracts/sync.ts'
import { describeFailure } from '../integrations/describe-failure.ts'
import { openIntegration } from '../integrations/open-integration.ts'
import { DatabaseError } from '../platform/database.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { type ClaimedRun, finishRun, releaseRun, restartRun } from './claimed-run.ts'
import { deleteAbsent } from './delete-absent.ts'
import { Collector } from './map-page.ts'
import { describePassedOver } from './passed-over.ts'
import type { SyncProgress } from './progress.ts'
import { pushChanges } from './run-push.ts'
import type { SliceBudget } from './slice-budget.ts'
import { writeBatch } from './write-batch.ts'

export type SliceOutcome =
  | { kind: 'finished'; log: SyncLog }
  /** Given back: due again now, or after a pause the platform asked for. */
  | { kind: 'released' }
  /** Somebody else holds the run now, or it was ended: nothing more to do. */
  | { kind: 'lost' }

/** What is committed at the latest after this long, so that a watcher sees progress. */
const COMMIT_EVERY_MS = 1_000

/** Above this, a record is a large one and counts as several. */
const CHARACTERS_A_RECORD = 1_000

/** Calls still under way this long after the deadline are given up, well before the lease ends. */
const GRACE_MS = 20_000

/** Before a run goes on after a fault that may pass. Five tries at the same place end it. */
const PAUSE_MS = 30_000

/** A longer pause than this is not waited for: the run fails, and the schedule tries again. */
const LONGEST_PAUSE_MS = 3_600_000

/** Works on a run until it is finished or the budget is spent. Throws only when Postgres cannot be reached. */
export async function runSlice(
  run: ClaimedRun,
  outside: Outside,
  budget: SliceBudget,
): Promise<SliceOutcome> {
  const clock = outside.clock
  const log = outside.log.with({
    sync_log_id: run.sync_log_id,
    stream: run.stream,
  })
  const abort = new AbortController()
  const timer = setTimeout(
    () => abort.abort(),
    budget.deadline - clock.now().getTime() + GRACE_MS,
  )
  try {
    const { connector, account, settings, facts } = openIntegration(
      run,
      outside,
      abort.signal,
    )
    const stream = findStream(connector, run.stream)
    return await work({
      run,
      outside,
      budget,
      connector,
      account,
      stream,
      settings,
      facts,
    })
  } catch (error) {
    // what went wrong may itself have cost the lease, and then giving the run back finds it lost
    const left = isLost(error) ? Promise.reject(error) : leave(error)
    return await left.catch((reason: unknown): SliceOutcome => {
      if (!isLost(reason)) throw reason
      log.warn('run lost to another worker')
      return { kind: 'lost' }
    })
  } finally {
    clearTimeout(timer)
    abort.abort()
  }

  /** Gives the run back where waiting helps, and ends it where it does not. */
  async function leave(error: unknown): Promise<SliceOutcome> {
    const failure = describeFailure(toKnown(error), run.integration)
    const pauseMs = abort.signal.aborted ? 0 : pauseFor(error, run)
    if (pauseMs !== undefined && pauseMs <= LONGEST_PAUSE_MS) {
      log.warn('run released', { reason: failure.code, pause_ms: pauseMs, error })
      await releaseRun(outside.db, run, { pauseMs, error: failure })
      return { kind: 'released' }
    }
    log.error('run failed', { reason: failure.code, error })
    return {
      kind: 'finished',
      log: await finishRun(outside.db, run, 'failed', failure),
    }
  }
}

/**
 * How long the run should wait before it goes on at its place; undefined: there is nothing to wait for.
 * A fault at the very beginning ends the run, so that whoever asked is told at once; later it would
 * throw away what was read. Local changes wait in any case.
 */
function pauseFor(error: unknown, run: ClaimedRun): number | undefined {
  if (error instanceof DatabaseError) return error.isPassing ? PAUSE_MS : undefined
  if (!(error instanceof AppError)) return undefined
  if (error.retryAfterMs !== undefined) return error.retryAfterMs
  // the page before may have been another one already: only a new run, from the start, is complete
  if (error.code === 'provider_repeated_page') return undefined
  const isUnderWay = run.progress.batch_count > 0 || run.progress.phase === 'push'
  return error.next === 'retry' && isUnderWay ? PAUSE_MS : undefined
}

/** A database that was too busy is nobody's mistake, and the run's owner is told so. */
function toKnown(error: unknown): unknown {
  if (!(error instanceof DatabaseError && error.isPassing)) return error
  return new AppError('unavailable', {
    detail: 'Our database was too busy or did not answer. It is tried again by itself.',
    cause: error,
  })
}

const isLost = (error: unknown) => isCode(error, 'lease_lost')

type Work = {
  run: ClaimedRun
  outside: Outside
  budget: SliceBudget
  connector: Connector
  account: Account
  stream: Stream
  settings: Record<string, unknown>
  /** What the platform says of the account. */
  facts: AccountFacts
}

/** The phases of a run, from where its progress says. */
async function work(job: Work): Promise<SliceOutcome> {
  const { run, connector, stream, outside: { db } } = job
  if (run.mode === 'push') run.progress.phase = 'push'
  for (;;) {
    let held: ErrorSummary | null = null
    if (run.progress.phase === 'pages' && await readPages(job) === 'spent') {
      break
    }
    if (run.progress.phase === 'absent') {
      const outcome = await deleteAbsent({
        ...job,
        db,
        clock: job.outside.clock,
        isSpent: () => isSpent(job),
      })
      if (outcome === 'spent') break
      if (outcome === 'lost_scan') {
        await restartRun(db, run)
        continue
      }
      if (outcome !== 'done') held = outcome
    }
    run.progress.phase = 'push'
    const { push } = stream
    if (run.direction !== 'pull') {
      if (!push) {
        throw new AppError('stream_not_pushed', {
          detail: `${connector.name} takes no ${run.stream}: set the stream to pull only.`,
        })
      }
      const outcome = await pushChanges({ ...job, push, isSpent: () => isSpent(job) })
      if (outcome === 'spent') break
    }
    const passedOver = describePassedOver(run)
    if (passedOver) {
      job.outside.log.warn('parts passed over', {
        sync_log_id: run.sync_log_id,
        reason: passedOver.message,
      })
    }
    const error = held ?? passedOver
    return {
      kind: 'finished',
      log: await finishRun(db, run, error ? 'partial' : 'success', error),
    }
  }
  await releaseRun(db, run)
  return { kind: 'released' }
}

function isSpent({ budget, outside }: Work): boolean {
  return budget.recordsLeft <= 0 ||
    outside.clock.now().getTime() >= budget.deadline
}

/** Reads and writes page after page. The next one is fetched while this one is mapped and written. */
async function readPages(job: Work): Promise<'done' | 'spent'> {
  const { run, outside, budget } = job
  const clock = outside.clock
  const collected = new Collector({ ...job, stream: job.stream.name })
  let place = run.progress.scan_started_at === null ? begin(run, clock.now()) : run.progress
  let reading: Promise<Page> | null = fetchPage(job, place)
  let committedAt = clock.now().getTime()

  const commit = async () => {
    await writeInParts(job, collected, place)
    committedAt = clock.now().getTime()
  }
  try {
    while (reading) {
      const page: Page = await reading
      reading = null
      budget.recordsLeft -= costOf(page)
      const watermark: string | null = collected.add(page, place.watermark)
      place = {
        ...place,
        watermark,
        new_bookmark: page.bookmark ?? place.new_bookmark,
        reaches_back_to: page.reachesBackTo ?? place.reaches_back_to,
        covers: page.covers ? [...place.covers ?? [], ...page.covers] : place.covers,
        passed_over: [...place.passed_over, ...page.passedOver ?? []],
        cursor: page.next,
        phase: page.next ? 'pages' : run.mode === 'full' ? 'absent' : 'push',
      }
      const spent = page.next !== null && isSpent(job)
      if (page.next && !spent) {
        reading = fetchPage(job, place)
        reading.catch(() => {}) // an error is met where it is awaited, not while this page is written
      }
      const due = collected.isFull(run.batch_size) ||
        clock.now().getTime() - committedAt >= COMMIT_EVERY_MS
      if (due || !page.next || spent) await commit()
      if (spent) return 'spent'
    }
    return 'done'
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'lease_lost') {
      throw error
    }
    if (!collected.isEmpty) await commit() // what was read before the fault is not read again
    const { cursor, bookmark } = run.progress.scan_started_at === null ? place : run.progress
    if (error.code !== 'provider_cursor_expired' || cursor === null && bookmark === null) {
      throw error
    }
    // the platform forgot our place; the account is fine: read from the start, what was written stays.
    // Without the place of the run before, everything has to be read.
    await restartRun(outside.db, run, { full: cursor === null })
    return await readPages(job)
  }
}

/**
 * What a page costs of a slice's records: CPU goes with the records, and with the characters to parse and
 * hash. 1,000 count as one record. An empty page counts too, or they would never end.
 */
const costOf = ({ records, length }: Page) =>
  Math.max(1, records.length, Math.ceil(length / CHARACTERS_A_RECORD))

async function fetchPage(
  { account, stream }: Work,
  { since, cursor, bookmark }: SyncProgress,
): Promise<Page> {
  const page = await account.fetchPage(stream.name, { since, cursor, bookmark })
  if (page.next && JSON.stringify(page.next) === JSON.stringify(cursor)) {
    throw new AppError('provider_repeated_page', {
      detail: 'The platform names a page as the one after itself.',
    })
  }
  return page
}

/** Writes what was collected, at most the stream's batch size at once; the place moves on with the last part. */
async function writeInParts(
  { run, outside: { db } }: Work,
  collected: Collector,
  place: SyncProgress,
): Promise<void> {
  const batch = collected.take()
  const { scanning, scan_started_at, since, bookmark, first_load } = place
  let start = 0
  for (; batch.rows.length - start > run.batch_size; start += run.batch_size) {
    const part = {
      fetched: run.batch_size, // a part that is read again after a crash counts again, as its records do
      rows: batch.rows.slice(start, start + run.batch_size),
      deletions: [],
      refused: [],
    }
    await writeBatch(db, run, part, {
      ...run.progress,
      scanning,
      scan_started_at,
      since,
      bookmark,
      first_load,
    })
  }
  const rest = { ...batch, fetched: batch.fetched - start, rows: batch.rows.slice(start) }
  await writeBatch(db, run, rest, place)
}

/** A run's first place. */
function begin(run: ClaimedRun, now: Date): SyncProgress {
  return {
    ...run.progress,
    scanning: run.mode === 'full',
    scan_started_at: now.toISOString(),
    since: run.mode === 'full' ? null : run.since,
    bookmark: run.mode === 'full' ? null : run.bookmark,
    first_load: !run.has_rows,
  }
}
