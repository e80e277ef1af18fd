// Our path: a run under its lease, batch after batch, exactly as the sync engine writes it.
import { claimRun, finishRun } from '../../../supabase/functions/_shared/sync/claimed-run.ts'
import type { Database } from '../../../supabase/functions/_shared/platform/database.ts'
import { writeBatch } from '../../../supabase/functions/_shared/sync/write-batch.ts'
import type { Integration } from './bench-store.ts'
import { type Catalog, readBatches } from './records.ts'
import { Stopwatch } from './stopwatch.ts'

/** Writes a catalog in one full run. Answers the seconds that writing took. */
export async function writeOurs(
  db: Database,
  integration: Integration,
  catalog: Catalog,
  changed: boolean,
): Promise<number> {
  const log = await db.call<{ id: string }>('start_sync', {
    p_integration_id: integration.id,
    p_stream: 'products',
    p_sync_type: 'manual',
    p_mode: 'full',
    p_wake: false,
  })
  const run = await claimRun(db, log.id)
  if (!run) throw new Error('the run that was just started could not be claimed')

  const clock = new Stopwatch()
  const scan_started_at = new Date().toISOString()
  let page = 1
  for (const batch of readBatches(catalog, run.batch_size, changed)) {
    const place = {
      ...run.progress,
      scanning: true,
      scan_started_at,
      first_load: !run.has_rows,
      cursor: { page: ++page },
    }
    await clock.time(() => writeBatch(db, run, batch, place))
  }
  const finished = await finishRun(db, run, 'success')
  expectCounts(finished, catalog, { firstLoad: !run.has_rows, changed })
  return clock.seconds
}

/** A fast path that wrote something else would win every race. */
function expectCounts(
  log: { created_count: number; updated_count: number; unchanged_count: number },
  catalog: Catalog,
  { firstLoad, changed }: { firstLoad: boolean; changed: boolean },
): void {
  const updated = changed ? Math.ceil(catalog.length / 20) : 0
  const expected = firstLoad ? [catalog.length, 0, 0] : [0, updated, catalog.length - updated]
  const counts = [log.created_count, log.updated_count, log.unchanged_count]
  if (String(counts) !== String(expected)) {
    throw new Error(`the run counted ${counts} (created, updated, unchanged), not ${expected}`)
  }
}
