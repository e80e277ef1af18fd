import * as oauth from 'oauth4webapi'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type AirtableSimulatorOptions,
  startAirtableSimulator,
} from '../../scripts/simulators/airtable.ts'
import { compileFormula, type FormulaRow } from '../../scripts/simulators/airtable/formula.ts'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { airtable } from '../../supabase/functions/_shared/connectors/airtable.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { readInput, runAction } from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { type FakeClock, fakeClock } from '../support/fake-clock.ts'
import { conformance, type ConnectorFixture, readAll } from './conformance.ts'
import { airtableWebhooks } from './webhooks/airtable.ts'

const NOW = '2026-11-20T09:00:00Z'

const schema = {
  tables: [{
    id: 'tblPEOPLE0000001',
    name: 'People',
    primaryFieldId: 'fldNAME000000001',
    fields: ['Name', 'E-mail', 'Firm', 'Tags', 'Photo', 'Changed'].map((name) => ({
      id: name === 'Name' ? 'fldNAME000000001' : `fld${name}`,
      name,
      type: 'singleLineText',
    })),
  }],
}
const table = { id: 'tblPEOPLE0000001', name: 'People', primary_field: 'Name' }
const adaRow = {
  id: 'recA1b2C3d4E5f6G7',
  createdTime: '2026-11-01T12:00:00.000Z',
  fields: {
    Name: 'Ada Lovelace',
    'E-mail': 'ada@people.example',
    Firm: ['Acme'],
    Tags: ['vip', 'press'],
    Photo: 'https://people.example/ada.png',
    Changed: '2026-11-02T12:00:00.000Z',
  },
}
const nobodyRow = {
  id: 'recB1b2C3d4E5f6G7',
  createdTime: '2026-11-01T12:00:00.000Z',
  fields: { Firm: { error: '#ERROR!' }, Tags: { specialValue: 'NaN' } },
}
// a row of any table says which one it is of
const ada = { ...adaRow, table }
const nobody = { ...nobodyRow, table }

type Wire = Record<string, unknown>
const body = (records: unknown[], { page, last }: { page: number; last: boolean }) => ({
  records: (records as Wire[]).map(({ table: _, ...row }) => row),
  ...(last ? {} : { offset: `itrX/${page}` }),
})

const columns = {
  kind: 'contact' as const,
  email: 'ada@people.example',
  first_name: null,
  last_name: null,
  full_name: 'Ada Lovelace',
  phone: null,
  company: 'Acme',
  job_title: null,
  marketing_status: null,
  tags: ['vip', 'press'],
  address: null,
  image_url: 'https://people.example/ada.png',
}

