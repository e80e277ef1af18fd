// Local changes on their way out, and the SQL functions that hand them out, settle them and hear what became of them.
import type { PushedRecord } from '../connectors/vocabulary/push.ts'
import type { Database } from '../platform/database.ts'
import { type ClaimedRun, leaseArguments } from './claimed-run.ts'
import type { Deletion, RecordRow } from './write-batch.ts'

export type Operation = 'create' | 'update' | 'delete'

type Columns = Record<string, unknown>

/** One record that was changed here since both sides last had the same. */
export type OutboundChange = {
  /** The row's `id`. */
  record_id: string
  /** Of the edit; a newer edit has another one. */
  version: string
  operation: Operation
  /** Null: the platform never had it. */
  source_id: string | null
  /** The columns that are pushed, as they are now. */
  columns: Columns
  /** Those that differ from what both sides last had. */
  changed: string[]
  /** Of the platform's version held here. */
  content_hash: string | null
  /** It was sent before, and nobody knows whether it arrived. */
  uncertain: boolean
  /** What was sent then, of which edit, and when. */
  sending: Columns | null
  sending_version: string | null
  sending_at: string | null
}

/** A record made here that the platform has already. */
export type Link = { record_id: string; record: RecordRow }

export type Refusal = { code: string; message: string }

/** What became of one change. */
export type ChangeOutcome =
  & { record_id: string; version: string }
  & (
    /** `answered_at` is our time: what was read before it is older. */
    | {
      status: 'sent'
      source_id: string
      source_updated_at?: string | null | undefined
      answered_at: string
    }
    | { status: 'deleted'; answered_at: string }
    /** Not tried again until somebody edits the record or asks for a push. */
    | { status: 'refused'; error: Refusal }
    /** Tried again after a pause. */
    | { status: 'retry'; error: Refusal }
    /** It never left: nothing is uncertain but what was before. */
    | { status: 'unsent' }
  )

/** Those that are due, oldest first, all of one operation. Extends the lease, and writes nothing else. */
export async function claimChanges(
  db: Database,
  run: ClaimedRun,
  limit: number,
): Promise<OutboundChange[]> {
  const { changes } = await db.call<{ changes: OutboundChange[] }>('claim_outbound_changes', {
    ...leaseArguments(run),
    p_limit: limit,
  })
  return changes
}

/**
 * Merges what was looked up and links what is there already, by the stream's policy; then writes down what is about to
 * be sent.
 *
 * @returns Those of `changes` that still have to be sent, as they are now: another operation than before is possible.
 */
export async function settleChanges(
  db: Database,
  run: ClaimedRun,
  changes: OutboundChange[],
  seen: { records: RecordRow[]; deletions: Deletion[]; links: Link[] },
): Promise<OutboundChange[]> {
  const { changes: left } = await db.call<{ changes: OutboundChange[] }>(
    'settle_outbound_changes',
    {
      ...leaseArguments(run),
      p_record_ids: changes.map(({ record_id }) => record_id),
      p_records: seen.records,
      p_deletions: seen.deletions,
      p_links: seen.links,
    },
  )
  return left
}

export async function finishChanges(
  db: Database,
  run: ClaimedRun,
  outcomes: ChangeOutcome[],
): Promise<void> {
  await db.call('finish_outbound_changes', { ...leaseArguments(run), p_outcomes: outcomes })
}

/** Of these source ids those that a row here has, and when it came. */
export async function heldSince(
  db: Database,
  run: ClaimedRun,
  source_ids: string[],
): Promise<Map<string, Date>> {
  const { held } = await db.call<{ held: Record<string, string> }>('list_held_records', {
    ...leaseArguments(run),
    p_source_ids: source_ids,
  })
  return new Map(Object.entries(held).map(([source_id, at]) => [source_id, new Date(at)]))
}

/** As a connector sees it. */
export function toPushedRecord(change: OutboundChange): PushedRecord {
  const { record_id, version, source_id, columns, changed, uncertain, sending_at } = change
  return {
    record_id,
    version,
    source_id,
    columns,
    changed: changed as PushedRecord['changed'],
    uncertain,
    sending_at,
  }
}
