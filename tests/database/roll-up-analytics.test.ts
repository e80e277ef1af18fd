// Are the numbers of a day what the synced rows say, and does nothing of a platform's own get touched?
import { describe, expect, it } from 'vitest'
import type { AnalyticsColumns } from '../../supabase/functions/_shared/contracts/analytics.ts'
import type { OrderColumns } from '../../supabase/functions/_shared/contracts/orders.ts'
import type { SocialPostColumns } from '../../supabase/functions/_shared/contracts/social-posts.ts'
import { useDatabase } from '../support/database.ts'
import { createIntegration, type IntegrationRow, sampleSuite } from '../support/integrations.ts'
import { applyRecords, streamRecord } from '../support/stream-records.ts'
import { finishRun, lease, openRun, writePage } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner, call } = database

const connect = () => createIntegration(database, { connector: sampleSuite })

/** Rolls up as the schedule does; answers how many rows were written. */
async function rollUp(since = '2026-01-01'): Promise<number> {
  const [row] = await owner`select private.roll_up_analytics(${since}::text::date) as written`
  return row?.written
}

/** The numbers of an integration by their `source_id`. */
async function numbersOf({ id }: IntegrationRow): Promise<Record<string, string>> {
  const rows = await admin<{ source_id: string; value: string }[]>`
    select source_id, value from public.analytics
    where integration_id = ${id} and deleted_at is null order by source_id`
  return Object.fromEntries(rows.map(({ source_id, value }) => [source_id, value]))
}

const post = (sourceId: string, columns: Partial<SocialPostColumns> = {}, day = 1) =>
  streamRecord('social_posts', sourceId, columns, day)
const order = (sourceId: string, columns: Partial<OrderColumns> = {}, day = 1) =>
  streamRecord('orders', sourceId, columns, day)
const message = (sourceId: string, direction: 'inbound' | 'outbound', sent_at: string) =>
  streamRecord('messages', sourceId, { direction, sent_at })

describe('rolled up', () => {
  it('are own posts, what they moved and who saw them', async () => {
    const account = await connect()
    const uncounted = { like_count: null, reply_count: null, repost_count: null, quote_count: null }
    await applyRecords(database, account.id, 'social_posts', [
      post('1', { like_count: 5, reply_count: 2, repost_count: 1, quote_count: null }),
      post('2', { ...uncounted, impression_count: 10 }),
      post('3', { is_own: false, like_count: 1000 }), // somebody mentioned us
      post('4', { ...uncounted, impression_count: null, published_at: '2026-01-02T09:00:00Z' }),
    ])

    await rollUp()

    expect(await numbersOf(account)).toEqual({
      'posts:2026-01-01': '2',
      'engagement:2026-01-01': '8',
      'impressions:2026-01-01': '3000000010',
      'posts:2026-01-02': '1', // nothing is known of what it moved, which is not zero
    })
  })

  it('are messages in and out, by the UTC day of sending', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'messages', [
      message('1', 'inbound', '2026-01-01T23:30:00-01:00'),
      message('2', 'inbound', '2026-01-01T23:59:59Z'),
      message('3', 'outbound', '2026-01-02T00:00:00Z'),
    ])

    await rollUp()

    expect(await numbersOf(account)).toEqual({
      'messages_inbound:2026-01-01': '1',
      'messages_inbound:2026-01-02': '1',
      'messages_outbound:2026-01-02': '1',
    })
  })

  it('are conversions, which are paid orders and payments, and what they brought, exact, by currency and less refunds', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'orders', [
      order('1', { total_amount: '0.10', currency: 'USD' }),
      order('2', { total_amount: '0.20', currency: 'USD', status: 'fulfilled', kind: 'payment' }),
      order('3', { total_amount: '10', refunded_amount: '2.50', status: 'partially_refunded' }),
      order('4', { total_amount: '99', status: 'pending' }),
      order('5', { total_amount: '99', refunded_amount: '99', status: 'refunded' }),
      order('6', { total_amount: null, currency: null }),
    ])

    await rollUp()

    expect(await numbersOf(account)).toEqual({
      'conversions:2026-01-01': '4',
      'revenue:2026-01-01:EUR': '7.50',
      'revenue:2026-01-01:USD': '0.30',
    })
    const [revenue] = await admin`
      select day::text, metric, dimension, source, is_rolled_up, organization_id from public.analytics
      where integration_id = ${account.id} and source_id = 'revenue:2026-01-01:USD'`
    expect(revenue).toEqual({
      day: '2026-01-01',
      metric: 'revenue',
      dimension: 'USD',
      source: sampleSuite,
      is_rolled_up: true,
      organization_id: account.organization_id,
    })
  })

  it('leaves deleted rows out, and takes back a number that nothing stands behind any more', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'orders', [
      order('1', { currency: 'USD', total_amount: '5' }),
      order('2', { currency: 'EUR', total_amount: '7' }),
    ])
    await rollUp()
    const before = await numbersOf(account)

    await applyRecords(database, account.id, 'orders', [], [
      { source_id: '1', source_deleted_at: '2026-02-01T00:00:00Z' },
    ])
    await rollUp()

    expect(before).toMatchObject({ 'conversions:2026-01-01': '2', 'revenue:2026-01-01:USD': '5' })
    expect(await numbersOf(account)).toEqual({
      'conversions:2026-01-01': '1',
      'revenue:2026-01-01:EUR': '7',
    })
  })

  it('writes only what has changed', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'orders', [order('1'), order('2')])
    await rollUp()
    const versions = () =>
      admin`select source_id, xmin from public.analytics where integration_id = ${account.id} order by 1`
    const before = await versions()

    const unchanged = await rollUp()
    const after = await versions()
    await applyRecords(database, account.id, 'orders', [order('2', { total_amount: '1' }, 2)])

    expect(unchanged).toBe(0)
    expect(after).toEqual(before)
    expect(await rollUp()).toBe(1)
    expect(await numbersOf(account)).toMatchObject({
      'conversions:2026-01-01': '2',
      'revenue:2026-01-01:EUR': '50.50',
    })
  })

  it('touches no day before the one it is asked to begin with', async () => {
    const account = await connect()
    const placed = (number: number) => ({ placed_at: `2026-01-0${number}T12:00:00Z` })
    await applyRecords(database, account.id, 'orders', [
      order('1', placed(1)),
      order('2', placed(3)),
    ])
    await rollUp()
    await applyRecords(
      database,
      account.id,
      'orders',
      [],
      ['1', '2'].map((source_id) => (
        { source_id, source_deleted_at: '2026-02-01T00:00:00Z' }
      )),
    )

    await rollUp('2026-01-02')
    const recent = await numbersOf(account)
    await rollUp('-infinity')

    expect(Object.keys(recent)).toEqual(['conversions:2026-01-01', 'revenue:2026-01-01:EUR'])
    expect(await numbersOf(account)).toEqual({})
  })
})

