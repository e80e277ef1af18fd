// The calls of a push to one account, each with one outcome for every record that was sent.
import { AppError } from '../platform/errors.ts'
import type { Account } from './account.ts'
import type { CallOptions } from './call-platform.ts'
import type { Connector, Stream } from './define-connector.ts'
import type { PlatformCall } from './vocabulary/platform-call.ts'
import {
  emailKey,
  emailOf,
  isKnownByFields,
  isRepeatable,
  type Push,
  pushBatches,
  type PushContext,
  type PushedRecord,
  type PushOutcome,
} from './vocabulary/push.ts'
import { isStorableId } from './vocabulary/stream-definition.ts'

/** What is there already of the records that were looked for. */
export type Found = {
  /** By `record_id`, raw. Each is found for one record only. Records that cannot be looked for are not in it. */
  raws: Map<string, unknown>
  /** The platform has more than was looked through: these records may be among it. */
  unsure: Set<string>
}

/** Of these source ids those that a row here has, and when it came. */
export type HeldSince = (source_ids: string[]) => Promise<Map<string, Date>>

/** Pages of one look, so that it ends within a slice. */
export const MOST_PAGES = 50

/** What a platform shows, and the records of a batch that it may be. */
type Candidate = { raw: unknown; id: string; fits: PushedRecord[] }

/** Errors are AppErrors; `trace` says whether the platform may have carried out what failed. */
export type PushCalls = {
  /**
   * What is there already. What is known by its fields alone is none that a row here had before it was sent.
   *
   * @param heldSince Nothing is held where not said.
   */
  find(records: PushedRecord[], heldSince?: HeldSince): Promise<Found>
  /** One call, with one batch of {@link pushBatches}. */
  write(
    operation: 'create' | 'update',
    records: PushedRecord[],
    trace?: CallOptions['trace'],
  ): Promise<PushOutcome[]>
  /** One call, with no more ids than `remove.batch`. */
  remove(ids: string[], trace?: CallOptions['trace']): Promise<PushOutcome[]>
}

type Parts = { connector: Connector; stream: Stream; account: Account; context: PushContext }

export function pushCalls({ connector, stream, account, context }: Parts): PushCalls {
  const { push } = stream
  if (!push) throw new TypeError(`${connector.slug} is not pushed ${stream.name}`)

  async function send(
    call: PlatformCall,
    count: number,
    read: (answer: { status: number; body: unknown }) => PushOutcome[],
    options: CallOptions,
  ): Promise<PushOutcome[]> {
    const answer = await account.call(call, options)
    const outcomes = readable(connector, () => read(answer))
    if (outcomes.length === count && outcomes.every(isComplete)) return outcomes
    throw badAnswer(connector)
  }

  /** What a page shows that may be one of these records, and the call for the next one. */
  async function lookAt(
    find: NonNullable<Push['find']>,
    call: PlatformCall,
    batch: PushedRecord[],
  ): Promise<{ candidates: Candidate[]; next: PlatformCall | null }> {
    const { body } = await account.call(call)
    const shown = readable(connector, () => find.records(body))
    if (!Array.isArray(shown)) throw badAnswer(connector)
    const candidates = shown.flatMap((raw) => {
      const fits = batch.filter((record) =>
        readable(connector, () => isRecord(push!, stream, raw, record, context))
      )
      return fits.length > 0 ? [{ raw, id: stream.id(raw)!, fits }] : []
    })
    return { candidates, next: readable(connector, () => find.next?.(body, call) ?? null) }
  }

  return {
    async find(records, heldSince = () => Promise.resolve(new Map())) {
      const { find } = push
      const found: Found = { raws: new Map(), unsure: new Set() }
      if (!find) return found
      const taken = new Set<string>()
      for (const batch of pushBatches(push, 'find', records, context)) {
        const byFields = batch.filter((record) => isKnownByFields(push, record, context))
        const since = new Map<string, Date>()
        const isFree = (id: string, record: PushedRecord) =>
          !taken.has(id) && !(byFields.includes(record) && wasHeld(since.get(id), record))
        const candidates: Candidate[] = []
        let owned = new Map<string, Candidate>()
        let call = find.call(batch, context)
        // with one for each the look is over: of what they may choose from, they take the first
        for (let page = 1; call && page <= MOST_PAGES && owned.size < batch.length; page++) {
          const shown = await lookAt(find, call, batch)
          const ids = shown.candidates
            .filter(({ fits }) => byFields.some((record) => fits.includes(record)))
            .map(({ id }) => id)
          const held = ids.length === 0 ? [] : await heldSince(ids)
          for (const [id, at] of held) since.set(id, at)
          candidates.push(...shown.candidates)
          owned = choose(batch, candidates, isFree)
          call = shown.next
        }
        for (const { record_id } of batch) {
          const own = owned.get(record_id)
          if (own !== undefined) {
            taken.add(own.id)
            found.raws.set(record_id, own.raw)
          } else if (call) found.unsure.add(record_id)
        }
      }
      return found
    },
    write: (operation, records, trace) =>
      send(
        push[operation](records, context),
        records.length,
        (answer) => push.written(answer, records, context),
        {
          repeatable: operation === 'update' ||
            records.every((record) => isRepeatable(push, record, context)),
          ...(trace ? { trace } : {}),
        },
      ),
    remove(ids, trace) {
      const { remove } = push
      if (!remove) throw new TypeError(`${connector.slug} deletes no ${stream.name}`)
      return send(
        remove.call(ids, context),
        ids.length,
        (answer) => remove.removed(answer, ids),
        { repeatable: true, ...(trace ? { trace } : {}) },
      )
    },
  }
}

