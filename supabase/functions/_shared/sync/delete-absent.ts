// After a complete read: what the platform no longer has is marked as deleted, when that is certain.
import type { Account } from '../connectors/account.ts'
import type { Connector, Stream } from '../connectors/define-connector.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import type { ErrorSummary } from '../contracts/contract.ts'
import type { Clock } from '../platform/clock.ts'
import type { Database } from '../platform/database.ts'
import { AppError } from '../platform/errors.ts'
import { type ClaimedRun, leaseArguments } from './claimed-run.ts'
import { Collector } from './map-page.ts'
import type { SliceBudget } from './slice-budget.ts'
import { writeBatch } from './write-batch.ts'

type Absent =
  | { lost_scan: true }
  | {
    lost_scan?: undefined
    live: number
    absent: number
    held: boolean
    /** A record the scan has seen; null when it saw none that is held here. */
    witness: string | null
    source_ids: string[]
  }

export type AbsentOutcome =
  | 'done'
  /** The budget is spent; the progress says where to go on. */
  | 'spent'
  /** What was seen went with a database crash: read everything again. */
  | 'lost_scan'
  /** The mass-delete guard: a person has to agree. */
  | ErrorSummary

type Job = {
  db: Database
  clock: Clock
  run: ClaimedRun
  account: Account
  connector: Connector
  stream: Stream
  settings: Record<string, unknown>
  facts: AccountFacts
  budget: SliceBudget
  isSpent: () => boolean
}

/** Found in one pass over the table. */
const LISTED_AT_ONCE = 5_000

/** For one witness, where a look-up takes one id a call. */
const LOOKED_UP_ONE_BY_ONE = 20

/** Deletes in parts, each committed with the progress. */
export async function deleteAbsent(job: Job): Promise<AbsentOutcome> {
  const { db, run, stream } = job
  const { lookup } = stream
  // a look-up asks for the witness beside the absent
  const partSize = !lookup ? LISTED_AT_ONCE : lookup.max > 1 ? lookup.max - 1 : LOOKED_UP_ONE_BY_ONE
  for (;;) {
    const absent = await db.call<Absent>('list_absent', {
      ...leaseArguments(run),
      p_after: run.progress.absent_after,
      p_limit: LISTED_AT_ONCE,
    })
    if (absent.lost_scan) return 'lost_scan'
    // the guard judges the whole, before the first part
    if (absent.held && run.progress.absent_after === '') return heldBack(run, absent)
    if (absent.source_ids.length === 0) return 'done'

    for (let start = 0; start < absent.source_ids.length; start += partSize) {
      if (start > 0 && job.isSpent()) return 'spent'
      const part = absent.source_ids.slice(start, start + partSize)
      const gone = lookup ? await withoutFound(job, part, absent.witness) : part
      const progress = { ...run.progress, absent_after: part.at(-1) ?? '' }
      await db.call('delete_absent', {
        ...leaseArguments(run),
        p_source_ids: gone,
        p_progress: progress,
        p_needs_two_scans: !lookup && !stream.confirmsAbsence,
      })
      run.progress = progress
    }
  }
}

/**
 * Asks the platform for each id: paging by number skips a record when an earlier one disappears
 * meanwhile. What is found is written like any other; the rest is answered.
 *
 * @param witness A record that is there: a look-up that does not find it proves nothing.
 */
async function withoutFound(
  job: Job,
  source_ids: string[],
  witness: string | null,
): Promise<string[]> {
  const { db, clock, run, account, connector, stream, settings, facts, budget } = job
  const fetched_at = clock.now().toISOString()
  const asked = witness === null ? source_ids : [witness, ...source_ids]
  const records = await account.lookup(stream.name, asked)
  budget.recordsLeft -= records.length
  const found = new Set(records.map((record) => stream.id(record)))
  if (witness !== null && !found.has(witness)) {
    throw new AppError('provider_bad_answer', {
      detail:
        `${connector.name} does not find a record by its id that it has just listed, so nothing was deleted.`,
    })
  }
  const returned = records.filter((record) => stream.id(record) !== witness)
  if (returned.length > 0) {
    const collected = new Collector({ connector, stream: stream.name, settings, facts })
    collected.add({ records: returned, fetched_at })
    await writeBatch(db, run, collected.take(), run.progress)
  }
  return source_ids.filter((id) => !found.has(id))
}

function heldBack(
  run: ClaimedRun,
  { absent, live }: { absent: number; live: number },
): ErrorSummary {
  return {
    code: 'mass_delete_held',
    next: 'owner',
    message:
      `${run.integration.name} (${run.integration.connector}): the platform no longer lists ${absent} of ${live} ${run.stream}, ` +
      'more than may be deleted at once. Nothing was deleted. If they are really gone, sync again and allow the deletion.',
  }
}
