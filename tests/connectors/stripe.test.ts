import { describe, expect, it, onTestFinished } from 'vitest'
import {
  startStripeSimulator,
  type StripeSimulatorOptions,
} from '../../scripts/simulators/stripe.ts'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
  type Place,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { stripe } from '../../supabase/functions/_shared/connectors/stripe.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'
import { pacedBudget } from './paced-budget.ts'
import { stripeWebhooks } from './webhooks/stripe.ts'

const NOW = '2026-11-20T09:00:00Z'

const ada = {
  id: 'cus_ada',
  object: 'customer',
  address: {
    city: 'London',
    country: 'GB',
    line1: '12 St James Square',
    line2: '',
    postal_code: 'SW1Y 4JH',
    state: null,
  },
  balance: 0,
  created: 1_780_000_000,
  currency: 'gbp',
  delinquent: false,
  email: 'ada@example.com',
  livemode: false,
  metadata: {},
  name: 'Ada Byron',
  phone: '+15551234567',
}
const nobody = { ...ada, id: 'cus_nobody', address: null, email: null, name: null, phone: null }

const list = (records: unknown[], { last }: { last: boolean }) => ({
  object: 'list',
  data: records,
  has_more: !last,
  url: '/v1/things',
})

const nothing = {
  kind: 'customer' as const,
  email: null,
  first_name: null,
  last_name: null,
  full_name: null,
  phone: null,
  company: null,
  job_title: null,
  marketing_status: null,
  tags: [],
  address: null,
  image_url: null,
}
const contacts: StreamFixture = {
  pages: [[ada], [nobody]],
  body: list,
  synced: [
    {
      source_id: 'cus_ada',
      source_updated_at: null,
      columns: {
        ...nothing,
        email: 'ada@example.com',
        full_name: 'Ada Byron',
        phone: '+15551234567',
        address: {
          line1: '12 St James Square',
          line2: null,
          city: 'London',
          region: null,
          postal_code: 'SW1Y 4JH',
          country: 'GB',
        },
      },
    },
    { source_id: 'cus_nobody', source_updated_at: null, columns: nothing },
  ],
  required: 'object',
  wrongType: { path: 'email', value: 7 },
}

const charge = {
  id: 'ch_1',
  object: 'charge',
  amount: 1999,
  amount_captured: 1999,
  amount_refunded: 0,
  refunded: false,
  receipt_number: '1234-5678',
  billing_details: { email: 'billing@example.com' },
}
const paid = {
  id: 'pi_1',
  object: 'payment_intent',
  amount: 1999,
  amount_received: 1999,
  created: 1_780_000_000,
  currency: 'eur',
  customer: 'cus_ada',
  description: 'Order 1',
  last_payment_error: null,
  latest_charge: charge,
  metadata: {},
  receipt_email: null,
  status: 'succeeded',
}
const waiting = {
  ...paid,
  id: 'pi_2',
  amount_received: 0,
  customer: null,
  description: null,
  latest_charge: null,
  receipt_email: 'ada@example.com',
  status: 'requires_action',
}
const order = {
  kind: 'payment' as const,
  number: '1234-5678',
  status: 'paid' as const,
  total_amount: '19.99',
  refunded_amount: '0',
  currency: 'EUR',
  customer_source_id: 'cus_ada',
  customer_email: 'billing@example.com',
  description: 'Order 1',
  placed_at: '2026-05-28T20:26:40.000Z',
  line_items: [],
}
const orders: StreamFixture = {
  pages: [[paid], [waiting]],
  body: list,
  synced: [
    { source_id: 'pi_1', source_updated_at: null, columns: order },
    {
      source_id: 'pi_2',
      source_updated_at: null,
      columns: {
        ...order,
        number: null,
        status: 'pending',
        customer_source_id: null,
        customer_email: 'ada@example.com',
        description: null,
      },
    },
  ],
  required: 'currency',
  wrongType: { path: 'amount', value: '19.99' },
}

conformance(stripe, {
  webhooks: stripeWebhooks,
  settings: { account_id: 'acct_1Acme' },
  other: { 'GET /v1/account': { id: 'acct_1Acme', object: 'account' } },
  credentials: { api_key: 'rk_live_key-of-acme' },
  streams: { contacts, orders },
})

