// Stripe, payments: customers as contacts and payments as orders.
import { z } from 'zod'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { webhooks } from './stripe/webhooks.ts'
import { type AccountValues, headerKey, secret } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from './vocabulary/stream-definition.ts'

/** Pinned, so that the account's own default never changes what comes. */
const API_VERSION = '2026-07-29.dahlia'
const headers = { 'stripe-version': API_VERSION }

const settings = z.strictObject({
  account_id: z.string().trim().regex(/^acct_[A-Za-z0-9]+$/, 'is an account id like acct_1Abc…')
    .meta({
      title: 'Account id',
      description:
        "acct_…, in Stripe's dashboard under Settings, Account. It tells accounts apart.",
    }),
})
type Settings = z.output<typeof settings>

const text = z.string().nullish()
const minorUnits = z.int()
const currency = z.string().regex(/^[a-zA-Z]{3}$/, 'must be a currency code').toUpperCase()
const unixTime = z.int().min(0).max(253_402_300_799) // to the end of the year 9999
  .transform((seconds) => new Date(seconds * 1000).toISOString())

const Customer = z.object({
  id: z.string().min(1),
  object: z.literal('customer'),
  deleted: z.boolean().optional(),
  email: text,
  name: text,
  business_name: text,
  phone: text,
  address: z.object({
    line1: text,
    line2: text,
    city: text,
    state: text,
    postal_code: text,
    country: text,
  }).nullish(),
})

const Charge = z.object({
  amount: minorUnits,
  amount_captured: minorUnits.nullish(),
  amount_refunded: minorUnits,
  receipt_number: text,
  billing_details: z.object({ email: text }).nullish(),
})

const Payment = z.object({
  id: z.string().min(1),
  object: z.literal('payment_intent'),
  amount: minorUnits,
  amount_received: minorUnits.nullish(),
  currency,
  status: z.string(),
  created: unixTime,
  customer: z.union([z.string(), z.object({ id: z.string() })]).nullish(),
  description: text,
  receipt_email: text,
  last_payment_error: z.unknown(),
  latest_charge: z.union([z.string(), Charge]).nullish(),
})

/** By which a payment changes. */
const PAYMENT_EVENTS = [
  'payment_intent.created',
  'payment_intent.requires_action',
  'payment_intent.processing',
  'payment_intent.amount_capturable_updated',
  'payment_intent.partially_funded',
  'payment_intent.payment_failed',
  'payment_intent.succeeded',
  'payment_intent.canceled',
  'charge.captured',
  'charge.refunded',
  'charge.updated',
  'refund.created',
  'refund.updated',
  'refund.failed',
]