const fixture: ConnectorFixture = {
  webhooks: airtableWebhooks,
  settings: {
    base_id: 'appEXAMPLE00000001',
    contacts: {
      table: 'People',
      email: 'E-mail',
      full_name: 'Name',
      company: 'Firm',
      tags: 'Tags',
      image_url: 'Photo',
      last_modified: 'Changed',
    },
    tables: ['tblPEOPLE0000001'],
    last_modified_field: 'Changed',
  },
  credentials: {},
  token: { access_token: 'token-of-ada' },
  other: { 'GET /v0/meta/bases/appEXAMPLE00000001/tables': schema },
  streams: {
    contacts: {
      pages: [[adaRow], [nobodyRow]],
      body,
      synced: [
        { source_id: ada.id, source_updated_at: '2026-11-02T12:00:00.000Z', columns },
        {
          source_id: nobody.id,
          source_updated_at: null,
          columns: {
            ...columns,
            email: null,
            full_name: null,
            company: null,
            tags: [],
            image_url: null,
          },
        },
      ],
      required: 'fields',
      wrongType: { path: 'createdTime', value: 'yesterday' },
    },
    records: {
      pages: [[ada], [nobody]],
      body,
      synced: [
        {
          source_id: ada.id,
          source_updated_at: '2026-11-02T12:00:00.000Z',
          columns: {
            collection: 'tblPEOPLE0000001',
            collection_name: 'People',
            name: 'Ada Lovelace',
            fields: ada.fields,
          },
        },
        {
          source_id: nobody.id,
          source_updated_at: null,
          columns: {
            collection: 'tblPEOPLE0000001',
            collection_name: 'People',
            name: null,
            fields: nobody.fields,
          },
        },
      ],
      required: 'fields',
      wrongType: { path: 'fields', value: 'a lot' },
    },
  },
  actions: {
    upsert_records: {
      input: {
        table: 'Stock & more',
        merge_on: ['SKU'],
        records: Array.from({ length: 11 }, (_, index) => ({ SKU: `ACM-${index}` })),
        typecast: true,
      },
      wrongInput: { input: { table: 'x', merge_on: [], records: [{}] }, path: 'merge_on' },
      requests: [
        {
          request: 'PATCH /v0/appEXAMPLE00000001/Stock%20%26%20more',
          body: {
            performUpsert: { fieldsToMergeOn: ['SKU'] },
            records: Array.from(
              { length: 10 },
              (_, index) => ({ fields: { SKU: `ACM-${index}` } }),
            ),
            typecast: true,
          },
        },
        {
          request: 'PATCH /v0/appEXAMPLE00000001/Stock%20%26%20more',
          body: {
            performUpsert: { fieldsToMergeOn: ['SKU'] },
            records: [{ fields: { SKU: 'ACM-10' } }],
            typecast: true,
          },
        },
      ],
      answers: [
        { body: { records: [], createdRecords: ['rec1'], updatedRecords: ['rec2'] } },
        { body: { records: [], createdRecords: [], updatedRecords: ['rec3'] } },
      ],
      output: { created: ['rec1'], updated: ['rec2', 'rec3'] },
    },
    delete_records: {
      input: { table: 'tblPEOPLE0000001', ids: ['recA', 'recB'] },
      wrongInput: { input: { table: 'tblX', ids: ['A'] }, path: 'ids.0' },
      requests: [{
        request:
          'DELETE /v0/appEXAMPLE00000001/tblPEOPLE0000001?records%5B%5D=recA&records%5B%5D=recB',
      }],
      answers: [{
        body: { records: [{ id: 'recA', deleted: true }, { id: 'recB', deleted: true }] },
      }],
      output: { deleted: ['recA', 'recB'] },
    },
  },
}

conformance(airtable, fixture, 'signed in')
conformance(airtable, {
  ...fixture,
  settings: { ...fixture.settings, auth: 'personal_access_token' },
  credentials: { token: 'patEXAMPLE.secret' },
}, 'token')

type Budget = (clock: FakeClock) => RequestBudget

/** A simulated base and accounts connected to it by token, on one clock. */
async function setUp(options: AirtableSimulatorOptions = {}, budget?: Budget) {
  const clock = fakeClock(NOW)
  const base = await startAirtableSimulator({ requestsPerSecond: 0, now: clock.now, ...options })
  onTestFinished(base.stop)
  const shared = budget?.(clock)
  const open = (
    more: Record<string, unknown> = {},
    access: { token?: string; signedIn?: string } = {},
  ): Account =>
    openAccount({
      connector: airtable,
      settings: {
        ...base.settings,
        auth: access.signedIn ? 'oauth' : 'personal_access_token',
        ...more,
      },
      credentials: access.signedIn ? {} : { token: access.token ?? base.credentials.token },
      grant: access.signedIn ? fixedGrant(access.signedIn) : undefined,
      clock,
      tokens: memoryTokenCache(),
      overrides: { airtable: { baseUrl: base.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
        budget: shared,
      }),
    })
  const settings = { ...base.settings, auth: 'personal_access_token' }
  const parse = (stream: string, raw: unknown) =>
    parseRecord(airtable, stream, raw, {
      settings: airtable.readAccount({ settings, credentials: base.credentials }).settings,
      account: {},
    })
  const act = (name: string, input: unknown, account = open()) => {
    const action = findAction(airtable, name)
    return runAction(action, readInput(action, input), {
      account,
      settings,
      facts: {},
      idempotency_key: 'a',
      now: clock.now(),
    })
  }
  return { base, clock, open, account: open(), parse, act }
}

const idsOf = (records: unknown[]) => records.map((raw) => airtable.streams.contacts!.id(raw))

