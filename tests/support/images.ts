// What is in the queue of images? Products that show addresses, and a worker's calls as the engine sends them.
import { createHash, randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.ts'
import { connectIntegration } from './integrations.ts'
import { product, type ProductRecord, syncOnce } from './sync-runs.ts'

export type ClaimedImage = { id: string; organization_id: string; url: string }

export type SourceRow = {
  id: string
  url: string
  status: string
  asset_id: string | null
  attempt_count: number
  last_error: { code: string } | null
  seconds_to_go: number
}

/** An address that nobody else has. */
export const newUrl = (name = 'image.png') => `https://images.example/${randomUUID()}/${name}`

/** A product that shows these addresses. */
export const showing = (sourceId: string, ...urls: string[]): ProductRecord => ({
  ...product(sourceId, `${sourceId} shows ${urls}`, { updatedAt: null }),
  last_synced_at: new Date().toISOString(),
  image_urls: urls,
})

/** Writes products as a sync does, to a new integration of the organization. */
export async function writeProducts(
  database: TestDatabase,
  organizationId: string,
  records: ProductRecord[],
  integrationId?: string,
): Promise<string> {
  const id = integrationId ?? (await connectIntegration(database, organizationId)).id
  await syncOnce(database, id, records)
  return id
}

/** Claims what is due, under a token of its own unless given one. */
export async function claimImages(
  { call }: TestDatabase,
  options: { token?: string; limit?: number } = {},
): Promise<{ token: string; images: ClaimedImage[] }> {
  const token = options.token ?? randomUUID()
  const images = await call<ClaimedImage[]>('service_role', 'claim_images', {
    p_lease_token: token,
    ...(options.limit ? { p_limit: options.limit } : {}),
  })
  return { token, images }
}

/** What the engine says of an image that it stored; `content` stands for the bytes. */
export function stored({ id, organization_id }: ClaimedImage, content: string) {
  const content_hash = createHash('sha256').update(content).digest('hex')
  const storage_path = `${organization_id}/${content_hash.slice(0, 2)}/${content_hash}.png`
  const asset = { content_hash, storage_path, content_type: 'image/png', byte_size: content.length }
  return { id, asset: { ...asset, width: 1, height: null } }
}

/** What the engine says of an image that it could not get. */
export function failed({ id }: ClaimedImage, options: Record<string, unknown> = {}) {
  const error = {
    code: 'provider_not_found',
    message: 'images.example answered 404.',
    next: 'owner',
  }
  return { id, error, is_final: false, ...options }
}

export const finishImages = (
  { call }: TestDatabase,
  token: string,
  outcomes: unknown[],
  handOver = false,
): Promise<null> =>
  call('service_role', 'finish_images', {
    p_lease_token: token,
    p_outcomes: outcomes,
    p_hand_over: handOver,
  })

/** Nothing waits and nobody holds anything: what other tests left behind is out of the way. */
export async function emptyImageQueue({ admin }: TestDatabase): Promise<void> {
  await admin`delete from private.image_changes`
  await admin`delete from public.media_sources where status = 'queued'`
}

export async function readSources(
  { admin }: TestDatabase,
  organizationId: string,
): Promise<SourceRow[]> {
  return await admin<SourceRow[]>`
    select id, url, status, asset_id, attempt_count, last_error,
      extract(epoch from run_at - now())::float8 as seconds_to_go
    from public.media_sources where organization_id = ${organizationId} order by url`
}

/** What products or contacts show, by their id at the platform: the content's hash, or null. */
export async function readLinks(
  { admin }: TestDatabase,
  organizationId: string,
  table: 'products' | 'contacts' = 'products',
): Promise<Record<string, string | null>> {
  const rows = await admin`
    select record.source_id, asset.content_hash from public.${admin(table)} as record
    left join public.media_assets as asset on asset.id = record.image_asset_id
    where record.organization_id = ${organizationId} order by record.source_id`
  return Object.fromEntries(rows.map(({ source_id, content_hash }) => [source_id, content_hash]))
}

export const hashOf = (content: string) => createHash('sha256').update(content).digest('hex')