export const stripe = defineConnector({
  slug: 'stripe',
  name: 'Stripe',
  description: 'Customers and payments of a Stripe account.',
  category: 'payments',
  docs: 'https://docs.stripe.com/api', // read 2026-11-20
  guide: [
    "Make a **restricted key** in Stripe's dashboard (Developers, API keys) that may *read* Customers,",
    'PaymentIntents, Charges and refunds, and Events, and may write Webhook Endpoints, or nothing. A secret key works too, and may do',
    'far more than is needed here. Keys of a sandbox or of test mode connect an account beside the live one.',
    'The account id has to be that of the key: a key of another account is refused. A restricted key may not ask Stripe',
    'whose it is unless you let it read that; then the id is taken as typed, and nothing tells if it is wrong.',
    '',
    '- **Contacts** are customers. Stripe has one name for a person or a company: it is in `full_name`.',
    '- **Orders** are payments (PaymentIntents), not charges: one payment is one order, however often the card was',
    '  declined before. Charges made without a PaymentIntent are left out. Refunds are in `refunded_amount`, and the',
    '  status is `partially_refunded` or `refunded`. What was reserved and never collected is no refund.',
    '',
    "Between complete reads, what changed is found by Stripe's events, which it keeps for 30 days; after a longer pause",
    'everything is read. Stripe has no event for a changed description of a payment: complete reads bring that.',
  ].join('\n'),
  settings,

  auth: headerKey({
    credentials: z.strictObject({
      api_key: secret('Restricted or secret key')
        .regex(/^[rs]k_(live|test)_/, 'is a restricted (rk_…) or secret (sk_…) key'),
    }),
    value: ({ credentials }) => `Bearer ${credentials.api_key}`,
  }),
  baseUrl: 'https://api.stripe.com/v1',
  rateLimit: perWindow({ requests: 25, seconds: 1 }), // to one endpoint, or in all in a sandbox
  accountId: ({ settings, credentials }) =>
    /^[rs]k_test_/.test(String(credentials.api_key))
      ? `${settings.account_id}:test`
      : settings.account_id,
  check: {
    path: '/customers',
    query: { limit: '1' },
    headers,
    then: {
      path: '/account',
      headers,
      notKnown: [403], // of restricted keys, as a rule
      verify: refuseKeyOfOthers,
    },
  },
  failure: readFailure,
  webhooks: webhooks(API_VERSION, PAYMENT_EVENTS),

  streams: {
    contacts: {
      read: (context: ReadContext<Settings>) =>
        readObjects(context, {
          path: '/customers',
          events: ['customer.created', 'customer.updated', 'customer.deleted'],
          id: 'id',
        }),
      incremental: { overlapSeconds: 0 }, // the bookmark has its own
      lookup: {
        max: 1,
        call: ([id]) => ({ path: `/customers/${encodeURIComponent(id!)}`, headers, accept: [404] }),
        records: (body) => readPath(body, 'error') === undefined ? [body] : [],
      },
      id: 'id',
      record: Customer,
      toRecord: (customer) => {
        const source = { source_id: customer.id, source_updated_at: null } // Stripe does not say
        if (customer.deleted) return { ...source, deleted: true }
        const { address } = customer
        return {
          ...source,
          columns: {
            kind: 'customer',
            email: customer.email || null,
            first_name: null,
            last_name: null,
            full_name: customer.name || null,
            phone: customer.phone || null,
            company: customer.business_name || null,
            job_title: null,
            marketing_status: null,
            tags: [],
            address: address
              ? {
                line1: address.line1 || null,
                line2: address.line2 || null,
                city: address.city || null,
                region: address.state || null,
                postal_code: address.postal_code || null,
                country: address.country || null,
              }
              : null,
            image_url: null,
          },
        }
      },
    },

    orders: {
      read: (context: ReadContext<Settings>) =>
        readObjects(context, {
          path: '/payment_intents',
          expand: 'latest_charge', // where refunds are counted
          events: PAYMENT_EVENTS,
          id: 'payment_intent',
        }),
      incremental: { overlapSeconds: 0 },
      id: 'id',
      record: Payment,
      toRecord: (payment) => {
        const charge = typeof payment.latest_charge === 'object' ? payment.latest_charge : null
        const total = payment.status === 'succeeded'
          ? payment.amount_received ?? payment.amount
          : payment.amount
        const refunded = payment.status === 'succeeded' ? refundedOf(charge) : 0
        const { customer } = payment
        return {
          source_id: payment.id,
          source_updated_at: null,
          columns: {
            kind: 'payment',
            number: charge?.receipt_number || null,
            status: statusOf(payment, total, refunded),
            total_amount: majorUnits(total, payment.currency),
            refunded_amount: majorUnits(refunded, payment.currency),
            currency: payment.currency,
            customer_source_id: (typeof customer === 'object' ? customer?.id : customer) ?? null,
            customer_email: payment.receipt_email || charge?.billing_details?.email || null,
            description: payment.description || null,
            placed_at: payment.created,
            line_items: [],
          },
        }
      },
    },
  },
})

/** Records of two accounts must not end up in one connection. */
function refuseKeyOfOthers(body: unknown, { settings }: AccountValues): void {
  const id = readPath(body, 'id')
  if (typeof id !== 'string') {
    throw new AppError('provider_bad_answer', {
      detail: 'Stripe does not say whose account this is.',
    })
  }
  if (id === settings.account_id) return
  throw new AppError('invalid_settings', {
    detail: `The key belongs to the Stripe account ${
      platformWords(id)
    }, not to ${settings.account_id}.`,
    errors: [{ path: 'settings.account_id', message: 'is not the account of this key' }],
  })
}

type ObjectList = {
  path: string
  /** What comes within the object instead of its id. */
  expand?: string
  /** Events that say that such an object changed. */
  events: string[]
  /** Where what an event is about names the object; the object itself has it as `id`. */
  id: string
}

const PAGE_SIZE = '100'
const EVENTS_KEPT_SECONDS = 29 * 86_400 // 30 days, less one for a long read
/** An event may become visible a little after its own time. */
const OVERLAP_SECONDS = 300

/**
 * All objects, newest first, or those that events name: Stripe's lists have no filter for what changed.
 * The bookmark is the time, by Stripe's clock, up to which everything has been read.
 */
async function readObjects(context: ReadContext<Settings>, list: ObjectList): Promise<ReadResult> {
  return context.bookmark === null
    ? await readList(context, list)
    : await readChanged(context, list, Number(context.bookmark.read_until))
}

async function readList(
  { place, call, now }: ReadContext<Settings>,
  { path, expand }: ObjectList,
): Promise<ReadResult> {
  const answer = await call({
    path,
    headers,
    query: {
      limit: PAGE_SIZE,
      ...(expand === undefined ? {} : { 'expand[]': `data.${expand}` }),
      ...(place === null ? {} : { starting_after: String(place.after) }),
    },
  })
  const { records, last } = pageOf(answer.body)
  return {
    records,
    next: last === null ? null : { after: last },
    ...(place === null ? { bookmark: bookmarkOf(answer.headers, now) } : {}),
  }
}

