// Before anything is sent: what does the platform have now? Records by their ids, new ones by what tells them apart.
import { emailOf, isRepeatable, type PushedRecord } from '../connectors/vocabulary/push.ts'
import { AppError } from '../platform/errors.ts'
import { Collector } from './map-page.ts'
import {
  type ChangeOutcome,
  heldSince,
  type Link,
  type OutboundChange,
  type Refusal,
  toPushedRecord,
} from './outbound-changes.ts'
import { callsOf, contextOf, type PushJob } from './push-job.ts'
import type { Deletion, RecordRow } from './write-batch.ts'

export type Seen = {
  /** Records that are not as they are held here. */
  records: RecordRow[]
  /** Ids that the platform no longer has. */
  deletions: Deletion[]
  /** New ones that it has already. */
  links: Link[]
  /** What was sent before and has arrived, though nobody heard: the record has the id that it made. */
  arrived: ChangeOutcome[]
  /** Raw records as the platform has them, by `record_id`. */
  shown: Map<string, unknown>
  /** Changes that cannot be sent, with the reason, by `record_id`. */
  refused: Map<string, Refusal>
}

const nothingSeen = (): Seen => ({
  records: [],
  deletions: [],
  links: [],
  arrived: [],
  shown: new Map(),
  refused: new Map(),
})

/** More ids than this are hardly all gone at once: a look-up that finds none of them may not work. */
const SURPRISINGLY_MANY = 10

/** @param changes All of one operation. */
export async function lookBeforePush(job: PushJob, changes: OutboundChange[]): Promise<Seen> {
  return changes[0]?.operation === 'create'
    ? await findCreates(job, changes)
    : await lookUp(job, changes)
}

async function lookUp(job: PushJob, changes: OutboundChange[]): Promise<Seen> {
  const { outside, account, stream } = job
  const seen = nothingSeen()
  const bySourceId = new Map(changes.map((change) => [change.source_id ?? '', change]))
  const ids = [...bySourceId.keys()]
  if (!stream.lookup || ids.length === 0) return seen
  const fetched_at = outside.clock.now().toISOString()
  const raw = await account.lookup(stream.name, ids)
  const { rows, deletions, refused } = collect(job, raw, fetched_at)
  seen.records = rows.filter((row) =>
    row.content_hash !== bySourceId.get(row.source_id)?.content_hash
  )
  const found = new Set(raw.map((record) => stream.id(record)))
  for (const record of raw) {
    const change = bySourceId.get(stream.id(record) ?? '')
    if (change) seen.shown.set(change.record_id, record)
  }
  const missing = changes.filter(({ source_id }) => source_id !== null && !found.has(source_id))
  const moved = await findMoved(job, missing)
  const gone = missing.filter(({ record_id, sending_version: version }) => {
    const raw = moved.get(record_id)
    if (raw === undefined || version === null) return true
    const source_id = stream.id(raw)!
    seen.arrived.push({ record_id, version, status: 'sent', source_id, answered_at: fetched_at })
    seen.shown.set(record_id, raw)
    return false
  })
  // one that was to be deleted may well be gone: by our own call, whose answer was lost
  const unexpected = gone.filter(({ operation }) => operation !== 'delete')
  if (raw.length === 0 && unexpected.length > SURPRISINGLY_MANY) await proveLookup(job, ids)
  seen.deletions = [
    ...deletions,
    ...gone.map(({ source_id }) => ({ source_id: source_id!, absent_at: fetched_at })),
  ]
  for (const { source_id, code, message } of refused) {
    const change = bySourceId.get(source_id ?? '')
    // what is there now cannot be compared, and writing over it might lose it
    if (change) seen.refused.set(change.record_id, { code, message })
  }
  return seen
}

/** Raw records by `record_id`: where an id is made of the key, did the call whose answer was lost change it? */
async function findMoved(
  job: PushJob,
  missing: OutboundChange[],
): Promise<Map<string, unknown>> {
  if (!job.push.idFollowsKey) return new Map()
  const asked = missing.filter(({ uncertain, sending }) => uncertain && sending?.['email'])
  return (await callsOf(job).find(asked.map(asSent))).raws
}

/**
 * Does a look-up that found none of these ids work? It does if it finds a record that the platform lists. Where nothing
 * is listed either, a complete run decides, with its guard; a stream that is only pushed knows no such run, and
 * believes what both say.
 */
