import { expect, it, onTestFinished } from 'vitest'
import {
  type AirtableSimulatorOptions,
  startAirtableSimulator,
} from '../../../scripts/simulators/airtable.ts'
import { openAccount } from '../../../supabase/functions/_shared/connectors/account.ts'
import { airtable } from '../../../supabase/functions/_shared/connectors/airtable.ts'
import { memoryTokenCache } from '../../../supabase/functions/_shared/connectors/token-cache.ts'
import type {
  DrainState,
  WebhookNotice,
} from '../../../supabase/functions/_shared/connectors/vocabulary/webhooks.ts'
import { createHttpClient } from '../../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { received } from '../webhook-conformance.ts'

const NOW = '2026-11-20T09:00:00.000Z'
const webhooks = airtable.webhooks!

/** A base with a webhook, and what a receiver does with its pings. */
async function setUp(options: AirtableSimulatorOptions = {}, more: Record<string, unknown> = {}) {
  const clock = fakeClock(NOW)
  const simulator = await startAirtableSimulator({
    people: 130,
    items: 5,
    requestsPerSecond: 0,
    now: clock.now,
    ...options,
  })
  onTestFinished(simulator.stop)
  const settings = { ...simulator.settings, auth: 'personal_access_token', ...more }
  const account = openAccount({
    connector: airtable,
    settings,
    credentials: simulator.credentials,
    clock,
    tokens: memoryTokenCache(),
    overrides: { airtable: { baseUrl: simulator.baseUrl } },
    http: createHttpClient({ clock, allowPrivateNetworks: true, log: createLog({}, () => {}) }),
  })
  const { body } = await account.call({
    method: 'POST',
    path: '/bases/{base_id}/webhooks',
    json: {
      notificationUrl: 'https://project.example/functions/v1/webhook-receive/1',
      specification: { options: { filters: { dataTypes: ['tableData'] } } },
    },
  })
  const ping = (base = simulator.base.id) =>
    received({
      body: JSON.stringify({
        base: { id: base },
        webhook: { id: (body as { id: string }).id },
        timestamp: NOW,
      }),
    })
  const drainPage = (state: DrainState | null, webhook = ping()) =>
    webhooks.drain!(webhook, { state, settings, account: {}, call: account.call })
  const drain = async (state: DrainState | null = null) => {
    const notices: WebhookNotice[] = []
    for (let pages = 1;; pages++) {
      const page = await drainPage(state)
      notices.push(...page.notices)
      state = page.state
      if (!page.more) return { notices, state, pages }
    }
  }
  return { simulator, ping, drainPage, drain, account }
}

const said = ({ notices }: { notices: WebhookNotice[] }) =>
  notices.map(({ stream, source_id, kind }) => [stream, source_id, kind])

it('a ping brings which rows changed and are gone, in each stream that has their table', async () => {
  const { simulator, drain } = await setUp()
  const [changed] = simulator.control.change(1)
  const [gone] = simulator.control.remove(1)

  const drained = await drain()

  expect(said(drained)).toEqual([
    ['contacts', changed, 'changed'],
    ['records', changed, 'changed'],
    ['contacts', gone, 'deleted'],
    ['records', gone, 'deleted'],
  ])
  expect(drained.notices[0]).toMatchObject({ account: null, occurred_at: NOW })
  expect(new Set(drained.notices.map(({ dedupe_key }) => dedupe_key)).size).toBe(4)
})

it('the next ping begins where the last one ended, and one that is repeated brings nothing', async () => {
  const { simulator, drain } = await setUp({}, { contacts: undefined })
  simulator.control.change(1)
  const first = await drain()

  expect(said(await drain(first.state))).toEqual([])
  const [added] = simulator.control.add(1)
  expect(said(await drain(first.state))).toEqual([['records', added, 'changed']])
})

it('a page that is drained again, because its notices were not kept, has the same keys', async () => {
  const { simulator, drain } = await setUp()
  simulator.control.change(3)

  const keys = async () => (await drain()).notices.map(({ dedupe_key }) => dedupe_key)

  expect(await keys()).toEqual(await keys())
})

it('many changes come page by page, each once', async () => {
  const { simulator, drain } = await setUp({}, { contacts: undefined })
  const changed = simulator.control.change(120)

  const drained = await drain()

  expect(drained.pages).toBe(3)
  expect(drained.notices.map(({ source_id }) => source_id)).toEqual(changed)
})

it('a change through the API is marked, as it may have been ours', async () => {
  const { drain, account } = await setUp({}, { contacts: undefined })
  await account.call({
    method: 'PATCH',
    path: '/{base_id}/Inventory',
    json: {
      performUpsert: { fieldsToMergeOn: ['SKU'] },
      records: [{ fields: { SKU: 'ACM-1', Price: 3 } }],
    },
  })

  expect((await drain()).notices).toMatchObject([{ stream: 'records', is_own_write: true }])
})

it('tables that are named by id are found without a look at the schema', async () => {
  const { simulator, drain } = await setUp()
  const people = simulator.base.find('People')!.id
  const own = await setUp({ seed: 1 }, { contacts: undefined, tables: [people] })
  const [changed] = own.simulator.control.change(1)

  expect(said(await own.drain())).toEqual([['records', changed, 'changed']])
  expect(own.simulator.requests.filter(({ path }) => path.includes('/meta/'))).toEqual([])
  expect(said(await drain())).toEqual([])
})

it('a table that is not synced brings nothing', async () => {
  const { simulator, drain } = await setUp({}, { contacts: undefined, tables: ['Inventory'] })
  simulator.control.change(2)

  expect(await drain()).toMatchObject({ notices: [], state: { cursors: { achSIMULATED00001: 3 } } })
})

it.each(['appANOTHER', ''])('a ping about another base (%s) asks for nothing', async (base) => {
  const { simulator, ping, drainPage } = await setUp()
  simulator.control.change(1)
  const before = simulator.requests.length

  expect(await drainPage(null, ping(base))).toEqual({
    notices: [],
    state: { cursors: {} },
    more: false,
  })
  expect(simulator.requests).toHaveLength(before)
})
