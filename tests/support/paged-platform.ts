// A platform in this process whose paging, page size and records a test chooses freely. It is reached
// through the `fetch` that engines take, so a run over it costs no sockets.
import { z } from 'zod'
import {
  type Connector,
  defineConnector,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { noAuth } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { decimal } from '../../supabase/functions/_shared/connectors/vocabulary/decimal.ts'
import type { Pagination } from '../../supabase/functions/_shared/connectors/vocabulary/paging.ts'
import { timestamp } from '../../supabase/functions/_shared/connectors/vocabulary/timestamp.ts'
import type { FaultStack } from './fault-stack.ts'

export const PAGED = 'paged'

export type PagedRecord = {
  id: string
  name: string
  updated_at: string
  deleted?: boolean
}

export type PagedOptions = {
  paging: 'page' | 'offset' | 'cursor'
  pageSize: number
  /** The list says how many records it has. */
  withTotal?: boolean
  /** The platform can be asked for ids. */
  withLookup?: boolean
}

/** The connector of such a platform; nothing but the mapping is specific to it. */
export function pagedConnector(options: PagedOptions): Connector {
  const { paging, pageSize: size } = options
  const pagination: Pagination = paging === 'cursor'
    ? { type: 'cursor', param: 'cursor', next: 'next' }
    : { type: paging, param: paging, sizeParam: 'size', size }
  return defineConnector({
    slug: PAGED,
    name: 'Paged',
    description: 'For tests.',
    category: 'commerce',
    docs: 'https://platform.test',
    settings: z.strictObject({}),
    auth: noAuth(),
    baseUrl: 'http://platform.test',
    rateLimit: { requestsPerSecond: 10_000, burst: 10_000 },
    accountId: () => 'one',
    streams: {
      products: {
        path: '/products',
        records: 'data',
        ...(options.withTotal ? { total: 'total' } : {}),
        pagination,
        incremental: { param: 'since', overlapSeconds: 1 },
        ...(options.withLookup ? { lookup: { param: 'ids', max: 5 } } : {}),
        id: 'id',
        record: z.object({
          id: z.string().min(1),
          name: z.string().min(1),
          description: z.string().nullish(),
          price: decimal.nullish(),
          currency: z.string().nullish(),
          updated_at: timestamp.nullish(),
          deleted: z.boolean().optional(),
        }),
        toRecord: (product) => ({
          source_id: product.id,
          source_updated_at: product.updated_at ?? null,
          columns: {
            name: product.name,
            description: product.description ?? null,
            brand: null,
            category: null,
            sku: null,
            status: 'active',
            price_amount: product.price ?? null,
            price_currency: product.currency ?? 'USD',
            price_tiers: [],
            variants: [],
            image_urls: [],
            stock_quantity: null,
          },
          deleted: product.deleted ?? false,
        }),
      },
    },
  })
}

/** Makes the connector known to the database, as a migration would. */
export async function registerPaged({ admin }: Pick<FaultStack, 'admin'>): Promise<void> {
  const streams = [{
    name: 'products',
    direction: 'pull',
    incremental: true,
    detects_deletes: true,
  }]
  await admin`
    insert into public.connectors (
      slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams
    )
    values (
      ${PAGED}, ${PAGED}, 'For tests.', 'commerce', 'https://example.com', '{none}', '{"type": "object"}', '{"type": "object"}',
      ${admin.json(streams)}
    )`
}

/** What the platform holds, listed by id, and how it answers. */
export function pagedPlatform(
  { paging, pageSize, withTotal }: PagedOptions,
  records = new Map<string, PagedRecord>(),
): { records: Map<string, PagedRecord>; fetch: typeof globalThis.fetch } {
  const list = (query: URLSearchParams) => {
    const ids = query.get('ids')?.split(',')
    const since = Date.parse(query.get('since') ?? '')
    return [...records.values()]
      .filter((record) => !ids || ids.includes(record.id))
      .filter((record) => !(Date.parse(record.updated_at) < since))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }
  const answer = (query: URLSearchParams) => {
    const found = list(query)
    const after = query.get('cursor') ?? ''
    const start = paging === 'cursor'
      ? found.filter((record) => record.id <= after).length
      : paging === 'page'
      ? (Number(query.get('page')) - 1) * pageSize
      : Number(query.get('offset'))
    const data = found.slice(start, start + pageSize)
    return {
      data,
      ...(withTotal ? { total: found.length } : {}),
      ...(start + pageSize < found.length ? { next: data.at(-1)?.id } : {}),
    }
  }
  return {
    records,
    fetch: (input) => {
      const { searchParams } = new URL(String(input))
      return Promise.resolve(Response.json(answer(searchParams)))
    },
  }
}