/** A simulated account of Stripe's and an account connected to it, on one clock. */
async function setUp(options: StripeSimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const platform = await startStripeSimulator({
    requestsPerSecond: 0,
    now: clock.now,
    ...options,
  })
  onTestFinished(platform.stop)
  const open = (
    credentials = platform.credentials,
    { settings = platform.settings, budget }: {
      settings?: typeof platform.settings
      budget?: RequestBudget
    } = {},
  ): Account =>
    openAccount({
      connector: stripe,
      settings,
      credentials,
      clock,
      tokens: memoryTokenCache(),
      overrides: { stripe: { baseUrl: platform.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
        ...(budget ? { budget } : {}),
      }),
    })
  const account = open()

  /** A run, as the engine does it: page after page, and what it leaves for the next. */
  async function run(stream: string, bookmark: Place | null = null) {
    const records: unknown[] = []
    let left = bookmark
    let cursor: PageCursor | null = null
    do {
      const page: Page = await account.fetchPage(stream, { since: null, cursor, bookmark })
      records.push(...page.records)
      left = page.bookmark ?? left
      cursor = page.next && JSON.parse(JSON.stringify(page.next)) as PageCursor
    } while (cursor !== null)
    return { records, bookmark: left, synced: records.map((raw) => parse(stream, raw)) }
  }
  return { platform, clock, open, account, run }
}

function parse(stream: string, raw: unknown): SyncedRecord {
  const parsed = parseRecord(stripe, stream, raw, { settings: {}, account: {} })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record
}
const idsOf = (synced: SyncedRecord[]) => synced.map(({ source_id }) => source_id).sort()
const orderOf = (raw: object) => parse('orders', raw).columns as Record<string, unknown>
const firstPage = { since: null, cursor: null }

describe('a Stripe account', () => {
  it.each(['contacts', 'orders'])('is read whole, a hundred %s a page', async (stream) => {
    const { platform, run } = await setUp({ customers: 250, payments: 250 })

    const { synced } = await run(stream)

    const held = stream === 'contacts' ? platform.customers() : platform.payments()
    expect(idsOf(synced)).toEqual(held.map(({ id }) => id).sort())
    expect(platform.requests).toHaveLength(3)
    expect(platform.requests.every(({ path }) => path.includes('limit=100'))).toBe(true)
  })

  it('is asked in one version, whichever call it is', async () => {
    const { platform, account, run, clock } = await setUp()
    const versions = new Set<string | undefined>()
    const note = () => versions.add(platform.version())

    await account.check()
    note()
    const { bookmark } = await run('contacts')
    note()
    clock.advance(1_000)
    platform.control.customers.change(1)
    await run('contacts', bookmark)
    note()

    expect([...versions]).toEqual(['2026-07-29.dahlia'])
  })

  it('brings with a payment the charge in which refunds are counted', async () => {
    const { platform, run } = await setUp({ payments: 40 })
    const whole = platform.payments().find(({ status }) => status === 'succeeded')!
    platform.control.refund(whole.id)

    const { synced } = await run('orders')

    const refunded = synced.find(({ source_id }) => source_id === whole.id)
    expect(refunded?.columns).toMatchObject({ status: 'refunded' })
    expect(synced.filter(({ columns }) =>
      columns && 'status' in columns &&
      columns.status === 'refunded'
    )).toHaveLength(1)
  })
})

describe('the 25 requests a second of Stripe', () => {
  it('are never exceeded, and nearly used up over a whole run', async () => {
    const { platform, clock, open } = await setUp({ customers: 8_000, requestsPerSecond: 25 })
    const account = open(platform.credentials, {
      budget: pacedBudget(stripe, platform.settings, clock),
    })
    const started = clock.now().getTime()

    const records = await readAll(account, 'contacts')

    expect(records).toHaveLength(8_000)
    expect(platform.load()).toEqual({ most: expect.any(Number), refused: 0 })
    expect(platform.load().most).toBeLessThanOrEqual(25)
    const seconds = (clock.now().getTime() - started) / 1000
    // without what may come at once at its beginning
    expect((platform.requests.length - stripe.rateLimit.burst) / seconds).toBeGreaterThan(0.8 * 25)
  })
})

