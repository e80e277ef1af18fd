// How does a worker write? A claimed run and its pages, as the sync engine sends them.
import { randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.ts'

/** `sync_logs` as SQL functions answer it. */
export type SyncLogRow = {
  id: string
  integration_id: string
  status: string
  mode: string
  sync_type: string
  fetched_count: number
  created_count: number
  updated_count: number
  unchanged_count: number
  deleted_count: number
  error_count: number
  pushed_count: number
  conflict_count: number
  failed_count: number
  error: { code: string; message: string; next: string } | null
  requested_by: string | null
  attempt_count: number
  started_at: string | null
  finished_at: string | null
  duration_ms: number | null
}

/** One run under a lease, as `claim_sync_run` hands it out. */
export type ClaimedRun = {
  sync_log_id: string
  lease_token: string
  stream: string
  mode: string
  progress: Record<string, unknown>
  has_rows: boolean
  since: string | null
  batch_size: number
  integration: { id: string }
  credentials_id: string | null
  credentials: Record<string, unknown> | null
}

/** One record of a page, with every column a product brings. */
export type ProductRecord = {
  source_id: string
  source_updated_at: string | null
  last_synced_at: string
  content_hash: string
  source_data: Record<string, unknown>
  name: string
  status: string
  price_tiers: unknown[]
  variants: unknown[]
  image_urls: string[]
  [column: string]: unknown
}

/** What every record of a page has, whatever its stream. */
export type PageRecord = Pick<ProductRecord, 'source_id' | 'content_hash'>

export type PageResult = {
  committed: boolean
  differing?: number[]
  created?: number
  updated?: number
  deleted?: number
}

/** A product as a store would give it; `content` stands for everything the store says about it. */
export function product(
  sourceId: string,
  content = 'first',
  times: { updatedAt?: string | null; syncedAt?: string } = {},
): ProductRecord {
  return {
    source_id: sourceId,
    source_updated_at: times.updatedAt === undefined ? '2026-01-01T00:00:00Z' : times.updatedAt,
    last_synced_at: times.syncedAt ?? '2026-01-02T00:00:00Z',
    content_hash: `hash of ${content}`,
    source_data: { content },
    name: `Product ${content}`,
    description: null,
    brand: 'Acme',
    category: 'Edibles',
    sku: null,
    status: 'active',
    price_amount: '12.50',
    price_currency: 'USD',
    price_tiers: [],
    variants: [],
    image_urls: [],
    stock_quantity: '3',
  }
}

/** Asks for a run of products. */
export function startSync(
  { call }: TestDatabase,
  integrationId: string,
  options: {
    type?: 'manual' | 'scheduled' | 'webhook'
    mode?: 'full' | 'incremental' | 'push'
    allowMassDelete?: boolean
    requestedBy?: string
    stream?: string
  } = {},
): Promise<SyncLogRow> {
  return call('service_role', 'start_sync', {
    p_integration_id: integrationId,
    p_stream: options.stream ?? 'products',
    p_sync_type: options.type ?? 'manual',
    p_mode: options.mode ?? null,
    p_allow_mass_delete: options.allowMassDelete ?? false,
    p_requested_by: options.requestedBy ?? null,
  })
}

/** Takes exactly this run; null when it cannot be had now. */
export function claimRun(
  { call }: TestDatabase,
  syncLogId: string,
  leaseToken: string = randomUUID(),
): Promise<ClaimedRun | null> {
  return call('service_role', 'claim_sync_run', {
    p_sync_log_id: syncLogId,
    p_lease_token: leaseToken,
  })
}

/** Lets the lease of a run end, as when its worker died a while ago. */
export async function expireLease(
  { admin }: TestDatabase,
  { sync_log_id }: { sync_log_id: string },
): Promise<void> {
  await admin`
    update private.sync_runs set
      leased_at = now() - interval '300 seconds', lease_expires_at = now() - interval '1 second'
    where sync_log_id = ${sync_log_id}`
}

/** Reads a run's log. */
export function readLog({ call }: TestDatabase, syncLogId: string): Promise<SyncLogRow> {
  return call('service_role', 'read_sync_log', { p_sync_log_id: syncLogId })
}

/** Starts a run and takes it. */
export async function openRun(
  database: TestDatabase,
  integrationId: string,
  options: Parameters<typeof startSync>[2] = {},
): Promise<ClaimedRun> {
  const log = await startSync(database, integrationId, options)
  const run = await claimRun(database, log.id)
  if (!run) throw new Error(`the run ${log.id} could not be claimed`)
  return run
}

/** Arguments by which a SQL function knows who holds the run. */
export const lease = (run: ClaimedRun) => ({
  p_sync_log_id: run.sync_log_id,
  p_lease_token: run.lease_token,
})

/** Arguments of `write_sync_page` for one batch. `ask`: without its records, as the engine asks first. */
export function page(
  run: ClaimedRun,
  records: PageRecord[],
  options: {
    ask?: boolean
    number?: number
    progress?: Record<string, unknown>
    deletions?: Record<string, unknown>[]
    refused?: Record<string, unknown>[]
  } = {},
): Record<string, unknown> {
  return {
    ...lease(run),
    p_source_ids: records.map((record) => record.source_id),
    p_content_hashes: records.map((record) => record.content_hash),
    p_progress: { batch_count: options.number ?? 1, ...options.progress },
    p_fetched: records.length + (options.refused?.length ?? 0),
    p_records: options.ask ? null : records,
    p_deletions: options.deletions ?? [],
    p_refused: options.refused ?? [],
  }
}

/** Commits one batch, or asks what of it differs. */
export function writePage(
  { call }: TestDatabase,
  run: ClaimedRun,
  records: PageRecord[],
  options: Parameters<typeof page>[2] = {},
): Promise<PageResult> {
  return call('service_role', 'write_sync_page', page(run, records, options))
}

/** Ends a run. */
export function finishRun(
  { call }: TestDatabase,
  run: ClaimedRun,
  status: 'success' | 'partial' | 'failed' = 'success',
  error: SyncLogRow['error'] = null,
): Promise<SyncLogRow> {
  return call('service_role', 'finish_sync_run', {
    ...lease(run),
    p_status: status,
    p_error: error,
  })
}

/** A whole run of one page, read completely: what it does not list is not deleted. */
export async function syncOnce(
  database: TestDatabase,
  integrationId: string,
  records: PageRecord[],
  options: Parameters<typeof startSync>[2] = {},
): Promise<SyncLogRow> {
  const run = await openRun(database, integrationId, options)
  await writePage(database, run, records)
  return await finishRun(database, run)
}
