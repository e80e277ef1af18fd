// How is a stream read and written? Read as a list the engine pages through, or page by page in the connector's own words.
import { z } from 'zod'
import type { AccountFacts, Values } from './auth.ts'
import { confirmsAbsence, type Pagination } from './paging.ts'
import type { PlatformAnswer, PlatformCall } from './platform-call.ts'
import type { Push } from './push.ts'
import { readPath } from './read-path.ts'
import type { StreamName, SyncedRecord } from './streams.ts'

/** What a mapping may look at besides the record. */
export type RecordContext<Settings = Values> = { settings: Settings; account: AccountFacts }

type IncrementalTime = {
  /** The time as the platform spells it; RFC 3339 in UTC when not said. */
  format?: (since: Date) => string
  /** Asked again before the saved time, for records that became visible late. */
  overlapSeconds: number
}

/** How to ask only for what changed. */
export type Incremental =
  & IncrementalTime
  & (
    /** Replaces the stream's path; `{since}` is the time. */
    | { path: string; param?: never }
    /** Query parameter that carries the time. */
    | { param: string; path?: never }
  )

type PulledStream<Settings, Schema extends z.ZodType, Name extends StreamName> = {
  /** Whether an account with these settings has the stream; always when not said. */
  when?(settings: Settings): boolean
  /** Where a raw record keeps its id: known even of a record that is refused. Or a function. */
  id: string | ((raw: unknown) => unknown)
  /** The fields we use, and nothing else: what the platform adds breaks nothing. */
  record: Schema
  toRecord(record: z.output<Schema>, context: RecordContext<Settings>): SyncedRecord<Name>
  /** How local changes go out; left out where the platform's own words are the only ones. */
  push?: Push<Settings, Name>
}

/** A list at one address. */
export type ListedStream<
  Settings = Values,
  Schema extends z.ZodType = z.ZodType,
  Name extends StreamName = StreamName,
> = PulledStream<Settings, Schema, Name> & {
  /** Below the base address; places like `{setting}` are filled. */
  path: string
  query?: Record<string, string>
  /** Where the records are in the answer: a path (`data.items`), or a function. `''` is the whole. */
  records: string | ((body: unknown) => unknown)
  /** Where the answer says how many records there are in all. */
  total?: string
  pagination: Pagination
  incremental?: Incremental
  /** How to ask for certain ids, to confirm that a record is gone before its row ends. */
  lookup?: { param: string; max: number; separator?: string }
  /** Turns of the budget a page takes; 1 when not said. */
  cost?: number
  read?: never
}

/**
 * Plain JSON that a page hands to the next one, or a finished run to the next run. `step` names the list of several
 * that it is a place in.
 */
export type Place = { step?: string; [key: string]: unknown }

export type ReadContext<Settings = Values> = {
  settings: Settings
  account: AccountFacts
  /** Where this run is; null on its first page. */
  place: Place | null
  /** Only what changed after this, RFC 3339, the overlap taken off; null asks for everything. */
  since: string | null
  /** What the last finished run left; null asks for everything. */
  bookmark: Place | null
  now: Date
  /** Sends one call. Only calls that read. */
  call(call: PlatformCall): Promise<PlatformAnswer>
  /** Sends several, a few at once; the answers are in the calls' order. */
  all(calls: PlatformCall[]): Promise<PlatformAnswer[]>
}

export type ReadResult = {
  records: unknown[]
  /** What gets the next page; null after the last. */
  next: Place | null
  /** Kept when the run ends well, for the next one. The newest given counts. */
  bookmark?: Place
  /**
   * RFC 3339, where a complete read shows only so much of the past: an older record that it did not show
   * is out of reach, not gone. The newest given counts.
   */
  reachesBackTo?: string
  /**
   * Where a complete read may leave a part of the stream out: beginnings of the ids it has read in full
   * (`C01:`). An absent record whose id begins otherwise was not looked at, and is not gone. Those of all
   * pages count together; not given by any page: everything was read.
   */
  covers?: string[]
  /** What should have been read and cannot be, for people (`channel C01`). The run ends as partial and says so. */
  passedOver?: string[]
  total?: number
}

/** How a stream with calls of its own asks for certain ids. */
export type IdLookup<Settings = Values> = {
  /** Ids that one call may ask for. */
  max: number
  call(ids: string[], context: RecordContext<Settings>): PlatformCall
  /** The records the platform still has, as `read` gives them; anything but a list is a bad answer. */
  records(body: unknown, ids: string[]): unknown
}

