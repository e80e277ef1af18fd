// Is this raw record good, and what does it become?
import { type Connector, findStream } from './define-connector.ts'
import { isStorableId, type RecordContext } from './vocabulary/stream-definition.ts'
import type { SyncedRecord } from './vocabulary/streams.ts'

export type ParsedRecord =
  | { ok: true; record: SyncedRecord }
  | {
    ok: false
    /** Null when not even the id can be read. */
    source_id: string | null
    code: 'invalid_record'
    message: string
    issues: { path: string; message: string }[]
  }

/** Enough to mend a record; a broken one can be wrong in every field. */
const MAX_ISSUES = 20

/** Never throws because of the record: a refused record says which one it is and what is wrong. */
export function parseRecord(
  connector: Connector,
  stream: string,
  raw: unknown,
  context: RecordContext,
): ParsedRecord {
  const found = findStream(connector, stream)
  const refuse = (issues: { path: string; message: string }[]): ParsedRecord => ({
    ok: false,
    source_id: found.id(raw),
    code: 'invalid_record',
    message: issues.map(({ path, message }) => `${path || 'record'}: ${message}`).join('; ').slice(
      0,
      500,
    ),
    issues: issues.slice(0, MAX_ISSUES),
  })

  const parsed = found.record.safeParse(raw)
  if (!parsed.success) {
    return refuse(
      parsed.error.issues.map(({ path, message }) => ({
        path: path.join('.'),
        message,
      })),
    )
  }
  try {
    const record = found.toRecord(parsed.data, context)
    return [record.source_id, ...record.supersedes ?? []].every(isStorableId)
      ? { ok: true, record }
      : refuse([{ path: '', message: 'has an id of more than 500 characters' }])
  } catch (error) {
    // A mapping that trips over one odd record must not stop the page it came on.
    const reason = error instanceof Error ? error.message : String(error)
    return refuse([{ path: '', message: `cannot be mapped: ${reason}` }])
  }
}
