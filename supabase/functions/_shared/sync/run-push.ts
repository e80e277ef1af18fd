// Sends local changes to the platform: looks first what is there, writes down what is about to go out, sends, and saves
// what became of it.
import { AppError } from '../platform/errors.ts'
import { lookBeforePush, type Seen } from './look-before-push.ts'
import {
  type ChangeOutcome,
  claimChanges,
  finishChanges,
  type OutboundChange,
  type Refusal,
  settleChanges,
  toPushedRecord,
} from './outbound-changes.ts'
import { contextOf, type PushJob } from './push-job.ts'
import { callSize, sendChanges, unsent } from './send-changes.ts'

/** Claimed at once, in calls: while one is sent, the next is looked up where it may be. */
const CALLS_A_CLAIM = 5

/** What a change costs of a slice's records: it is claimed, looked up, merged and sent. */
export const RECORDS_A_CHANGE = 2

/** Rounds in a row that may end without a step ahead, such as two new records with one address. */
const MOST_IDLE_ROUNDS = 3

/**
 * Sends what is due until nothing is, or the budget is spent.
 *
 * @throws What concerns the account or the platform. What was sent until then is saved.
 */
export async function pushChanges(job: PushJob): Promise<'done' | 'spent'> {
  const { run, outside: { db }, push, budget } = job
  const sizes = (['create', 'update', 'delete'] as const).map((operation) =>
    callSize(job, operation)
  )
  const limit = CALLS_A_CLAIM * Math.max(...sizes)
  for (let idle = 0; !job.isSpent();) {
    const claimed = await claimChanges(db, run, limit)
    const [first] = claimed
    if (!first) return 'done'
    const size = callSize(job, first.operation)
    const parts = Array.from(
      { length: Math.ceil(claimed.length / size) },
      (_, index) => claimed.slice(index * size, (index + 1) * size),
    )
    // without a key, only a look after the part before finds that it has made the same record
    const looksAhead = first.operation !== 'create' || push.key !== null
    let hasMoved = false
    let looking: Promise<Seen> | null = null
    for (const [index, part] of parts.entries()) {
      if (index > 0 && job.isSpent()) return 'spent'
      const seen: Seen = await (looking ?? lookBeforePush(job, part))
      const next = parts[index + 1]
      looking = next && looksAhead ? lookBeforePush(job, next) : null
      looking?.catch(() => {}) // an error is met where it is awaited, not while this part is sent
      if (await pushPart(job, part, seen)) hasMoved = true
      budget.recordsLeft -= part.length * RECORDS_A_CHANGE
    }
    idle = hasMoved ? 0 : idle + 1
    if (idle > MOST_IDLE_ROUNDS) {
      throw new AppError('internal_error', {
        detail: `The same ${push.batch} changes come again and again.`,
      })
    }
  }
  return 'spent'
}

/** One call's worth. Answers whether anything came of it. */
async function pushPart(job: PushJob, part: OutboundChange[], seen: Seen): Promise<boolean> {
  const { run, outside: { db } } = job
  const wasLookedFor = part[0]?.operation === 'create'
  if (seen.arrived.length > 0) await finishChanges(db, run, seen.arrived)
  const settled = await settleChanges(db, run, part, seen)
  const [refused, able] = judge(job, settled, seen)
  // before anything is sent: should we die while we send, what is asked about them is still there
  if (refused.length > 0) await finishChanges(db, run, refused)
  // gone from the platform just now, so it has to be made again: nobody has looked for it yet
  const unseen = able.filter(({ operation }) => operation === 'create' && !wasLookedFor)
  const sent = await sendChanges(job, able.filter((change) => !unseen.includes(change)))
  const outcomes = [...unseen.map(unsent), ...sent.outcomes]
  if (outcomes.length > 0) await finishChanges(db, run, outcomes)
  if (sent.failure !== undefined) throw sent.failure
  return seen.arrived.length > 0 || settled.length < part.length || refused.length > 0 ||
    outcomes.some(({ status }) => status !== 'unsent')
}

/** Takes out what must not be sent, by what was seen, or by what the connector knows of its platform. */
function judge(
  job: PushJob,
  changes: OutboundChange[],
  seen: Seen,
): [refused: ChangeOutcome[], able: OutboundChange[]] {
  const refused: ChangeOutcome[] = []
  const able = changes.filter((change) => {
    const { record_id, version } = change
    const error = seen.refused.get(record_id) ?? refusalOf(job, change, seen)
    if (error) refused.push({ record_id, version, status: 'refused', error })
    return !error
  })
  return [refused, able]
}

function refusalOf(job: PushJob, change: OutboundChange, seen: Seen): Refusal | null {
  if (change.operation === 'delete') return null
  const shown = seen.shown.get(change.record_id)
  const message = job.push.refuse?.(toPushedRecord(change), contextOf(job), shown) ?? null
  return message === null ? null : { code: 'push_refused', message }
}