describe('what changed at Stripe', () => {
  it('comes by its events, read again, and nothing else does', async () => {
    const { platform, clock, run } = await setUp()
    const { bookmark } = await run('contacts')
    clock.advance(600_000)
    const changed = platform.control.customers.change(3)
    platform.control.customers.change(changed.slice(0, 1), { name: 'Twice Changed' })
    const added = platform.control.customers.add(1)
    const payment = platform.control.payments.change(1)

    const contacts = await run('contacts', bookmark)
    const payments = await run('orders', bookmark)

    expect(idsOf(contacts.synced)).toEqual([...changed, ...added].sort())
    expect(contacts.records).toContainEqual(expect.objectContaining({ name: 'Twice Changed' }))
    expect(idsOf(payments.synced)).toEqual(payment)
  })

  it('is not read a second time, and not lost between two runs', async () => {
    const { platform, clock, run } = await setUp()
    let { bookmark } = await run('contacts')
    const seen: string[][] = []
    for (let round = 0; round < 3; round++) {
      clock.advance(3_600_000)
      platform.control.customers.change([platform.customers()[round]!.id])
      clock.advance(600_000) // what is younger than the overlap is read twice
      const delta = await run('contacts', bookmark)
      seen.push(idsOf(delta.synced))
      bookmark = delta.bookmark
    }
    clock.advance(3_600_000)

    const quiet = await run('contacts', bookmark)

    expect(seen).toEqual(platform.customers().slice(0, 3).map(({ id }) => [id]))
    expect(quiet.records).toEqual([])
  })

  it('while a complete read was under way comes in the next run', async () => {
    const { platform, clock, account, run } = await setUp({ customers: 150 })
    const page = await account.fetchPage('contacts', firstPage)
    clock.advance(60_000)
    const [changed] = platform.control.customers.change([platform.customers()[149]!.id])
    const rest = await account.fetchPage('contacts', { since: null, cursor: page.next })
    clock.advance(3_600_000)

    const { synced } = await run('contacts', page.bookmark)

    expect(rest.bookmark).toBeUndefined()
    expect(idsOf(synced)).toEqual([changed])
  })

  it('and whose event became visible late is still found', async () => {
    const { platform, clock, run } = await setUp()
    const [late] = platform.control.customers.change(1)
    clock.advance(240_000)
    const bookmark = { read_until: clock.now().getTime() / 1000 }

    const { synced } = await run('contacts', bookmark)
    clock.advance(120_000)
    const later = await run('contacts', { read_until: clock.now().getTime() / 1000 })

    expect(idsOf(synced)).toEqual([late])
    expect(later.records).toEqual([])
  })

  it('again and again at one customer is no page that comes again', async () => {
    const { platform, clock, run } = await setUp()
    const { bookmark } = await run('contacts')
    clock.advance(600_000)
    const [one, other] = platform.customers().map(({ id }) => id)
    platform.control.customers.change([other!])
    for (let count = 0; count < 250; count++) platform.control.customers.change([one!])

    const { synced } = await run('contacts', bookmark)

    expect(idsOf(synced)).toEqual([one, other].sort())
    expect(platform.requests.filter(({ path }) => path.includes(one!))).toHaveLength(1)
  })

  it('tells of refunds, in part and whole', async () => {
    const { platform, clock, run } = await setUp({ payments: 60 })
    const { bookmark } = await run('orders')
    const [one, other] = platform.payments().filter(({ status }) => status === 'succeeded')
    clock.advance(600_000)
    platform.control.refund(one!.id, 10)
    platform.control.refund(other!.id)

    const { synced } = await run('orders', bookmark)

    const statuses = Object.fromEntries(
      synced.map(({ source_id, columns }) => [
        source_id,
        (columns as { status: string }).status,
      ]),
    )
    expect(statuses).toEqual({ [one!.id]: 'partially_refunded', [other!.id]: 'refunded' })
  })

  it('tells which customers are gone', async () => {
    const { platform, clock, run } = await setUp()
    const { bookmark } = await run('contacts')
    clock.advance(600_000)
    const [gone] = platform.control.customers.remove(1)

    const delta = await run('contacts', bookmark)
    const whole = await run('contacts')

    expect(delta.records).toEqual([{ id: gone, object: 'customer', deleted: true }])
    expect(delta.synced).toEqual([{ source_id: gone, source_updated_at: null, deleted: true }])
    expect(idsOf(whole.synced)).not.toContain(gone)
  })

  it('is left out when it is no longer there, which a complete read tells', async () => {
    const { platform, clock, run } = await setUp()
    const { bookmark } = await run('orders')
    clock.advance(600_000)
    const [gone, left] = platform.control.payments.change(2)
    platform.control.payments.remove([gone!])

    const { synced } = await run('orders', bookmark)

    expect(idsOf(synced)).toEqual([left])
  })

  it('longer ago than events are kept is found by reading everything', async () => {
    const { platform, clock, account, run } = await setUp({ customers: 20 })
    const { bookmark } = await run('contacts')
    clock.advance(28 * 86_400_000)
    await run('contacts', bookmark)
    clock.advance(2 * 86_400_000)
    platform.requests.length = 0

    const reading = account.fetchPage('contacts', { ...firstPage, bookmark })

    await expect(reading).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    expect(platform.requests).toEqual([])
    const { synced } = await run('contacts')
    expect(synced).toHaveLength(20)
  })
})

