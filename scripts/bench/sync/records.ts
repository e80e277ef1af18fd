// The catalog that is written, and its batches as the sync engine would write them.
import { createCatalog } from '../../simulators/treez/catalog.ts'
import { treez } from '../../../supabase/functions/_shared/connectors/treez.ts'
import { Collector } from '../../../supabase/functions/_shared/sync/map-page.ts'
import type { Batch } from '../../../supabase/functions/_shared/sync/write-batch.ts'

/** Every twentieth record is another one. */
export const CHANGED_SHARE = 0.05

/** As text, so that the records of a pass are made when they are due and a large catalog costs no garbage collection. */
export type Catalog = string[]

export function generateCatalog(records: number): Catalog {
  const catalog = createCatalog({
    seed: 1,
    products: records,
    brokenShare: 0,
    recordSize: 'compact',
    now: () => Date.now(),
  })
  // a record that supersedes others brings deletions, which the other paths have no word for
  return catalog.list().map((record) => JSON.stringify({ ...record, merged_from_product_ids: [] }))
}

/** The platform's records, read again now. With `changed`, every twentieth has another price and stock. */
export function* readBatches(
  catalog: Catalog,
  size: number,
  changed: boolean,
): Generator<Batch> {
  const { settings, account: facts } = treez.readAccount({
    settings: { dispensary: 'bench' },
    credentials: { client_id: 'bench', api_key: 'bench' },
  })
  const collector = new Collector({ connector: treez, stream: 'products', settings, facts })
  for (let start = 0; start < catalog.length; start += size) {
    const now = new Date().toISOString()
    const records = catalog.slice(start, start + size).map((text, index) => {
      const record = JSON.parse(text) as Record<string, unknown>
      if (!changed || (start + index) % (1 / CHANGED_SHARE) !== 0) return record
      return { ...record, sellable_quantity: 999, last_updated_at: now }
    })
    collector.add({ records, fetched_at: now })
    yield collector.take()
  }
}
