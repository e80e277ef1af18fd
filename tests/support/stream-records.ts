// What do records of each stream look like when a worker writes them? One of each, with all it owes.
import type {
  StreamName,
  STREAMS,
} from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import type { AnalyticsColumns } from '../../supabase/functions/_shared/contracts/analytics.ts'
import type { ContactColumns } from '../../supabase/functions/_shared/contracts/contacts.ts'
import type { MessageColumns } from '../../supabase/functions/_shared/contracts/messages.ts'
import type { OrderColumns } from '../../supabase/functions/_shared/contracts/orders.ts'
import type { RecordColumns } from '../../supabase/functions/_shared/contracts/records.ts'
import type { SocialPostColumns } from '../../supabase/functions/_shared/contracts/social-posts.ts'
import type { z } from 'zod'
import type { TestDatabase } from './database.ts'

const productColumns = {
  name: 'Oak stool',
  description: 'Three legs.',
  brand: null,
  category: null,
  sku: 'OS-1',
  status: 'active' as const,
  price_amount: '49.50',
  price_currency: 'EUR',
  price_tiers: [{ start: '10', amount: '45' }],
  variants: [],
  image_urls: ['https://shop.example/stool.jpg'],
  stock_quantity: '3',
}
const contactColumns: ContactColumns = {
  kind: 'lead',
  email: 'Ada@Example.com',
  first_name: 'Ada',
  last_name: 'Lovelace',
  full_name: 'Ada Lovelace',
  phone: '+44 20 7946 0000',
  company: 'Analytical Engines',
  job_title: 'Countess',
  marketing_status: 'subscribed',
  tags: ['vip', 'so "called"'],
  address: {
    line1: '12 St James’s Square',
    line2: null,
    city: 'London',
    region: null,
    postal_code: 'SW1Y 4JH',
    country: 'GB',
  },
  image_url: null,
}
const messageColumns: MessageColumns = {
  channel: 'email',
  direction: 'inbound',
  thread_id: 't1',
  reply_to_id: null,
  sender_name: 'Ada',
  sender_address: 'ada@example.com',
  recipients: [{ name: null, address: 'shop@example.com', kind: 'to' }],
  subject: 'Stools',
  body_text: 'Are they in stock?',
  snippet: 'Are they',
  sent_at: '2026-01-01T09:00:00+00:00',
  is_read: false,
  attachments: [{
    source_id: null,
    name: 'plan.pdf',
    content_type: 'application/pdf',
    byte_size: 1200,
  }],
  sentiment_score: -0.25,
  requires_response: true,
  permalink: null,
}
const socialPostColumns: SocialPostColumns = {
  kind: 'quote',
  is_own: true,
  author_id: '1',
  author_name: 'Acme',
  author_handle: 'acme',
  body_text: 'New stools!',
  language: 'en',
  published_at: '2026-01-01T09:00:00+00:00',
  permalink: 'https://x.example/acme/1',
  conversation_id: '1',
  reply_to_id: null,
  like_count: 5,
  reply_count: 2,
  repost_count: 1,
  quote_count: null,
  impression_count: 3_000_000_000,
  media_urls: [],
  sentiment_score: null,
  requires_response: false,
}
const orderColumns: OrderColumns = {
  kind: 'order',
  number: '#1001',
  status: 'paid',
  total_amount: '49.50',
  refunded_amount: null,
  currency: 'EUR',
  customer_source_id: 'c1',
  customer_email: 'ada@example.com',
  description: null,
  placed_at: '2026-01-01T09:00:00+00:00',
  line_items: [{
    source_id: '1',
    name: 'Oak stool',
    sku: 'OS-1',
    quantity: '1',
    unit_amount: '49.50',
  }],
}
const analyticsColumns: AnalyticsColumns = {
  day: '2026-01-01',
  metric: 'unique_opens',
  value: '120',
  dimension: 'Newsletter',
}
const recordColumns: RecordColumns = {
  collection: 'tbl1',
  collection_name: 'Suppliers',
  name: 'Timber Ltd',
  fields: { Name: 'Timber Ltd', Rating: 4.5, Tags: ['oak'], 'Nested': { a: null } },
}

/** The columns of one record of each stream. */
export const SAMPLE_COLUMNS: { [Name in StreamName]: z.output<(typeof STREAMS)[Name]> } = {
  products: productColumns,
  contacts: contactColumns,
  messages: messageColumns,
  social_posts: socialPostColumns,
  orders: orderColumns,
  analytics: analyticsColumns,
  records: recordColumns,
}

/** One record on a page; what is not said is as in the sample. A later `day` of January is a newer version. */
export function streamRecord<Name extends StreamName>(
  stream: Name,
  sourceId: string,
  columns: Partial<z.output<(typeof STREAMS)[Name]>> = {},
  day = 1,
) {
  const readAt = `2026-01-${String(day).padStart(2, '0')}T00:00:00Z`
  const all = { ...SAMPLE_COLUMNS[stream], ...columns }
  return {
    source_id: sourceId,
    source_updated_at: readAt as string | null,
    last_synced_at: readAt,
    content_hash: `hash of ${JSON.stringify(all)}`,
    source_data: { from: 'the platform' } as Record<string, unknown>,
    ...all,
  }
}

/** Merges records and deletions outside a run, as a webhook does. */
export function applyRecords(
  { call }: TestDatabase,
  integrationId: string,
  stream: StreamName,
  records: Record<string, unknown>[],
  deletions: Record<string, unknown>[] = [],
): Promise<{ created: number; updated: number; deleted: number }> {
  return call('service_role', 'apply_records', {
    p_integration_id: integrationId,
    p_stream: stream,
    p_records: records,
    p_deletions: deletions,
  })
}
