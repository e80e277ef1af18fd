// Sends changes in calls of the platform's size, and tells what became of each: also when one call fails.
import { isUnknownOutcome } from '../connectors/run-action.ts'
import { emailOf, pushBatches, type PushOutcome } from '../connectors/vocabulary/push.ts'
import type { Trace } from '../http/request.ts'
import { AppError } from '../platform/errors.ts'
import {
  type ChangeOutcome,
  type Operation,
  type OutboundChange,
  toPushedRecord,
} from './outbound-changes.ts'
import { callsOf, contextOf, type PushJob } from './push-job.ts'

export type Sent = {
  /** Changes that are not in it were sent, and nobody knows what became of them. */
  outcomes: ChangeOutcome[]
  /** Why sending ended early: of the account or the platform, not of one record. */
  failure?: unknown
}

/** How many records one call takes. */
export function callSize({ push, run }: PushJob, operation: Operation): number {
  const most = {
    create: push.batch,
    update: push.updateBatch ?? push.batch,
    delete: push.remove?.batch ?? 1,
  }[operation]
  return Math.min(most, run.push_batch_size ?? most)
}

/** @param changes As they were settled; each is sent as what it is now. */
export async function sendChanges(job: PushJob, changes: OutboundChange[]): Promise<Sent> {
  const outcomes: ChangeOutcome[] = []
  let failure: unknown
  const later = twins(changes)
  outcomes.push(...later.map(unsent))
  for (const operation of ['create', 'update', 'delete'] as const) {
    const these = changes.filter((change) =>
      change.operation === operation && !later.includes(change)
    )
    for (const part of inCalls(job, operation, these)) {
      if (failure !== undefined) {
        outcomes.push(...part.map(unsent))
        continue
      }
      const sent = await sendPart(job, operation, part)
      outcomes.push(...sent.outcomes)
      failure = sent.failure
    }
  }
  return { outcomes, failure }
}

function inCalls(job: PushJob, operation: Operation, changes: OutboundChange[]) {
  const size = callSize(job, operation)
  if (operation === 'delete') {
    return Array.from(
      { length: Math.ceil(changes.length / size) },
      (_, index) => changes.slice(index * size, (index + 1) * size),
    )
  }
  const byId = new Map(changes.map((change) => [change.record_id, change]))
  const records = changes.map(toPushedRecord)
  return pushBatches(job.push, operation, records, contextOf(job), size)
    .map((batch) => batch.map(({ record_id }) => byId.get(record_id)!))
}

/** Two new ones with one address are one at the platform: the second is looked for when the first is there. */
function twins(changes: OutboundChange[]): OutboundChange[] {
  const seen = new Set<string>()
  return changes.filter((change) => {
    const email = emailOf(toPushedRecord(change))
    if (change.operation !== 'create' || email === null) return false
    if (seen.has(email)) return true
    seen.add(email)
    return false
  })
}

/**
 * What the platform does not take whole is halved until the record at fault is alone.
 *
 * @param lost They were sent before, and no answer came
 */
async function sendPart(
  job: PushJob,
  operation: Operation,
  changes: OutboundChange[],
  lost = false,
): Promise<Sent> {
  const trace: Trace = { sent: false, lost }
  try {
    return { outcomes: await send(job, operation, changes, trace) }
  } catch (error) {
    if (error instanceof AppError && isAboutRecords(error)) {
      const [only] = changes
      if (changes.length === 1) {
        // not found under its old id: the call may have been repeated because its first answer was lost
        if (mayHaveMoved(job, only!, error)) return { outcomes: [] }
        // the first may have made it: it is looked for, and then refused again if it is not there
        if (operation === 'create' && trace.lost) return { outcomes: [] }
        return { outcomes: [whenRefused(job, operation, only!, error)] }
      }
      const middle = Math.ceil(changes.length / 2)
      const first = await sendPart(job, operation, changes.slice(0, middle), trace.lost)
      const rest = changes.slice(middle)
      if (first.failure !== undefined) {
        return { ...first, outcomes: [...first.outcomes, ...trace.lost ? [] : rest.map(unsent)] }
      }
      const second = await sendPart(job, operation, rest, trace.lost)
      return { ...second, outcomes: [...first.outcomes, ...second.outcomes] }
    }
    return {
      outcomes: isUnknownOutcome(trace, error) ? [] : changes.map(unsent),
      failure: error,
    }
  }
}

async function send(
  job: PushJob,
  operation: Operation,
  changes: OutboundChange[],
  trace: Trace,
): Promise<ChangeOutcome[]> {
  const calls = callsOf(job)
  const said = operation === 'delete'
    ? await calls.remove(changes.map(({ source_id }) => source_id ?? ''), trace)
    : await calls.write(operation, changes.map(toPushedRecord), trace)
  const answered_at = job.outside.clock.now().toISOString()
  return changes.map((change, index) => toOutcome(change, said[index]!, answered_at))
}

function toOutcome(
  { record_id, version, operation }: OutboundChange,
  said: PushOutcome,
  answered_at: string,
): ChangeOutcome {
  const of = { record_id, version }
  if ('refused' in said) return { ...of, status: 'refused', error: said.refused }
  if ('retry' in said) return { ...of, status: 'retry', error: said.retry }
  if (operation === 'delete') return { ...of, status: 'deleted', answered_at }
  const { source_id, source_updated_at } = said
  return { ...of, status: 'sent', source_id, source_updated_at, answered_at }
}

function whenRefused(
  { stream, outside }: PushJob,
  operation: Operation,
  change: OutboundChange,
  { code, detail }: AppError,
): ChangeOutcome {
  const { record_id, version } = change
  const error = { code, message: detail }
  if (code === 'provider_not_found' && operation === 'delete') {
    const answered_at = outside.clock.now().toISOString()
    return { record_id, version, status: 'deleted', answered_at }
  }
  // it has gone since we looked: the next look says so
  const isGone = code === 'provider_not_found' && stream.lookup !== undefined
  return { record_id, version, status: isGone ? 'retry' : 'refused', error }
}

const mayHaveMoved = ({ push }: PushJob, change: OutboundChange, { code }: AppError) =>
  push.idFollowsKey === true && code === 'provider_not_found' &&
  change.operation === 'update' && change.changed.includes('email')

const isAboutRecords = ({ code }: AppError) =>
  code === 'provider_rejected' || code === 'provider_not_found'

export const unsent = ({ record_id, version }: OutboundChange): ChangeOutcome => ({
  record_id,
  version,
  status: 'unsent',
})