describe('a place in a list of Stripe’s', () => {
  it('that it no longer knows begins the scan again', async () => {
    const { platform, account } = await setUp({ customers: 150 })
    const { next } = await account.fetchPage('contacts', firstPage)
    platform.control.customers.remove([platform.customers()[50]!.id])

    const lost = account.fetchPage('contacts', { since: null, cursor: next })

    await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    await expect(account.fetchPage('contacts', firstPage)).resolves.toBeDefined()
  })
})

describe('an amount', () => {
  it.each([
    [1999, 'eur', '19.99'],
    [1990, 'usd', '19.9'],
    [5, 'usd', '0.05'],
    [0, 'usd', '0'],
    [500, 'jpy', '500'],
    [5, 'krw', '5'],
    [5120, 'kwd', '5.12'],
    [5125, 'bhd', '5.125'],
    [1, 'tnd', '0.001'],
    [500, 'isk', '5'],
    [500, 'ugx', '5'],
    [999_999_999_999, 'usd', '9999999999.99'],
  ])('of %i %s is %s', (amount, currency, text) => {
    const raw = { ...paid, amount, amount_received: amount, currency, latest_charge: null }

    expect(orderOf(raw)).toMatchObject({
      total_amount: text,
      currency: currency.toUpperCase(),
    })
  })

  it('is what was collected, once it was', () => {
    const held = { ...paid, status: 'requires_capture', amount_received: 0 }
    const collected = {
      ...paid,
      amount_received: 1500,
      latest_charge: { ...charge, amount_captured: 1500, amount_refunded: 499 },
    }

    expect(orderOf(held)).toMatchObject({ status: 'pending', total_amount: '19.99' })
    // the rest was reserved and let go: nobody got money back
    expect(orderOf(collected)).toMatchObject({
      status: 'paid',
      total_amount: '15',
      refunded_amount: '0',
    })
    collected.latest_charge.amount_refunded += 500
    expect(orderOf(collected)).toMatchObject({
      status: 'partially_refunded',
      refunded_amount: '5',
    })
  })
})

describe('a payment', () => {
  const declined = { code: 'card_declined' }
  it.each([
    ['succeeded', null, 0, 'paid'],
    ['succeeded', declined, 0, 'paid'],
    ['succeeded', null, 1, 'partially_refunded'],
    ['succeeded', null, 1999, 'refunded'],
    ['canceled', null, 0, 'cancelled'],
    ['requires_payment_method', null, 0, 'pending'],
    ['requires_payment_method', declined, 0, 'failed'],
    ['requires_confirmation', null, 0, 'pending'],
    ['requires_action', null, 0, 'pending'],
    ['processing', null, 0, 'pending'],
    ['requires_capture', null, 0, 'pending'],
    ['invented_tomorrow', null, 0, 'pending'],
  ])('that is %s (error: %j, refunded: %i) is %s', (status, last_payment_error, back, expected) => {
    const raw = {
      ...paid,
      status,
      last_payment_error,
      latest_charge: { ...charge, amount_refunded: back },
    }

    expect(orderOf(raw)['status']).toBe(expected)
  })

  it('names its customer, also where the whole customer comes with it', () => {
    expect(orderOf({ ...paid, customer: ada })).toMatchObject({ customer_source_id: 'cus_ada' })
    expect(orderOf({ ...paid, customer: null })).toMatchObject({ customer_source_id: null })
  })

  it('whose charge comes as an id is read all the same', () => {
    expect(orderOf({ ...paid, latest_charge: 'ch_1' })).toMatchObject({
      status: 'paid',
      number: null,
    })
  })
})

describe('the account id that was typed', () => {
  const other = { account_id: 'acct_1Other' }

  it.each([
    ['a secret key', { apiKey: 'sk_test_demo' }],
    ['a restricted key that may ask', { permissions: ['customers', 'account'] as const }],
  ])('has to be that of %s', async (_, options) => {
    const { platform, open } = await setUp(options)

    await expect(open().check()).resolves.toEqual({ account: {} })
    await expect(open(platform.credentials, { settings: other }).check()).rejects.toMatchObject({
      code: 'invalid_settings',
      detail: 'The key belongs to the Stripe account acct_1Demo, not to acct_1Other.',
      errors: [{ path: 'settings.account_id' }],
    })
  })

  it('is taken as it is where a restricted key may not ask whose it is (403)', async () => {
    const { platform, open } = await setUp()

    await expect(open(platform.credentials, { settings: other }).check()).resolves.toEqual({
      account: { unproven: 'true' },
    })
    expect(platform.requests.at(-1)).toMatchObject({ path: '/v1/account', status: 403 })
  })
})