/** Everything of an incremental run with the last run's bookmark, and its own. */
async function readChanges(account: Account, stream: string, bookmark: Page['bookmark'] | null) {
  const records: unknown[] = []
  let cursor: PageCursor | null = null
  let left: Page['bookmark']
  do {
    const page: Page = await account.fetchPage(stream, { since: null, cursor, bookmark })
    records.push(...page.records)
    left = page.bookmark ?? left
    cursor = page.next
  } while (cursor !== null)
  return { records, bookmark: left! }
}

describe('contacts', () => {
  it('are read whole, cells that are empty or could not be computed as nothing', async () => {
    const { base, account, parse } = await setUp()
    const settings = { ...base.settings.contacts, job_title: 'Score' }

    const records = await readAll(account, 'contacts')

    const parsed = records.map((raw) => parse('contacts', raw))
    expect(idsOf(records)).toEqual([...base.base.find('People')!.rows.keys()])
    expect(parsed.every(({ ok }) => ok)).toBe(true)
    const rows = records as { fields: Record<string, unknown> }[]
    expect(rows.some(({ fields }) => !('Phone' in fields))).toBe(true)
    const scores = rows.map((raw) =>
      parseRecord(airtable, 'contacts', raw, {
        settings: airtable.readAccount({
          settings: { ...base.settings, contacts: settings },
          credentials: {},
        }).settings,
        account: {},
      })
    ).map((result) => result.ok && (result.record.columns as { job_title: unknown }).job_title)
    expect(scores).toContain(null)
    expect(scores).toContain('20')
  })

  it('may be mapped by the ids of fields, which renaming does not change', async () => {
    const { base, open } = await setUp({ people: 3 })
    const { id, fields } = base.base.find('People')!
    const email = fields.find(({ name }) => name === 'Email')!.id
    const contacts = { table: id, email }

    const records = await readAll(open({ contacts }), 'contacts')

    const settings = airtable.readAccount({
      settings: { ...base.settings, contacts },
      credentials: {},
    }).settings
    const parsed = records.map((raw) =>
      parseRecord(airtable, 'contacts', raw, { settings, account: {} })
    )
    expect(parsed).toHaveLength(3)
    for (const result of parsed) {
      expect(result).toMatchObject({
        ok: true,
        record: { columns: { email: expect.stringContaining('@') } },
      })
    }
  })

  it.each([
    [{ table: 'Persons', email: 'Email' }, 'no table "Persons"'],
    [{ table: 'People', email: 'Mail address' }, 'no field "Mail address"'],
  ])(
    'stop with the name of what was renamed, rather than emptying a column',
    async (contacts, text) => {
      const { open } = await setUp()

      const reading = open({ contacts }).fetchPage('contacts', { since: null, cursor: null })

      await expect(reading).rejects.toMatchObject({
        code: 'invalid_settings',
        next: 'owner',
        detail: expect.stringContaining(text),
      })
      const right = open({ contacts: { table: 'People', email: 'Email' } })
      expect((await right.fetchPage('contacts', { since: null, cursor: null })).records)
        .toHaveLength(100)
    },
  )

  it.each([
    ['a URL', 'https://people.example/ada.png', 'https://people.example/ada.png'],
    ['a URL that is looked up', ['http://people.example/b.png'], 'http://people.example/b.png'],
    [
      'no attachment, whose address changes',
      [{ id: 'att1', name: 'ada.png', url: 'https://v5.airtableusercontent.example/a' }],
      null,
    ],
    ['no other text', 'ask Ada', null],
  ])('have as their image %s', (_, Photo, image_url) => {
    const settings = { base_id: 'appX', contacts: { table: 'People', image_url: 'Photo' } }
    const values = airtable.readAccount({ settings, credentials: {} })

    const parsed = parseRecord(airtable, 'contacts', { ...ada, fields: { Photo } }, {
      settings: values.settings,
      account: {},
    })

    expect(parsed).toMatchObject({ ok: true, record: { columns: { image_url } } })
  })

  it('are not mapped by names and ids at once', () => {
    const contacts = { table: 'People', email: 'fldABCDEFGHIJKLMN', phone: 'Phone' }
    const read = (contacts: object) =>
      airtable.readAccount({ settings: { base_id: 'appX', contacts }, credentials: {} })

    expect(() => read(contacts)).toThrow(expect.objectContaining({ code: 'invalid_settings' }))
    expect(() => read({ ...contacts, phone: 'fldABCDEFGHIJKLMO' })).not.toThrow()
  })

  it('are there only where the settings name a table', async () => {
    const { open } = await setUp()
    const without = open({ contacts: undefined })

    await expect(without.fetchPage('contacts', { since: null, cursor: null })).rejects
      .toMatchObject({ code: 'stream_not_found' })
    expect((await without.fetchPage('records', { since: null, cursor: null })).records.length)
      .toBe(100)
  })
})