async function readChanged(
  { place, call, all, now }: ReadContext<Settings>,
  { path, expand, events, id }: ObjectList,
  readUntil: number,
): Promise<ReadResult> {
  if (!(now.getTime() / 1000 - readUntil < EVENTS_KEPT_SECONDS)) {
    throw new AppError('provider_cursor_expired', {
      detail: 'Stripe no longer has all events since the last run.',
    })
  }
  const answer = await call({
    path: '/events',
    headers,
    query: {
      limit: PAGE_SIZE,
      'types[]': events,
      'created[gte]': String(readUntil - OVERLAP_SECONDS),
      ...(place === null ? {} : { starting_after: String(place.after) }),
    },
  })
  const { records, last } = pageOf(answer.body)
  if (!Array.isArray(records)) return { records, next: null }
  const ids = [
    ...new Set(records.flatMap((event) => {
      const about = readPath(event, 'data.object')
      const own = path === `/${readPath(about, 'object')}s`
      const value = readPath(about, own ? 'id' : id)
      return typeof value === 'string' ? [value] : [] // a charge without a payment
    })),
  ]
  // newest first: what the page before has read again needs no second time for an older event
  const before = Array.isArray(place?.ids) ? place.ids : []
  // read again: an event shows the object as it was then, and events come in any order
  const answers = await all(
    ids.filter((id) => !before.includes(id)).map((id) => ({
      path: `${path}/${encodeURIComponent(id)}`,
      headers,
      ...(expand === undefined ? {} : { query: { 'expand[]': expand } }),
      accept: [404], // test data may be wiped out; a complete read tells
    })),
  )
  return {
    records: answers.flatMap(({ status, body }) => status === 404 ? [] : [body]),
    next: last === null ? null : { after: last, ids },
    ...(place === null ? { bookmark: bookmarkOf(answer.headers, now) } : {}),
  }
}

/** `last` is null on the last page. */
function pageOf(body: unknown): { records: unknown[]; last: string | null } {
  const records = readPath(body, 'data') as unknown[]
  const last = Array.isArray(records) ? readPath(records.at(-1), 'id') : undefined
  const more = readPath(body, 'has_more') === true
  return { records, last: more && typeof last === 'string' ? last : null }
}

function bookmarkOf(headers: Headers, now: Date): { read_until: number } {
  const time = Date.parse(headers.get('date') ?? '')
  return { read_until: Math.floor((Number.isNaN(time) ? now.getTime() : time) / 1000) }
}

function statusOf(
  { status, last_payment_error }: z.output<typeof Payment>,
  total: number,
  refunded: number,
) {
  if (status === 'canceled') return 'cancelled'
  if (status === 'requires_payment_method' && last_payment_error) return 'failed'
  if (status !== 'succeeded') return 'pending'
  if (refunded === 0) return 'paid'
  return refunded < total ? 'partially_refunded' : 'refunded'
}

/** Stripe counts what was reserved and never collected as refunded; nobody paid that. */
function refundedOf(charge: z.output<typeof Charge> | null): number {
  if (!charge) return 0
  const released = charge.amount - (charge.amount_captured ?? charge.amount)
  return Math.max(0, charge.amount_refunded - released)
}

/** Without decimals at Stripe. Two that have none elsewhere, ISK and UGX, have two here. */
const ZERO_DECIMAL = [
  ...['BIF', 'CLP', 'DJF', 'GNF', 'JPY', 'KMF', 'KRW', 'MGA', 'PYG', 'RWF', 'VND', 'VUV', 'XAF'],
  ...['XOF', 'XPF'],
]
const THREE_DECIMAL = ['BHD', 'JOD', 'KWD', 'OMR', 'TND']

/** 1999 of EUR is 19.99: by moving the point in the text, so nothing is ever rounded. */
function majorUnits(amount: number, currency: string): string {
  const digits = ZERO_DECIMAL.includes(currency) ? 0 : THREE_DECIMAL.includes(currency) ? 3 : 2
  const text = String(Math.abs(amount)).padStart(digits + 1, '0')
  const point = text.length - digits
  const fraction = text.slice(point).replace(/0+$/, '')
  return `${amount < 0 ? '-' : ''}${text.slice(0, point)}${fraction && `.${fraction}`}`
}

function readFailure({ status, headers, body }: JudgedAnswer): Failure | null {
  if (status < 400) return null
  const shouldRetry = headers.get('stripe-should-retry')
  const isTrouble = status === 429 || status >= 500
  if (readPath(body, 'error.param') === 'starting_after' && !isTrouble) {
    return { code: 'provider_cursor_expired', detail: 'Stripe no longer knows our place.' }
  }
  if (isTrouble && shouldRetry === 'false') {
    return {
      code: 'provider_bad_answer',
      detail: `Stripe answered ${status}, and not to ask again.`,
    }
  }
  // somebody else is changing that object: no reason for others to slow down
  if (status === 429 && readPath(body, 'error.code') === 'lock_timeout') {
    return { code: 'provider_unavailable', detail: 'The object is locked at Stripe for now.' }
  }
  if (!isTrouble && shouldRetry === 'true') {
    return { code: 'provider_unavailable', detail: `Stripe answered ${status}, and to ask again.` }
  }
  if (status !== 403 || headers.has('retry-after')) return null
  const [permission] = /\brak_\w+/.exec(String(readPath(body, 'error.message') ?? '')) ?? []
  return {
    code: 'provider_forbidden',
    detail: permission === undefined
      ? 'Stripe does not let this key read that.'
      : `Stripe does not let this key read that: it lacks the permission ${permission}.`,
  }
}
