// Records of which webhooks only say that they changed: asked for by their ids, all of a stream together.
import type { Connector } from '../connectors/define-connector.ts'
import { findStream } from '../connectors/define-connector.ts'
import { openIntegration, readIntegration } from '../integrations/open-integration.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import type { ConcernedIntegration, Write } from './claimed-webhooks.ts'
import { collectorFor, isNothing, writeOf } from './route-webhook.ts'

/** For all ids of one stream; a sync of what changed costs less than more. */
const MOST_CALLS = 5

export type LookUp = {
  connector: Connector
  integration: ConcernedIntegration
  stream: string
  source_ids: string[]
}

/**
 * The records as they are now, by id; what the platform no longer has is left out. Null where the stream has to be
 * read instead: it cannot be asked by id, there are too many, or the platform does not answer just now.
 */
export async function lookUpChanged(
  outside: Outside,
  { connector, integration, stream, source_ids }: LookUp,
  signal: AbortSignal,
): Promise<Map<string, Write> | null> {
  const { id, lookup } = findStream(connector, stream)
  if (!lookup || source_ids.length > MOST_CALLS * lookup.max) return null
  const fetched_at = outside.clock.now().toISOString()
  try {
    const open = await readIntegration(outside.db, integration.id)
    const { account } = openIntegration(open, outside, signal)
    const records = await account.lookup(stream, source_ids)
    const found = new Map<string, Write>()
    for (const record of records) {
      const collected = collectorFor(connector, integration, stream)
      collected.add({ records: [record], fetched_at })
      const write = writeOf({ integration_id: integration.id, stream }, collected)
      const source_id = id(record)
      if (source_id !== null && !isNothing(write)) found.set(source_id, write)
    }
    return found
  } catch (error) {
    // the sync that is asked for instead has its own patience, and tells its owner
    if (error instanceof AppError) {
      outside.log.info('changed records could not be looked up', {
        error,
        stream,
        integration_id: integration.id,
      })
      return null
    }
    throw error
  }
}