describe('records', () => {
  it('come from every table that is named, once each, with the table they are from', async () => {
    const { base, open, parse } = await setUp()
    const people = base.base.find('People')!

    const records = await readAll(open({ tables: ['Inventory', people.id, 'People'] }), 'records')

    const collections = records.map((raw) => {
      const result = parse('records', raw)
      return result.ok && (result.record.columns as { collection_name: string }).collection_name
    })
    expect(records).toHaveLength(370)
    expect(collections.filter((name) => name === 'Inventory')).toHaveLength(120)
    expect(collections.filter((name) => name === 'People')).toHaveLength(250)
    expect(parse('records', records[0])).toMatchObject({
      record: { columns: { name: 'ACM-1', fields: { SKU: 'ACM-1' } } },
    })
  })
})

describe('a run that asks for what changed', () => {
  it('brings what was changed or made since the last one asked, and nothing else', async () => {
    const { base, clock, account } = await setUp()
    const first = await readChanges(account, 'contacts', null)
    clock.advance(3_600_000)
    const changed = base.control.change(2)
    const added = base.control.add(1)
    clock.advance(3_600_000)

    const second = await readChanges(account, 'contacts', first.bookmark)
    clock.advance(3_600_000)
    const third = await readChanges(account, 'contacts', second.bookmark)

    expect(idsOf(second.records)).toEqual([...changed, ...added])
    expect(third.records).toEqual([])
  })

  it('brings what changed while the one before was reading', async () => {
    const { base, clock, account } = await setUp()
    const page = await account.fetchPage('contacts', { since: null, cursor: null })
    clock.advance(50_000)
    const changed = base.control.change(1)
    const rest = await account.fetchPage('contacts', { since: null, cursor: page.next })
    clock.advance(3_600_000)

    const next = await readChanges(account, 'contacts', rest.bookmark)

    expect(idsOf(next.records)).toEqual(changed)
  })

  it('goes by the clock of Airtable, not by ours', async () => {
    const { account, base } = await setUp()
    const behind = openAccount({
      connector: airtable,
      settings: { ...base.settings, auth: 'personal_access_token' },
      credentials: base.credentials,
      clock: fakeClock('2026-11-19T09:00:00Z'),
      tokens: memoryTokenCache(),
      overrides: { airtable: { baseUrl: base.baseUrl } },
      http: createHttpClient({ allowPrivateNetworks: true, log: createLog({}, () => {}) }),
    })

    const pages = await Promise.all(
      [account, behind].map((each) => each.fetchPage('contacts', { since: null, cursor: null })),
    )

    expect(pages.map(({ bookmark }) => bookmark)).toEqual([
      { asked_at: '2026-11-20T09:00:00.000Z' },
      { asked_at: '2026-11-20T09:00:00.000Z' },
    ])
  })
})

describe('a list that Airtable forgot', () => {
  it.each(['rested too long', 'was thrown away'])(
    'because it %s: the scan begins again',
    async (why) => {
      const { base, clock, account } = await setUp()
      const { next } = await account.fetchPage('contacts', { since: null, cursor: null })
      if (why === 'rested too long') clock.advance(301_000)
      else base.control.expireIterators()

      const lost = account.fetchPage('contacts', { since: null, cursor: next })

      await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired', next: 'retry' })
      expect(await readAll(account, 'contacts')).toHaveLength(250)
    },
  )
})