/** Which record is whose, by `record_id`: one for each of them, as far as there are. */
function choose(
  records: PushedRecord[],
  candidates: Candidate[],
  isFree: (id: string, record: PushedRecord) => boolean,
): Map<string, Candidate> {
  const taken = new Set<string>()
  const owned = new Map<string, Candidate>()
  // whoever says most chooses first: what fits it fits those who say less
  for (const record of records.toSorted((a, b) => b.changed.length - a.changed.length)) {
    const own = candidates.find(({ id, fits }) =>
      fits.includes(record) && !taken.has(id) && isFree(id, record)
    )
    if (own === undefined) continue
    taken.add(own.id)
    owned.set(record.record_id, own)
  }
  return owned
}

/** Whether a row had it before this record was sent: then it is another one, however much they look alike. */
const wasHeld = (since: Date | undefined, { sending_at }: PushedRecord) =>
  since !== undefined && sending_at !== null && since.getTime() < Date.parse(sending_at)

/** The platform's own rule, or the same email whatever its case. */
function isRecord(
  { find }: Push,
  stream: Stream,
  raw: unknown,
  record: PushedRecord,
  context: PushContext,
): boolean {
  if (stream.id(raw) === null) return false
  if (find?.matches) return find.matches(raw, record, context)
  const parsed = stream.record.safeParse(raw)
  if (!parsed.success) return false
  const { columns } = stream.toRecord(parsed.data, context)
  const held = columns && 'email' in columns ? emailKey(columns.email) : null
  return held !== null && held === emailOf(record)
}

function isComplete(outcome: PushOutcome): boolean {
  return !('source_id' in outcome) || outcome.source_id !== '' && isStorableId(outcome.source_id)
}

/** An answer that trips up its reader is not what the platform documents. */
function readable<Result>(connector: Connector, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    throw error instanceof AppError ? error : badAnswer(connector, error)
  }
}

const badAnswer = (connector: Connector, cause?: unknown) =>
  new AppError('provider_bad_answer', {
    detail: `${connector.name}’s answer does not say what became of each record.`,
    ...(cause === undefined ? {} : { cause }),
  })
