// A small connector for each word of the vocabulary that no registered connector uses yet.
import { z } from 'zod'
import { defineConnector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  type Auth,
  basicKey,
  headerKey,
  oauth2,
  queryKey,
  secret,
} from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { Pagination } from '../../supabase/functions/_shared/connectors/vocabulary/paging.ts'

const auths = {
  header: headerKey({
    credentials: z.strictObject({ key: secret('Key') }),
    value: ({ credentials }) => `Bearer ${credentials.key}`,
  }),
  query: queryKey({
    credentials: z.strictObject({ key: secret('Key') }),
    name: 'api_key',
    value: ({ credentials }) => credentials.key,
  }),
  basic: basicKey({
    credentials: z.strictObject({ key: secret('Key') }),
    username: () => 'plugboard',
    password: ({ credentials }) => credentials.key,
  }),
  oauth2: oauth2({
    authorization_endpoint: 'https://acme.example/oauth/authorize',
    token_endpoint: 'https://acme.example/oauth/token',
    scope: 'products:read',
  }),
} satisfies Record<string, Auth>

export type SampleAuth = keyof typeof auths

/** `{ products: [{ id, title, updated }], paging: { next, total } }` at acme.example. */
export function sampleConnector(
  pagination: Pagination,
  auth: SampleAuth = 'header',
  total?: string,
) {
  return defineConnector({
    slug: `acme-${pagination.type}-${auth}`,
    name: 'Acme',
    description: 'Products of an Acme shop.',
    category: 'commerce',
    docs: 'https://acme.example/docs',
    settings: z.strictObject({ shop: z.string().min(1) }),
    auth: auths[auth],
    baseUrl: 'https://{shop}.acme.example/v1',
    rateLimit: { requestsPerSecond: 4, burst: 4 },
    accountId: ({ settings }) => settings.shop,
    streams: {
      products: {
        path: '/products',
        records: 'products',
        total,
        pagination,
        incremental: { param: 'updated_since', overlapSeconds: 1 },
        id: 'id',
        record: z.object({ id: z.string().min(1), title: z.string().min(1) }),
        toRecord: ({ id, title }) => ({
          source_id: id,
          source_updated_at: null,
          columns: {
            name: title,
            description: null,
            brand: null,
            category: null,
            sku: null,
            status: 'active',
            price_amount: null,
            price_currency: null,
            price_tiers: [],
            variants: [],
            image_urls: [],
            stock_quantity: null,
          },
        }),
      },
    },
  })
}