/** Read page by page, where paging has more than one list or more than one call to a page. */
export type ReadStream<
  Settings = Values,
  Schema extends z.ZodType = z.ZodType,
  Name extends StreamName = StreamName,
> = PulledStream<Settings, Schema, Name> & {
  /**
   * One page. When the platform no longer knows `place` or `bookmark`, throw `provider_cursor_expired`:
   * the run then reads everything from the start.
   */
  read(context: ReadContext<Settings>): Promise<ReadResult>
  /** Left out where the stream can only be read whole. */
  incremental?: { overlapSeconds: number }
  /** How to ask for certain ids, to confirm that a record is gone before its row ends. */
  lookup?: IdLookup<Settings>
  /** False where a complete read may miss a record that is still there; see {@link Stream}. */
  confirmsAbsence?: boolean
  path?: never
}

/** Only written: the platform shows nothing that could be read. */
export type PushOnlyStream<Settings = Values, Name extends StreamName = StreamName> = {
  /** Whether an account with these settings has the stream; always when not said. */
  when?(settings: Settings): boolean
  push: Push<Settings, Name>
  read?: never
  path?: never
  record?: never
}

export type StreamDefinition<
  Settings = Values,
  Schema extends z.ZodType = z.ZodType,
  Name extends StreamName = StreamName,
> =
  | ListedStream<Settings, Schema, Name>
  | ReadStream<Settings, Schema, Name>
  | PushOnlyStream<Settings, Name>

type Derived = {
  name: StreamName
  /** `both` where it is read and can be pushed. */
  direction: 'pull' | 'both'
  when(settings: Values): boolean
  /** Whether `when` was said: an account may then not have the stream. */
  isOptional: boolean
  /** The source id of a raw record; null when it has none that can be stored. */
  id(raw: unknown): string | null
  /**
   * True: a record missing from a complete scan is gone. False: ask for it with `lookup`; without
   * `lookup`, wait for a second complete scan that misses it too.
   */
  confirmsAbsence: boolean
}

type ListedExtras = {
  records(body: unknown): unknown
  total(body: unknown): number | undefined
}

/** One stream as the engine sees it. */
export type Stream =
  | (Omit<ListedStream, keyof Derived | keyof ListedExtras> & Derived & ListedExtras)
  | (Omit<ReadStream, keyof Derived> & Derived)
  | UnreadStream

/** A stream that is pushed only: it has no records to read, so none is ever good. */
export type UnreadStream =
  & Omit<Derived, 'direction'>
  & Pick<ReadStream, 'record' | 'toRecord'>
  & {
    direction: 'push'
    push: Push
    read?: never
    path?: never
    incremental?: never
    lookup?: never
  }

/** One list, as the engine sees it. */
export type ListStream = Extract<Stream, { path: string }>

/** An id stands in an index, whose entries Postgres limits to 2,704 bytes. */
export function isStorableId(id: string): boolean {
  return id.length <= 500
}

/** Derives what the engine needs from what was said. */
export function compileStream(name: StreamName, definition: StreamDefinition): Stream {
  const common = {
    name,
    when: (settings: Values) => definition.when?.(settings) ?? true,
    isOptional: definition.when !== undefined,
  }
  if (definition.read === undefined && definition.path === undefined) {
    return {
      ...common,
      push: definition.push,
      direction: 'push',
      confirmsAbsence: false,
      id: () => null,
      record: z.never(`${name} are only sent there`),
      toRecord: () => {
        throw new TypeError(`${name} are only sent there`)
      },
    }
  }
  const { id } = definition
  const derived = {
    ...common,
    direction: definition.push ? 'both' as const : 'pull' as const,
    id(raw: unknown) {
      const value = typeof id === 'string' ? readPath(raw, id) : id(raw)
      if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
      return typeof value === 'string' && value !== '' && isStorableId(value) ? value : null
    },
  }
  if (definition.read) {
    return { ...definition, ...derived, confirmsAbsence: definition.confirmsAbsence ?? true }
  }
  const { records, total } = definition
  return {
    ...definition,
    ...derived,
    records: typeof records === 'string' ? (body: unknown) => readPath(body, records) : records,
    total(body: unknown) {
      const value = total === undefined ? undefined : readPath(body, total)
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
        ? value
        : undefined
    },
    confirmsAbsence: confirmsAbsence(definition.pagination),
  }
}
