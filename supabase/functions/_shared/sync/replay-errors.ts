// Tries refused records again, after the record or the mapping was repaired.
import { findStream } from '../connectors/define-connector.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import { DatabaseError } from '../platform/database.ts'
import type { Outside } from '../platform/outside.ts'
import { AppError } from '../platform/errors.ts'
import { Collector, type MapContext } from './map-page.ts'
import type { Batch } from './write-batch.ts'

type OpenError = {
  id: string
  payload: unknown
  last_seen_at: string
}
type Outcome = {
  id: string
  ok: boolean
  code?: string
  message?: string
  issues?: unknown
}
type Open = {
  connector: string
  settings: Record<string, unknown>
  account: Record<string, string>
  open_count: number
  errors: OpenError[]
}

/** Errors tried in one call. */
const MOST_ERRORS = 1_000

/** Errors written, and their outcomes recorded, at once. */
const BATCH_SIZE = 200

/** No new batch is begun after this: the caller's connection does not last for ever. */
const ANSWER_WITHIN_MS = 50_000

/**
 * Tries open errors again, in batches: one that fails again does not hold back the others. Needs the
 * connector and the settings only, never the credentials, so the account may be disconnected.
 *
 * @param request.after The last error of the call before; only those behind it are tried.
 * @throws AppError `integration_not_found`, `stream_not_found`, or `invalid_settings` when the stored
 *   settings no longer suit the connector.
 */
export async function replayErrors(
  { db, clock }: Outside,
  request: {
    integration_id: string
    stream: string
    sync_error_ids?: string[]
    after?: string
  },
): Promise<{
  replayed: number
  resolved: number
  failed: number
  remaining: number
  next: string | null
}> {
  const deadline = clock.now().getTime() + ANSWER_WITHIN_MS
  const open = await db.call<Open | null>('list_open_sync_errors', {
    p_integration_id: request.integration_id,
    p_stream: request.stream,
    p_ids: request.sync_error_ids ?? null,
    p_after: request.after ?? null,
    p_limit: MOST_ERRORS,
  })
  if (!open) throw new AppError('integration_not_found')
  const connector = requireConnector(open.connector)
  const stream = findStream(connector, request.stream)
  const settings = connector.settings.safeParse(open.settings)
  if (!settings.success) {
    throw new AppError('invalid_settings', {
      detail: `The integration's settings no longer suit ${connector.name}: correct them first.`,
      cause: settings.error,
    })
  }
  const mapping = { connector, stream: stream.name, settings: settings.data, facts: open.account }
  const outcomes: Outcome[] = []
  const hasTime = () => outcomes.length === 0 || clock.now().getTime() < deadline
  while (outcomes.length < open.errors.length && hasTime()) {
    const batch = open.errors.slice(outcomes.length, outcomes.length + BATCH_SIZE)
    const tried = await tryBatch(mapping, batch, (rows) =>
      db.call('apply_records', {
        p_integration_id: request.integration_id,
        p_stream: stream.name,
        p_records: rows.rows,
        p_deletions: rows.deletions,
        p_resolution: 'replayed',
      }))
    await db.call('record_replay', {
      p_integration_id: request.integration_id,
      p_outcomes: tried,
    })
    outcomes.push(...tried)
  }
  const resolved = outcomes.filter((outcome) => outcome.ok).length
  const remaining = open.open_count - outcomes.length
  return {
    replayed: outcomes.length,
    resolved,
    failed: outcomes.length - resolved,
    remaining,
    next: remaining > 0 ? open.errors[outcomes.length - 1]?.id ?? request.after ?? null : null,
  }
}

/**
 * Maps the errors' payloads and writes what comes through, together. What the table does not take is
 * found by halving, as a run does.
 */
async function tryBatch(
  mapping: MapContext,
  errors: OpenError[],
  write: (batch: Batch) => Promise<unknown>,
): Promise<Outcome[]> {
  const collected = new Collector(mapping)
  const sound: OpenError[] = []
  const outcomes: Outcome[] = []
  for (const error of errors) {
    // as old as when it was read: what was synced since is newer
    collected.add({ records: [error.payload], fetched_at: error.last_seen_at })
    const refused = collected.takeRefused()[0]
    if (refused) {
      const { code, message, issues } = refused
      outcomes.push({ id: error.id, ok: false, code, message, issues })
    } else sound.push(error)
  }
  if (sound.length === 0) return outcomes
  try {
    await write(collected.take())
    return [...outcomes, ...sound.map(({ id }) => ({ id, ok: true }))]
  } catch (error) {
    if (!(error instanceof DatabaseError && error.isAboutData)) throw error
    if (sound.length > 1) {
      const middle = Math.ceil(sound.length / 2)
      return [
        ...outcomes,
        ...await tryBatch(mapping, sound.slice(0, middle), write),
        ...await tryBatch(mapping, sound.slice(middle), write),
      ]
    }
    const message = `The table does not take it: ${error.message}`
    const [{ id }] = sound as [OpenError]
    return [...outcomes, { id, ok: false, code: 'invalid_record', message, issues: [] }]
  }
}