/** What Postgres does for an account, by the connector's own numbers (GCRA). */
const sharedBudget: Budget = (clock) => {
  const { requestsPerSecond, burst } = airtable.rateLimit
  const interval = 1000 / requestsPerSecond
  let due = -Infinity
  return {
    acquire() {
      const now = clock.now().getTime()
      due = Math.max(due, now - (burst - 1) * interval)
      const wait_ms = Math.max(0, due - now)
      due += interval
      return Promise.resolve({ wait_ms, circuit: 'closed' })
    },
    report: () => Promise.resolve(),
  }
}

describe('the limit of 5 requests a second for a base', () => {
  it('is never exceeded by accounts that share the budget, and nearly used up', async () => {
    const { base, clock, open } = await setUp({ people: 3000, requestsPerSecond: 5 }, sharedBudget)
    const started = clock.now().getTime()

    for (const account of [open(), open()]) await readAll(account, 'contacts')

    const seconds = (clock.now().getTime() - started) / 1000
    expect(base.counted()).toEqual({ worst: 5, refused: 0 })
    expect(base.requests.length / seconds).toBeGreaterThan(0.8 * 5)
  })

  it('costs 30 s when somebody else exceeded it', async () => {
    const { base, clock, account } = await setUp({ requestsPerSecond: 5 })
    const url = `${base.url}/v0/meta/bases/${base.settings.base_id}/tables`
    const headers = { authorization: `Bearer ${base.credentials.token}` }
    for (let count = 0; count < 6; count++) await fetch(url, { headers })

    await account.check()

    expect(clock.slept).toEqual([30_000])
    expect(base.counted().refused).toBe(2)
  })

  it('is not waited for when the plan of the month is used up', async () => {
    const { base, clock, account } = await setUp()
    const errors = [{ error: 'PUBLIC_API_BILLING_LIMIT_EXCEEDED', message: 'Upgrade' }]
    base.control.setFault({ kind: 'status', status: 429, body: JSON.stringify({ errors }) })

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_forbidden',
      next: 'owner',
    })
    expect(clock.slept).toEqual([])
  })

  it('has one budget for each base', () => {
    const key = (base_id: string) =>
      airtable.budgetKey(airtable.readAccount({ settings: { base_id }, credentials: {} }))

    expect(key('appOne')).toBe('airtable:appOne')
    expect(key('appTwo')).toBe('airtable:appTwo')
  })
})

