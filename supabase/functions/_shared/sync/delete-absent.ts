// After a complete read: what the platform no longer has is marked as deleted, when that is certain.
import type { Account } from '../connectors/account.ts'
import type { Connector, Stream } from '../connectors/define-connector.ts'
import type { Database } from '../platform/database.ts'
import type { StoredError } from '../platform/errors.ts'
import { type ClaimedRun, leaseArguments } from './claimed-run.ts'
import { Collector } from './map-page.ts'
import { writeBatch } from './write-batch.ts'

type Absent =
  | { lost_scan: true }
  | {
    lost_scan?: undefined
    live: number
    absent: number
    held: boolean
    source_ids: string[]
  }

export type AbsentOutcome =
  | 'done'
  /** The budget is spent; the progress says where to go on. */
  | 'spent'
  /** What was seen went with a database crash: read everything again. */
  | 'lost_scan'
  /** The mass-delete guard: a person has to agree. */
  | StoredError

/** Deletes in parts, each committed with the progress. */
export async function deleteAbsent(job: {
  db: Database
  run: ClaimedRun
  account: Account
  connector: Connector
  stream: Stream
  settings: Record<string, unknown>
  isSpent: () => boolean
}): Promise<AbsentOutcome> {
  const { db, run, stream } = job
  for (let parts = 0;; parts++) {
    const absent = await db.call<Absent>('list_absent', {
      ...leaseArguments(run),
      p_after: run.progress.absent_after,
      p_limit: stream.lookup?.max ?? 500,
    })
    if (absent.lost_scan) return 'lost_scan'
    if (absent.held && run.progress.absent_after === '') {
      return heldBack(run, absent)
    }
    const last = absent.source_ids.at(-1)
    if (last === undefined) return 'done'
    if (parts > 0 && job.isSpent()) return 'spent'

    const gone = stream.lookup ? await withoutFound(job, absent.source_ids) : absent.source_ids
    const progress = { ...run.progress, absent_after: last }
    await db.call('delete_absent', {
      ...leaseArguments(run),
      p_source_ids: gone,
      p_progress: progress,
      p_needs_two_scans: !stream.lookup && !stream.confirmsAbsence,
    })
    run.progress = progress
  }
}

/**
 * Asks the platform for each id: paging by number skips a record when an earlier one disappears
 * meanwhile. What is found is written like any other; the rest is answered.
 */
async function withoutFound(
  { db, run, account, connector, stream, settings }: Parameters<
    typeof deleteAbsent
  >[0],
  source_ids: string[],
): Promise<string[]> {
  const fetched_at = new Date().toISOString()
  const records = await account.lookup(stream.name, source_ids)
  if (records.length > 0) {
    const collected = new Collector({
      connector,
      stream: stream.name,
      settings,
    })
    collected.add({ records, fetched_at })
    await writeBatch(db, run, collected.take(), run.progress)
  }
  const found = new Set(records.map((record) => stream.id(record)))
  return source_ids.filter((id) => !found.has(id))
}

function heldBack(
  run: ClaimedRun,
  { absent, live }: { absent: number; live: number },
): StoredError {
  return {
    code: 'mass_delete_held',
    next: 'owner',
    message:
      `${run.integration.name} (${run.integration.connector}): the platform no longer lists ${absent} of ${live} ${run.stream}, ` +
      'more than may be deleted at once. Nothing was deleted. If they are really gone, sync again and allow the deletion.',
  }
}
