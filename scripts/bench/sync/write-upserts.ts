// What people write: supabase-js upserts, one record a call or many.
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Integration } from './bench-store.ts'
import { type Catalog, readBatches } from './records.ts'
import { Stopwatch } from './stopwatch.ts'

/** @param size Records a call. Answers the seconds that the calls took. */
export async function writeUpserts(
  supabase: SupabaseClient,
  integration: Integration,
  catalog: Catalog,
  changed: boolean,
  size: number,
): Promise<number> {
  const clock = new Stopwatch()
  for (const { rows } of readBatches(catalog, size, changed)) {
    const records = rows.map((row) => ({
      organization_id: integration.organization_id,
      integration_id: integration.id,
      source: 'treez',
      ...row,
    }))
    const { error } = await clock.time(async () =>
      await supabase.from('products').upsert(size === 1 ? records[0]! : records, {
        onConflict: 'integration_id,source_id',
      })
    )
    if (error) throw error
  }
  return clock.seconds
}
