// Turns a platform's pages into what one transaction writes: rows, deletions and refused records.
import type { Page } from '../connectors/account.ts'
import { contentHash, NestedTooDeep } from '../connectors/content-hash.ts'
import type { Connector } from '../connectors/define-connector.ts'
import { parseRecord } from '../connectors/parse-record.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import type { Batch, Deletion, RecordRow } from './write-batch.ts'

export type MapContext = {
  connector: Connector
  stream: string
  settings: Record<string, unknown>
  /** What the platform says of the account. */
  facts: AccountFacts
}

/** Characters collected before they are written, however few the records: a worker has 256 MB. */
const MAX_LENGTH = 4_000_000

/** Collects pages until they are written. A record that comes twice is kept once, in its newest version. */
export class Collector {
  readonly #context: MapContext
  #rows = new Map<string, RecordRow>()
  #deletions: Deletion[] = []
  #refused: Batch['refused'] = []
  #fetched = 0
  #length = 0

  constructor(context: MapContext) {
    this.#context = context
  }

  /** Is there as much as one transaction should write? */
  isFull(batchSize: number): boolean {
    const size = this.#rows.size + this.#deletions.length + this.#refused.length
    return size >= batchSize || this.#length >= MAX_LENGTH
  }

  get isEmpty(): boolean {
    return this.#fetched === 0
  }

  /**
   * @param watermark The newest `source_updated_at` so far.
   * @returns The newest one with this page.
   */
  add(
    page: Pick<Page, 'records' | 'fetched_at'> & Partial<Pick<Page, 'length'>>,
    watermark: string | null = null,
  ): string | null {
    const { connector, stream, settings, facts } = this.#context
    this.#fetched += page.records.length
    this.#length += page.length ?? 0
    for (const raw of page.records) {
      const parsed = parseRecord(connector, stream, raw, { settings, account: facts })
      if (!parsed.ok) {
        const { ok: _, ...refused } = parsed
        this.#refused.push({ ...refused, payload: isKeepable(raw) ? raw : UNREADABLE })
        continue
      }
      const {
        source_id,
        source_updated_at,
        columns,
        supersedes = [],
        deleted,
      } = parsed.record
      const content_hash = hashOf(columns, raw)
      if (content_hash instanceof NestedTooDeep) {
        this.#refused.push({
          source_id,
          code: 'invalid_record',
          message: `record: ${content_hash.message}`,
          issues: [{ path: '', message: content_hash.message }],
          payload: UNREADABLE,
        })
        continue
      }
      watermark = later(watermark, source_updated_at)
      for (const id of deleted ? [source_id, ...supersedes] : supersedes) {
        this.#deletions.push(
          source_updated_at
            ? { source_id: id, source_deleted_at: earlier(source_updated_at, page.fetched_at) }
            : { source_id: id, absent_at: page.fetched_at },
        )
      }
      if (deleted) continue
      const row: RecordRow = {
        ...columns,
        source_id,
        source_updated_at,
        last_synced_at: page.fetched_at,
        content_hash,
        source_data: raw,
      }
      const held = this.#rows.get(source_id)
      if (!held || isNewer(row, held)) this.#rows.set(source_id, row)
    }
    return watermark
  }

  /** What was refused so far; the rest stays. */
  takeRefused(): Batch['refused'] {
    const refused = this.#refused
    this.#refused = []
    return refused
  }

  /** Everything collected; the collector is empty again. */
  take(): Batch {
    const batch = {
      fetched: this.#fetched,
      rows: [...this.#rows.values()],
      deletions: this.#deletions,
      refused: this.#refused,
    }
    this.#rows = new Map()
    this.#deletions = []
    this.#refused = []
    this.#fetched = 0
    this.#length = 0
    return batch
  }
}

/** Kept instead of a record that cannot be. */
const UNREADABLE = { unreadable: 'nested too deep to be kept' }

const isKeepable = (raw: unknown) => typeof hashOf(null, raw) === 'string'

function hashOf(columns: unknown, raw: unknown): string | NestedTooDeep {
  try {
    return contentHash(columns, raw)
  } catch (error) {
    if (error instanceof NestedTooDeep) return error
    throw error
  }
}

/** As private.merge_records orders versions; of two that are equal in that, the later in the list. */
function isNewer(row: RecordRow, than: RecordRow): boolean {
  const ours = orderOf(row)
  const theirs = orderOf(than)
  const first = ours.findIndex((time, index) => time !== theirs[index])
  return first === -1 || ours[first]! > theirs[first]!
}

/** The platform's clock may be ahead of ours: no time counts as more than this after our reading. */
const MOST_AHEAD_MS = 10_000

function orderOf({ source_updated_at, last_synced_at }: RecordRow): number[] {
  const readAt = Date.parse(last_synced_at)
  const updatedAt = source_updated_at === null ? -Infinity : Date.parse(source_updated_at)
  const order = source_updated_at === null ? readAt : Math.min(updatedAt, readAt + MOST_AHEAD_MS)
  return [order, readAt, updatedAt]
}

const earlier = (a: string, b: string) => Date.parse(a) <= Date.parse(b) ? a : b

function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b
  return Date.parse(a) >= Date.parse(b) ? a : b
}