describe('the rows of a table', () => {
  it('are made or changed by their merge fields, ten a call', async () => {
    const { base, act } = await setUp()
    const records = [
      { SKU: 'ACM-1', Price: 1.5 },
      ...Array.from({ length: 14 }, (_, index) => ({
        SKU: `NEW-${index}`,
      })),
    ]

    const outcome = await act('upsert_records', { table: 'Inventory', merge_on: ['SKU'], records })
    const again = await act('upsert_records', { table: 'Inventory', merge_on: ['SKU'], records })

    const rows = [...base.base.find('Inventory')!.rows.values()]
    const [, ...updated] = (again as { output: { updated: string[] } }).output.updated
    expect(outcome).toMatchObject({ status: 'success', output: { created: updated } })
    expect(rows).toHaveLength(134)
    expect(rows[0]!.fields).toMatchObject({ SKU: 'ACM-1', Price: 1.5, Item: expect.any(String) })
    expect(base.requests.filter(({ method }) => method === 'PATCH')).toHaveLength(4)
  })

  it.each([['no value', {}], ['null', { SKU: null }], ['empty text', { SKU: ' ' }]])(
    'are not written with %s to merge them on: a second try would double them',
    async (_, key) => {
      const { base, account, act } = await setUp()
      const rows = base.base.find('Inventory')!.rows
      const write = (row: Record<string, unknown>) =>
        act('upsert_records', { table: 'Inventory', merge_on: ['SKU'], records: [row] })
      const unchecked = {
        method: 'PATCH',
        path: '/{base_id}/Inventory',
        json: {
          performUpsert: { fieldsToMergeOn: ['SKU'] },
          records: [{ fields: { Item: 'Jug' } }],
        },
      } as const

      expect(() => write({ Item: 'Tray', ...key })).toThrow(expect.objectContaining({
        code: 'invalid_input',
        errors: [expect.objectContaining({ path: 'input.records.0.SKU' })],
      }))
      expect(await write({ Item: 'Tray', SKU: 'NEW-1' })).toMatchObject({ status: 'success' })
      expect(rows.size).toBe(121)
      await account.call(unchecked)
      await account.call(unchecked)
      expect(rows.size).toBe(123)
    },
  )

  it('are not written when two are told by the same merge fields: one call would make both', async () => {
    const { base, act } = await setUp()
    const rows = base.base.find('Inventory')!.rows
    const write = (...skus: unknown[]) =>
      act('upsert_records', {
        table: 'Inventory',
        merge_on: ['SKU', 'Item'],
        records: skus.map((SKU) => ({ SKU, Item: 'Tray' })),
      })

    expect(() => write('NEW-1', 'NEW-2', 'NEW-1')).toThrow(expect.objectContaining({
      code: 'invalid_input',
      errors: [{ path: 'input.records.2.SKU', message: 'is there twice' }],
    }))
    expect(await write('NEW-1', 'NEW-2')).toMatchObject({ status: 'success' })
    expect(rows.size).toBe(122)
  })

  it('take text for a number only when typecasting is asked for', async () => {
    const { act } = await setUp()
    const input = {
      table: 'Inventory',
      merge_on: ['SKU'],
      records: [{ SKU: 'ACM-1', Price: '2.5' }],
    }

    expect(await act('upsert_records', input)).toMatchObject({
      status: 'failed',
      error: {
        code: 'provider_rejected',
        detail: expect.stringContaining('INVALID_VALUE_FOR_COLUMN: Field "Price"'),
      },
    })
    expect(await act('upsert_records', { ...input, typecast: true })).toMatchObject({
      status: 'success',
    })
  })

  it('are written in part when a later call is refused, and the outcome says so', async () => {
    const { base, act } = await setUp()
    const records = Array.from({ length: 12 }, (_, index) => ({
      SKU: `NEW-${index}`,
      ...(index === 11 ? { Nonsense: 1 } : {}),
    }))

    const outcome = await act('upsert_records', { table: 'Inventory', merge_on: ['SKU'], records })

    expect(outcome).toMatchObject({ status: 'partial', error: { code: 'provider_rejected' } })
    expect((outcome as { output: { created: string[] } }).output.created).toHaveLength(10)
    expect(base.base.find('Inventory')!.rows.size).toBe(130)
  })

  it('are deleted by id, and an id that is not there is said to be refused', async () => {
    const { base, act } = await setUp()
    const rows = base.base.find('Inventory')!.rows
    const ids = [...rows.keys()].slice(0, 12)

    const outcome = await act('delete_records', { table: 'Inventory', ids })
    const again = await act('delete_records', { table: 'Inventory', ids })

    expect(outcome).toEqual({ status: 'success', output: { deleted: ids } })
    expect(rows.size).toBe(108)
    expect(again).toMatchObject({ status: 'failed', error: { code: 'provider_not_found' } })
  })
})