describe('Stripe’s refusals', () => {
  const answer = (error: object) => JSON.stringify({ error: { type: 'api_error', ...error } })

  it.each([
    [429, answer({ code: 'rate_limit' }), {}],
    [429, answer({ code: 'lock_timeout' }), {}],
    [409, answer({ message: 'conflict' }), { 'stripe-should-retry': 'true' }],
    [503, '', {}],
  ])('%i %s %j are asked again', async (status, body, headers) => {
    const { platform, account } = await setUp()
    platform.control.setFault({ kind: 'status', status, body, headers })

    await expect(account.fetchPage('contacts', firstPage)).resolves.toBeDefined()
    expect(platform.requests).toHaveLength(2)
  })

  it.each([
    [409, answer({ message: 'conflict' }), {}, 'provider_rejected'],
    [500, '', { 'stripe-should-retry': 'false' }, 'provider_bad_answer'],
    [
      429,
      answer({ code: 'rate_limit' }),
      { 'stripe-should-retry': 'false' },
      'provider_bad_answer',
    ],
  ])('%i %s %j are not', async (status, body, headers, code) => {
    const { platform, account } = await setUp()
    platform.control.setFault({ kind: 'status', status, body, headers })

    await expect(account.fetchPage('contacts', firstPage)).rejects.toMatchObject({ code })
    expect(platform.requests).toHaveLength(1)
    await expect(account.fetchPage('contacts', firstPage)).resolves.toBeDefined()
  })

  it('name the permission that a restricted key lacks', async () => {
    const { run, account } = await setUp({ permissions: ['customers'] })

    await expect(account.check()).resolves.toEqual({ account: { unproven: 'true' } })
    await expect(run('contacts')).resolves.toBeDefined()
    await expect(run('orders')).rejects.toMatchObject({
      code: 'provider_forbidden',
      detail: expect.stringContaining('rak_payment_intent_read'),
    })
  })

  it('of a key that was rolled say whose it is, and not the key', async () => {
    const { platform, account } = await setUp()
    platform.control.revokeCredentials()

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
      detail: 'Stripe refuses the credentials of "acct_1Demo:test".',
    })
  })

  it('for going too fast do not come at the rate that is declared', async () => {
    const { requestsPerSecond, burst } = stripe.rateLimit
    const { platform, clock, account } = await setUp({ customers: 5, requestsPerSecond: 25 })

    for (let request = 0; request < 120; request++) {
      if (request >= burst) clock.advance(1000 / requestsPerSecond)
      await account.check()
    }

    expect(platform.load().refused).toBe(0)
    expect(platform.load().most).toBeGreaterThanOrEqual(20)
  })
})

describe('a Stripe customer that is asked for by its id', () => {
  it('is as it is now, says that it was deleted, or is not there', async () => {
    const { platform, account } = await setUp({ customers: 2 })
    const [gone] = platform.control.customers.remove(1) as [string]
    const kept = platform.customers()[0]!.id

    const records = await account.lookup('contacts', [kept, gone, 'cus_never'])

    expect(records).toMatchObject([{ id: kept, object: 'customer' }, { id: gone, deleted: true }])
    expect(parse('contacts', records[1])).toMatchObject({ source_id: gone, deleted: true })
  })
})

describe('a Stripe connect form', () => {
  const read = (account_id: string, api_key: string) =>
    stripe.readAccount({ settings: { account_id }, credentials: { api_key } })

  it.each(['rk_live_1', 'rk_test_1', 'sk_live_1', 'sk_test_1'])('takes %s', (key) => {
    expect(() => read('acct_1Acme', key)).not.toThrow()
  })

  it.each(['pk_live_1', 'whsec_1', 'acct_1Acme', ''])('refuses the key %j', (key) => {
    expect(() => read('acct_1Acme', key)).toThrow(
      expect.objectContaining({ code: 'invalid_credentials' }),
    )
  })

  it('keeps live and test apart, and knows an account by any of its keys', () => {
    const id = (key: string) => stripe.accountId(read('acct_1Acme', key))

    expect(id('sk_live_1')).toBe('acct_1Acme')
    expect(id('rk_live_2')).toBe('acct_1Acme')
    expect(id('rk_test_3')).toBe('acct_1Acme:test')
  })
})