describe("a platform's own number", () => {
  const reported = (source_id: string, columns: Partial<AnalyticsColumns>, day = 1) =>
    streamRecord('analytics', source_id, columns, day)
  const impressions = { metric: 'impressions', dimension: null }

  it('stands where one of the same name would be rolled up', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'social_posts', [post('1', { impression_count: 10 })])
    const number = reported('impressions:2026-01-01', { ...impressions, value: '12' })
    await applyRecords(database, account.id, 'analytics', [number, reported('opens', {})])

    await rollUp()

    expect(await numbersOf(account)).toEqual({
      'posts:2026-01-01': '1',
      'engagement:2026-01-01': '8',
      'impressions:2026-01-01': '12',
      'opens': '120',
    })
  })

  it('takes the place of one that was rolled up before it came', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'social_posts', [post('1', { impression_count: 10 })])
    await rollUp()
    const before = await numbersOf(account)

    const number = reported('impressions:2026-01-01', { ...impressions, value: '12' })
    await applyRecords(database, account.id, 'analytics', [number])
    await rollUp()

    expect(before).toMatchObject({ 'impressions:2026-01-01': '10' })
    expect(await numbersOf(account)).toMatchObject({ 'impressions:2026-01-01': '12' })
  })

  it('is what a full read looks for: rolled-up ones are neither missing nor counted', async () => {
    const account = await connect()
    await applyRecords(database, account.id, 'orders', [order('1')])
    await rollUp()
    const scanning = { scanning: true, scan_started_at: '2026-03-01T00:00:00Z' }
    await applyRecords(database, account.id, 'analytics', [reported('gone', {})])
    const run = await openRun(database, account.id, { stream: 'analytics' })
    await writePage(database, run, [reported('seen', {})], { progress: scanning })

    const absent = await call('service_role', 'list_absent', lease(run))
    await finishRun(database, run)

    expect(absent).toMatchObject({ source_ids: ['gone'], absent: 1, live: 2 })
    expect(Object.keys(await numbersOf(account))).toHaveLength(4)
  })
})

it('is scheduled each hour for five weeks, and once a night for everything', async () => {
  const [job] = await admin`select command from cron.job where jobname = 'roll-up-analytics'`
  const account = await connect()
  await applyRecords(database, account.id, 'orders', [
    order('1', { placed_at: new Date().toISOString() }),
  ])

  await owner.unsafe(job?.command)

  expect(Object.values(await numbersOf(account))).toEqual(['1', '49.50'])
})
