// The calls of a push to one account, each with one outcome for every record that was sent.
import { AppError } from '../platform/errors.ts'
import type { Account } from './account.ts'
import type { CallOptions } from './call-platform.ts'
import type { Connector, Stream } from './define-connector.ts'
import type { PlatformCall } from './vocabulary/platform-call.ts'
import {
  emailKey,
  emailOf,
  isRepeatable,
  type Push,
  pushBatches,
  type PushContext,
  type PushedRecord,
  type PushOutcome,
} from './vocabulary/push.ts'
import { isStorableId } from './vocabulary/stream-definition.ts'

/** Errors are AppErrors; `trace` says whether the platform may have carried out what failed. */
export type PushCalls = {
  /**
   * Raw records that are there already, by `record_id`. Each is found for one record only. Records that cannot be
   * looked for are not in it, and neither are those that are not there.
   */
  find(records: PushedRecord[]): Promise<Map<string, unknown>>
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

  return {
    async find(records) {
      const found = new Map<string, unknown>()
      if (!push.find) return found
      for (const batch of pushBatches(push, 'find', records, context)) {
        const call = push.find.call(batch, context)
        if (!call) continue
        const { body } = await account.call(call)
        const raws = readable(connector, () => push.find!.records(body))
        if (!Array.isArray(raws)) throw badAnswer(connector)
        const left = new Set<unknown>(raws)
        for (const record of batch) {
          const own = [...left].find((raw) =>
            readable(connector, () => isRecord(push, stream, raw, record, context))
          )
          if (own === undefined) continue
          left.delete(own)
          found.set(record.record_id, own)
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