async function proveLookup(
  { account, connector, stream, run, budget }: PushJob,
  ids: string[],
): Promise<void> {
  const page = await account.fetchPage(stream.name, { since: null, cursor: null, bookmark: null })
  budget.recordsLeft -= page.records.length
  const listed = page.records.flatMap((record) => stream.id(record) ?? [])
  const [witness] = listed
  if (witness === undefined) {
    if (page.next === null && run.direction === 'push') return
  } else if (!listed.some((id) => ids.includes(id))) {
    const seen = await account.lookup(stream.name, [witness])
    if (seen.some((record) => stream.id(record) === witness)) return
  }
  const why = witness === undefined
    ? 'and lists no others: if they are really gone, sync the stream completely first'
    : 'nor what it has just listed'
  throw new AppError('provider_bad_answer', {
    detail:
      `${connector.name} finds none of ${ids.length} records by their ids, ${why}. Nothing was sent.`,
  })
}

async function findCreates(job: PushJob, changes: OutboundChange[]): Promise<Seen> {
  const { run, outside: { clock, db }, connector, stream } = job
  const seen = nothingSeen()
  const taken = new Set<string>()
  const unsure = new Set<string>()
  const look = async (records: PushedRecord[]) => {
    const fetched_at = clock.now().toISOString()
    const found = await callsOf(job).find(records, (ids) => heldSince(db, run, ids))
    for (const [record_id, raw] of found.raws) {
      const { rows: [record], refused: [unreadable] } = collect(job, [raw], fetched_at)
      const source_id = stream.id(raw)!
      // one record there is one record here
      if (!(record || unreadable) || taken.has(record_id) || taken.has(source_id)) continue
      taken.add(record_id).add(source_id)
      seen.shown.set(record_id, raw)
      if (record) seen.links.push({ record_id, record })
      // sent, it would be there twice, or over what cannot be compared
      if (unreadable) {
        const message =
          `${connector.name} has it as ${source_id}, which cannot be read: ${unreadable.message}`
        seen.refused.set(record_id, { code: unreadable.code, message })
      }
    }
    for (const record_id of found.unsure) unsure.add(record_id)
  }
  await look(changes.filter((change) => !change.uncertain).map(toPushedRecord))
  const uncertain = changes.filter((change) => change.uncertain)
    .map((change) => ({ now: toPushedRecord(change), then: asSent(change) }))
  const asked = uncertain.filter(({ now, then }) => canBeMadeSure(job, now, then))
  // under the address it was sent with, should that have been edited since
  await look(asked.map(({ then }) => then))
  await look(
    asked.map(({ now }) => now).filter((now, index) => {
      const email = emailOf(now)
      return email !== null && email !== emailOf(asked[index]!.then)
    }),
  )
  const missing = uncertain.filter(({ now }) => !taken.has(now.record_id))
  // those that would be made twice if they were sent again
  const open = missing.filter(({ then }) => !isRepeatable(job.push, then, contextOf(job)))
  for (const pair of missing) {
    const { record_id } = pair.now
    if (asked.includes(pair) && !(open.includes(pair) && unsure.has(record_id))) continue
    seen.refused.set(record_id, {
      code: 'push_unconfirmed',
      message: 'It was sent before, and no answer came: look whether it is there, and push again.',
    })
  }
  waitUntilShown(
    job,
    open.map(({ then }) => then).filter(({ record_id }) => !seen.refused.has(record_id)),
  )
  return seen
}

/** @throws AppError that gives the run back until what was made of these records would show. */
function waitUntilShown({ push, connector, outside }: PushJob, records: PushedRecord[]): void {
  const lagMs = (push.find?.lagSeconds ?? 0) * 1_000
  const sent = Math.max(...records.map(({ sending_at }) => Date.parse(sending_at ?? '')))
  const retryAfterMs = sent + lagMs - outside.clock.now().getTime()
  if (!(retryAfterMs > 0)) return
  throw new AppError('provider_unavailable', {
    detail:
      `${connector.name} did not answer whether it made a record, and may not show it yet: it is asked again before anything is sent.`,
    retryAfterMs,
  })
}

/** As it may be there already. */
function asSent(change: OutboundChange): PushedRecord {
  const columns = change.sending ?? change.columns
  const changed = Object.keys(columns).filter((name) => columns[name] !== null)
  return toPushedRecord({ ...change, columns, changed })
}

/** Can it be found, or sent once more without being made twice? */
function canBeMadeSure(job: PushJob, now: PushedRecord, then: PushedRecord): boolean {
  const { push } = job
  const context = contextOf(job)
  return isRepeatable(push, now, context) && emailOf(now) === emailOf(then) ||
    push.find !== undefined && push.find.call([then], context) !== null
}

function collect(job: PushJob, records: unknown[], fetched_at: string) {
  const collected = new Collector({ ...job, stream: job.stream.name })
  collected.add({ records, fetched_at })
  return collected.take()
}
