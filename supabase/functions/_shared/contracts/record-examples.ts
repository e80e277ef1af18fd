// One record of each stream as an event shows it, for people who read the catalog of events.
import type { z } from 'zod'
import { AnalyticsColumns } from './analytics.ts'
import { ContactColumns } from './contacts.ts'
import { MessageColumns } from './messages.ts'
import { OrderColumns } from './orders.ts'
import { ProductColumns } from './products.ts'
import { RecordColumns } from './records.ts'
import { SocialPostColumns } from './social-posts.ts'

function record<Columns extends z.ZodObject>(
  stream: string,
  what: string,
  columns: Columns,
  example: z.input<Columns>,
) {
  return { stream, what, columns, example }
}

/** By the first word of their event types (`private.stream_tables.record_name`). */
export const RECORDS = {
  product: record('products', 'An item for sale', ProductColumns, {
    name: 'Oak stool',
    description: 'Three legs.',
    brand: null,
    category: 'furniture',
    sku: 'OS-1',
    status: 'active',
    price_amount: '49.50',
    price_currency: 'EUR',
    price_tiers: [{ start: '10', amount: '45.00' }],
    variants: [],
    image_urls: ['https://shop.example/stool.jpg'],
    stock_quantity: '3',
  }),
  contact: record('contacts', 'A contact, lead or customer', ContactColumns, {
    kind: 'customer',
    email: 'ada@example.com',
    first_name: 'Ada',
    last_name: 'Lovelace',
    full_name: 'Ada Lovelace',
    phone: null,
    company: null,
    job_title: null,
    marketing_status: 'subscribed',
    tags: ['vip'],
    address: null,
    image_url: null,
  }),
  message: record('messages', 'A mail or chat message', MessageColumns, {
    channel: 'email',
    direction: 'inbound',
    thread_id: 't1',
    reply_to_id: null,
    sender_name: 'Ada',
    sender_address: 'ada@example.com',
    recipients: [{ name: null, address: 'shop@example.com', kind: 'to' }],
    subject: 'Stools',
    body_text: 'Are they in stock?',
    snippet: 'Are they in stock?',
    sent_at: '2026-11-20T09:00:00+00:00',
    is_read: false,
    attachments: [],
    sentiment_score: 0,
    requires_response: true,
    permalink: null,
  }),
  social_post: record('social_posts', 'A post', SocialPostColumns, {
    kind: 'post',
    is_own: true,
    author_id: '1',
    author_name: 'Acme',
    author_handle: 'acme',
    body_text: 'New stools!',
    language: 'en',
    published_at: '2026-11-20T09:00:00+00:00',
    permalink: 'https://social.example/acme/1',
    conversation_id: '1',
    reply_to_id: null,
    like_count: 5,
    reply_count: 2,
    repost_count: 1,
    quote_count: null,
    impression_count: null,
    media_urls: [],
    sentiment_score: null,
    requires_response: false,
  }),
  order: record('orders', 'An order or payment', OrderColumns, {
    kind: 'order',
    number: '#1001',
    status: 'paid',
    total_amount: '49.50',
    refunded_amount: null,
    currency: 'EUR',
    customer_source_id: 'c1',
    customer_email: 'ada@example.com',
    description: null,
    placed_at: '2026-11-20T09:00:00+00:00',
    line_items: [{
      source_id: '1',
      name: 'Oak stool',
      sku: 'OS-1',
      quantity: '1',
      unit_amount: '49.50',
    }],
  }),
  metric: record('analytics', 'One number of one day', AnalyticsColumns, {
    day: '2026-11-20',
    metric: 'unique_opens',
    value: '120',
    dimension: 'Newsletter',
  }),
  record: record('records', 'A row of a table that its owner invented', RecordColumns, {
    collection: 'tbl1',
    collection_name: 'Suppliers',
    name: 'Timber Ltd',
    fields: { Name: 'Timber Ltd', Rating: 4.5 },
  }),
}
