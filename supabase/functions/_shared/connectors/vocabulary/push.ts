// How do local changes go out? In calls of many records each, and every record has an outcome of its own.
import type { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { Values } from './auth.ts'
import type { PlatformCall } from './platform-call.ts'
import type { RecordContext } from './stream-definition.ts'
import type { StreamName, STREAMS } from './streams.ts'

export type ColumnsOf<Name extends StreamName = StreamName> = z.output<(typeof STREAMS)[Name]>
export type ColumnOf<Name extends StreamName = StreamName> = keyof ColumnsOf<Name> & string

/** What a push may look at besides its records. */
export type PushContext<Settings = Values> = RecordContext<Settings> & { now: Date }

/** A record as it has to be at the platform. */
export type PushedRecord<Name extends StreamName = StreamName> = {
  /** The row's id, a UUID. */
  record_id: string
  version: string
  /** The platform's id; null for a record that has never been there. */
  source_id: string | null
  /** Everything that can be pushed, as it is now. */
  columns: Partial<ColumnsOf<Name>>
  /** What has to be written; of a create, all that is not null. */
  changed: ColumnOf<Name>[]
  /** It was sent before, and nobody knows whether that was done. */
  uncertain: boolean
  /** When it was, RFC 3339. */
  sending_at: string | null
}

/** What came of one record. */
export type PushOutcome =
  /** Written, or gone where it was to be deleted. */
  | {
    source_id: string
    /** The platform's own time of the version we wrote, where it says. */
    source_updated_at?: string | null
  }
  /** Not taken, and not taken if sent again as it is. */
  | { refused: PushTrouble }
  /** Not taken now: another try may do, after another look at what is there. */
  | { retry: PushTrouble }
export type PushTrouble = {
  /** The platform's own code. */
  code: string
  /** For people: through `platformWords` where the platform says it. */
  message: string
}

/** A look for records that may be there already: with the same key, or made by a call whose answer was lost. */
export type PushFind<Settings = Values, Name extends StreamName = StreamName> = {
  /** Records that one call looks for. */
  max: number
  /** Null: none of these can be looked for. */
  call(records: PushedRecord<Name>[], context: PushContext<Settings>): PlatformCall | null
  /** The raw records it found, as the stream reads them; anything but a list is a bad answer. */
  records(body: unknown): unknown
  /** The call for what the answer to `call` left out; null: nothing. Left out where one answer shows all. */
  next?(body: unknown, call: PlatformCall): PlatformCall | null
  /** For how long what was sent without a key may be there and not show; 0 when not said. */
  lagSeconds?: number
  /** Whether this is the record; the same email, whatever its case, when not said. */
  matches?(raw: unknown, record: PushedRecord<Name>, context: PushContext<Settings>): boolean
}

export type PushRemove<Settings = Values> = {
  /** Ids that one call takes. */
  batch: number
  call(ids: string[], context: PushContext<Settings>): PlatformCall
  /** One outcome for each id, in their order; gone already counts as removed. */
  removed(answer: PushAnswer, ids: string[]): PushOutcome[]
}

export type PushAnswer = { status: number; body: unknown }

export type Push<Settings = Values, Name extends StreamName = StreamName> = {
  /** What can be written there. */
  columns: readonly ColumnOf<Name>[]
  /** Those of them that an account with these settings can write; all when not said. With none it is not pushed to. */
  columnsFor?(settings: Settings): ColumnOf<Name>[]
  /** Records that one call creates. */
  batch: number
  /** Records that one call updates; `batch` when not said. */
  updateBatch?: number
  /** What a create is known by: with it, sent twice, it makes one record. */
  key: 'email' | null
  /** The platform's id is made of the key: a record whose key changes has another one. */
  idFollowsKey?: true
  /** Whether a create, sent twice, makes one record even without the key: it has our own id there. */
  ownId?(context: PushContext<Settings>): boolean
  /**
   * Why this platform cannot take the record, for people; null where it can. Judged before anything is sent.
   *
   * @param shown What the platform has of it, raw, as it was just looked up; undefined where it was not found
   */
  refuse?(
    record: PushedRecord<Name>,
    context: PushContext<Settings>,
    shown?: unknown,
  ): string | null
  /** New records that differ in it go in calls of their own: those with and without an email, say. */
  together?(record: PushedRecord<Name>, context: PushContext<Settings>): string
  find?: PushFind<Settings, Name>
  create(records: PushedRecord<Name>[], context: PushContext<Settings>): PlatformCall
  /** Sends what `changed` names, where the platform takes parts. */
  update(records: PushedRecord<Name>[], context: PushContext<Settings>): PlatformCall
  /**
   * One outcome for each record of a create or update, in their order.
   *
   * @throws AppError `provider_bad_answer` where the answer does not say
   */
  written(
    answer: PushAnswer,
    records: PushedRecord<Name>[],
    context: PushContext<Settings>,
  ): PushOutcome[]
  /** Left out where nothing can be deleted. */
  remove?: PushRemove<Settings>
}

/** Platforms compare addresses so, whatever they show. */
export const emailKey = (email: string | null | undefined): string | null =>
  email?.trim().toLowerCase() || null

/** What can be written with these settings. */
export function pushColumns(push: Push, settings: Values): string[] {
  return [...push.columnsFor?.(settings) ?? push.columns]
}

/** Whether this create, sent twice, makes one record. */
export const isRepeatable = (push: Push, record: PushedRecord, context: PushContext): boolean =>
  push.ownId?.(context) === true || push.key !== null && emailOf(record) !== null

/** The address a record is known by; null where it has none. */
export const emailOf = ({ columns }: Pick<PushedRecord, 'columns'>): string | null =>
  'email' in columns ? emailKey(columns.email) : null

/** Whether a record that may be there already, by a call whose answer was lost, is known by its fields alone. */
export const isKnownByFields = (
  push: Push,
  record: PushedRecord,
  context: PushContext,
): boolean => record.uncertain && emailOf(record) === null && !isRepeatable(push, record, context)

/**
 * Records cut into what one call may take. Two new ones with the same email are never in one: platforms refuse the
 * whole call for it.
 *
 * @param most A smaller number than the platform's own
 */
export function pushBatches(
  push: Push,
  operation: 'create' | 'update' | 'find',
  records: PushedRecord[],
  context: PushContext,
  most = Infinity,
): PushedRecord[][] {
  const size = Math.max(1, Math.min(most, sizeOf(push, operation)))
  const batches: { group: string; keys: Set<string>; records: PushedRecord[] }[] = []
  for (const record of records) {
    // an update is known by its id, whatever else is in it
    const group = operation === 'update' ? '' : push.together?.(record, context) ?? ''
    const key = operation === 'update' ? null : emailOf(record)
    let batch = batches.find((batch) =>
      batch.group === group && batch.records.length < size && !(key && batch.keys.has(key))
    )
    if (!batch) batches.push(batch = { group, keys: new Set(), records: [] })
    batch.records.push(record)
    if (key) batch.keys.add(key)
  }
  return batches.map(({ records }) => records)
}

function sizeOf(push: Push, operation: 'create' | 'update' | 'find'): number {
  if (operation === 'find') return push.find?.max ?? 1
  return operation === 'update' ? push.updateBatch ?? push.batch : push.batch
}

/** How far the platform's clock and ours may be apart. */
const SKEW_MS = 5 * 60_000

/** From when on a create that was sent at that time may have been made. */
export const madeSince = (sending_at: string): string =>
  new Date(Date.parse(sending_at) - SKEW_MS).toISOString()

/** Whether a record holds what was sent: platforms trim text, and do not show what is empty. */
export function holdsAll(held: unknown, sent: Record<string, unknown>): boolean {
  const shown = typeof held === 'object' && held !== null ? held as Record<string, unknown> : {}
  return Object.entries(sent).every(([name, value]) =>
    comparable(shown[name]) === comparable(value)
  )
}

function comparable(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.map(comparable).sort().join('\n')
  return typeof value === 'object' ? JSON.stringify(value) : String(value).trim()
}

/** The items of an answer, which stand where the records stood. @throws AppError `provider_bad_answer` */
export function itemsOf<Item>(platform: string, items: Item[], records: unknown[]): Item[] {
  if (items.length === records.length) return items
  throw new AppError('provider_bad_answer', {
    detail: `${platform} answered for ${items.length} of ${records.length} records.`,
  })
}