describe('access', () => {
  const redirect_uri = 'https://project.example/functions/v1/oauth-callback'

  /** The whole sign-in with what the connector declares, as a standard client does it. */
  async function signIn(base: Awaited<ReturnType<typeof setUp>>['base'], scope?: string) {
    const auth = airtable.modes.oauth!
    if (auth.type !== 'oauth2') throw new Error('oauth signs in')
    const here = (address: string) => address.replace('https://airtable.com', base.url)
    const as = { issuer: base.url, token_endpoint: here(auth.token_endpoint) }
    const client = { client_id: base.client.client_id }
    const proof = oauth.ClientSecretBasic(base.client.client_secret)
    const insecure = { [oauth.allowInsecureRequests]: true }
    const verifier = oauth.generateRandomCodeVerifier()
    const url = new URL(here(auth.authorization_endpoint))
    url.search = new URLSearchParams({
      ...{
        client_id: client.client_id,
        redirect_uri,
        response_type: 'code',
        state: 'x'.repeat(16),
      },
      scope: scope ?? auth.scope,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString()
    const landed = await browser().authorize(url.href, { stopAt: redirect_uri })
    const back = oauth.validateAuthResponse(as, client, new URL(landed.url), 'x'.repeat(16))
    const answer = await oauth.authorizationCodeGrantRequest(
      ...[as, client, proof, back, redirect_uri, verifier, insecure] as const,
    )
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer)
    const refresh = async () =>
      await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token!, insecure),
      )
    return { tokens, refresh }
  }

  it('by sign-in reads and writes; a refresh replaces both tokens at once', async () => {
    const { base, open } = await setUp({ redirectUris: [redirect_uri] })
    const { tokens, refresh } = await signIn(base)
    const old = open({}, { signedIn: tokens.access_token })
    await expect(old.check()).resolves.toEqual({ account: {} })

    const renewed = await refresh()

    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    await expect(open({}, { signedIn: renewed.access_token }).check()).resolves.toEqual({
      account: {},
    })
    await expect(old.check()).rejects.toMatchObject({ code: 'provider_unauthorized' })
    await expect(refresh()).rejects.toMatchObject({ error: 'invalid_grant' })
  })

  it('without the scope to write reads, and is told why it may not write', async () => {
    const { base, open, act } = await setUp({ redirectUris: [redirect_uri] })
    const { tokens } = await signIn(base, 'data.records:read schema.bases:read')
    const account = open({}, { signedIn: tokens.access_token })
    const input = { table: 'Inventory', merge_on: ['SKU'], records: [{ SKU: 'ACM-1' }] }

    expect((await account.fetchPage('records', { since: null, cursor: null })).records)
      .toHaveLength(100)
    expect(await act('upsert_records', input, account)).toMatchObject({
      status: 'failed',
      error: { code: 'provider_forbidden', detail: expect.stringContaining('INVALID_PERMISSIONS') },
    })
  })

  it('to a base that was not shared is refused by the check', async () => {
    const { open } = await setUp()

    await expect(open({ base_id: 'appNOTSHARED00000' }).check()).rejects.toMatchObject({
      code: 'provider_forbidden',
    })
    await expect(open().check()).resolves.toEqual({ account: {} })
  })

  it('by a wrong token is refused without repeating it', async () => {
    const { open } = await setUp()

    const error = await open({}, { token: 'patWRONG.secret' }).check().catch((error: unknown) =>
      error
    )

    expect(error).toMatchObject({ code: 'provider_unauthorized' })
    expect((error as Error).message).not.toContain('patWRONG')
  })

  it.each([
    ['an object', { error: { type: 'NOT_FOUND', message: 'No' } }, 'NOT_FOUND: No'],
    ['only a name', { error: 'NOT_FOUND' }, 'NOT_FOUND'],
  ])('errors are read, be they %s', async (_, error, text) => {
    const { base, account } = await setUp()
    base.control.setFault({ kind: 'status', status: 404, body: JSON.stringify(error) })

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_not_found',
      detail: `Airtable answered 404: ${text}`,
    })
  })
})

describe('the simulated formulas', () => {
  const row: FormulaRow = {
    id: 'rec1',
    created_at: '2026-11-01T00:00:00Z',
    modified_at: null,
    fields: { Name: "O'Hara", Price: 5 },
  }
  const changed = { ...row, modified_at: '2026-11-10T00:00:00Z' }

  it.each<[string, boolean, boolean]>([
    ["IS_AFTER(LAST_MODIFIED_TIME(), '2026-11-05T00:00:00Z')", false, true],
    ['IS_BEFORE(LAST_MODIFIED_TIME(), "2026-11-05T00:00:00Z")', false, false],
    [
      "OR(IS_AFTER(LAST_MODIFIED_TIME(),'2026-11-05'),IS_AFTER(CREATED_TIME(),'2026-10-31'))",
      true,
      true,
    ],
    ["AND({Name} = 'O\\'Hara', {Price} >= 5, NOT({Gone}))", true, true],
    ["IS_AFTER(LAST_MODIFIED_TIME(), DATETIME_PARSE('2026-11-09'))", false, true],
    ["RECORD_ID() != 'rec1'", false, false],
  ])('%s', (formula, before, after) => {
    const passes = compileFormula(formula)

    expect([passes(row), passes(changed)]).toEqual([before, after])
  })

  it.each(['IS_AFTER(', 'NONSENSE()', "{Name} = 'x", '1 1', ''])('refuses %j', (formula) => {
    expect(() => compileFormula(formula)).toThrow(SyntaxError)
  })
})
