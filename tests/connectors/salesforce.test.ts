import { describe, expect, it, onTestFinished } from 'vitest'
import { parseSoql } from '../../scripts/simulators/salesforce/soql.ts'
import {
  type SalesforceSimulatorOptions,
  startSalesforceSimulator,
} from '../../scripts/simulators/salesforce.ts'
import type {
  Account,
  Page,
  PageCursor,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { readInput } from '../../supabase/functions/_shared/connectors/run-action.ts'
import { salesforce } from '../../supabase/functions/_shared/connectors/salesforce.ts'
import { soqlText } from '../../supabase/functions/_shared/connectors/salesforce/read-people.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, readAll } from './conformance.ts'
import {
  act,
  memoryBudget,
  openSimulated,
  refresh,
  signIn,
  type SimulatedAccount,
} from './simulated-account.ts'

const NOW = '2026-11-20T09:00:00Z'
const ORGANIZATION = '00Dxx0000001gERAAY'
const facts = { instance_url: 'https://acme.my.salesforce.com', organization_id: ORGANIZATION }

const ada = {
  attributes: { type: 'Contact', url: '/services/data/v63.0/sobjects/Contact/003xx0000000001AAA' },
  Id: '003xx0000000001AAA',
  FirstName: 'Ada',
  LastName: 'L',
  Name: 'Ada L',
  Email: 'ada@example.com',
  Phone: null,
  MobilePhone: '+1 555 0100',
  Title: 'Owner',
  Account: { attributes: { type: 'Account' }, Name: 'Fieldnotes' },
  MailingStreet: '1 Pine St\r\nFloor 2',
  MailingCity: 'Porto',
  MailingState: null,
  MailingPostalCode: '4000',
  MailingCountry: 'Portugal',
  HasOptedOutOfEmail: true,
  EmailBouncedDate: null,
  IsDeleted: false,
  SystemModstamp: '2026-06-01T12:00:00.000+0000',
}
const bare = {
  attributes: { type: 'Contact' },
  Id: '003xx0000000002AAA',
  LastName: 'B',
  Name: 'B',
  Account: null,
  EmailBouncedDate: '2026-05-01T00:00:00.000+0000',
  SystemModstamp: '2026-06-01T12:00:00.000+0000',
}
const lead = {
  attributes: { type: 'Lead' },
  Id: '00Qxx0000000001AAA',
  LastName: 'C',
  Name: 'C',
  Company: 'Oak Street',
  City: 'Graz',
  IsConverted: false,
  IsDeleted: false,
  SystemModstamp: '2026-06-02T12:00:00.000+0000',
}
const columns: SyncedRecord<'contacts'>['columns'] = {
  kind: 'contact',
  email: 'ada@example.com',
  first_name: 'Ada',
  last_name: 'L',
  full_name: 'Ada L',
  phone: '+1 555 0100',
  company: 'Fieldnotes',
  job_title: 'Owner',
  marketing_status: 'unsubscribed',
  tags: [],
  address: {
    line1: '1 Pine St',
    line2: 'Floor 2',
    city: 'Porto',
    region: null,
    postal_code: '4000',
    country: 'Portugal',
  },
  image_url: null,
}
const nothing: SyncedRecord<'contacts'>['columns'] = {
  ...columns,
  email: null,
  first_name: null,
  phone: null,
  company: null,
  job_title: null,
  marketing_status: null,
  address: null,
}

conformance(salesforce, {
  settings: { external_id_field: 'Shop_Id__c' },
  credentials: {},
  account: facts,
  token: { access_token: '00Dxx!token-of-a-sign-in' },
  streams: {
    contacts: {
      pages: [[ada], [bare], [lead]],
      body: (records, { page, last }) => ({
        totalSize: 3,
        done: page !== 0 || last,
        ...(page === 0 && !last
          ? { nextRecordsUrl: '/services/data/v63.0/query/01gxx0000000001AAA-2000' }
          : {}),
        records,
      }),
      synced: [
        { source_id: ada.Id, source_updated_at: '2026-06-01T12:00:00.000Z', columns },
        {
          source_id: bare.Id,
          source_updated_at: '2026-06-01T12:00:00.000Z',
          columns: { ...nothing, last_name: 'B', full_name: 'B', marketing_status: 'bounced' },
        },
        {
          source_id: lead.Id,
          source_updated_at: '2026-06-02T12:00:00.000Z',
          columns: {
            ...nothing,
            kind: 'lead',
            last_name: 'C',
            full_name: 'C',
            company: 'Oak Street',
            address: {
              line1: null,
              line2: null,
              city: 'Graz',
              region: null,
              postal_code: null,
              country: null,
            },
          },
        },
      ],
      required: 'SystemModstamp',
      wrongType: { path: 'attributes.type', value: 'Account' },
    },
  },
  actions: {
    upsert_contacts: {
      input: {
        contacts: [
          { external_id: 'shop-1', last_name: 'L', email: 'ada@example.com', phone: null },
          { external_id: 'shop-2', fields: { Level__c: 3 } },
        ],
      },
      wrongInput: {
        input: { contacts: [{ external_id: 'a' }, { external_id: 'a' }] },
        path: 'contacts.1.external_id',
      },
      requests: [{
        request: 'PATCH /services/data/v63.0/composite/sobjects/Contact/Shop_Id__c',
        body: {
          allOrNone: false,
          records: [
            {
              attributes: { type: 'Contact' },
              LastName: 'L',
              Email: 'ada@example.com',
              Phone: null,
              Shop_Id__c: 'shop-1',
            },
            { attributes: { type: 'Contact' }, Level__c: 3, Shop_Id__c: 'shop-2' },
          ],
        },
      }],
      answers: [{
        body: [
          { id: ada.Id, success: true, errors: [], created: true },
          {
            success: false,
            errors: [{
              statusCode: 'REQUIRED_FIELD_MISSING',
              message: 'Required fields are missing: [LastName]',
              fields: ['LastName'],
            }],
          },
        ],
      }],
      output: {
        created: 1,
        updated: 0,
        contacts: [{ id: ada.Id, external_id: 'shop-1' }],
        failed: [{
          index: 1,
          code: 'REQUIRED_FIELD_MISSING',
          message: 'Required fields are missing: [LastName]',
        }],
      },
      status: 'partial',
    },
  },
})

/** A simulated org and an account that has signed in there, on one clock. */
async function setUp(
  options: SalesforceSimulatorOptions = {},
  settings: Record<string, unknown> = {},
) {
  const clock = fakeClock(NOW)
  const simulator = await startSalesforceSimulator({ now: clock.now, ...options })
  onTestFinished(simulator.stop)
  const signedIn = await signIn(salesforce, simulator)
  const account: SimulatedAccount = {
    connector: salesforce,
    simulator,
    clock,
    settings: { ...simulator.settings, ...settings },
    facts: signedIn.account,
    token: signedIn.access_token,
  }
  simulator.requests.length = 0
  const { org, control } = simulator
  return {
    clock,
    simulator,
    org,
    control,
    signedIn,
    options: account,
    account: openSimulated(account),
  }
}

const parse = (raw: unknown) => {
  const parsed = parseRecord(salesforce, 'contacts', raw, { settings: {}, account: {} })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record
}
const idsOf = (records: { Id: string }[]) => records.map(({ Id }) => Id)

/** All pages of one run, with what it leaves for the next. */
async function run(
  account: Account,
  from: { since: string | null; bookmark?: Page['bookmark'] },
  between: (page: number) => void = () => {},
) {
  const records: unknown[] = []
  let cursor: PageCursor | null = null
  let bookmark: Page['bookmark']
  for (let count = 0; count < 100; count++) {
    const page: Page = await account.fetchPage('contacts', {
      since: from.since,
      bookmark: from.bookmark ?? null,
      cursor,
    })
    records.push(...page.records)
    bookmark = page.bookmark ?? bookmark
    if (page.next === null) return { records: records.map(parse), bookmark }
    cursor = JSON.parse(JSON.stringify(page.next)) as PageCursor
    between(count)
  }
  throw new Error('the run does not end')
}

describe('a Salesforce org', () => {
  it('is read whole: contacts, then leads, page by page', async () => {
    const { account, org } = await setUp({ contacts: 500, leads: 300, pageSize: 200 })

    const records = (await readAll(account, 'contacts')).map(parse)

    const kinds = records.map(({ columns }) => (columns as { kind: string }).kind)
    expect(records.map(({ source_id }) => source_id)).toEqual([
      ...idsOf(org.records('Contact')),
      ...idsOf(org.records('Lead')),
    ])
    expect(kinds.filter((kind) => kind === 'lead')).toHaveLength(300)
    expect(new Set(records.map(({ source_id }) => source_id)).size).toBe(800)
  })

  it('has no leads where the settings leave them out', async () => {
    const { account, org } = await setUp({}, { leads: false })

    const records = (await readAll(account, 'contacts')).map(parse)

    expect(records.map(({ source_id }) => source_id)).toEqual(idsOf(org.records('Contact')))
  })

  it('shows in a delta what changed and, out of the recycle bin, what was deleted', async () => {
    const { account, org, clock } = await setUp()
    const { bookmark } = await run(account, { since: null })
    clock.advance(3_600_000)
    const [changed, gone] = idsOf(org.records('Contact'))
    const [goneLead] = idsOf(org.records('Lead'))
    org.change([changed!], { Email: 'new@people.example' })
    org.remove([gone!, goneLead!])

    const { records } = await run(account, { since: NOW, bookmark })

    const recent = records.filter(({ source_updated_at }) => source_updated_at! > NOW)
    expect(recent.map(({ source_id, deleted }) => ({ source_id, deleted }))).toEqual([
      { source_id: changed, deleted: undefined },
      { source_id: gone, deleted: true },
      { source_id: goneLead, deleted: true },
    ])
  })

  it('ends a lead that is converted, and the contact it became goes on', async () => {
    const { account, org, clock } = await setUp()
    const { bookmark } = await run(account, { since: null })
    clock.advance(3_600_000)
    const [lead] = idsOf(org.records('Lead'))
    const contact = org.convert(lead!)

    const delta = await run(account, { since: NOW, bookmark })
    const whole = await run(account, { since: null })

    const recent = delta.records.filter(({ source_updated_at }) => source_updated_at! > NOW)
    expect(recent.map(({ source_id, deleted }) => ({ source_id, deleted }))).toEqual([
      { source_id: contact.Id, deleted: undefined },
      { source_id: lead, deleted: true },
    ])
    expect(whole.records.map(({ source_id }) => source_id)).toContain(contact.Id)
    expect(whole.records.map(({ source_id }) => source_id)).not.toContain(lead)
  })

  it('loses no contact that changed while the leads were read', async () => {
    const { account, org, clock } = await setUp({ contacts: 100, leads: 500, pageSize: 200 })
    const { bookmark } = await run(account, { since: null })
    clock.advance(1_200_000)
    const [late] = idsOf(org.records('Contact'))
    const leads = idsOf(org.records('Lead'))
    org.change(leads.slice(0, 250))

    // the contacts have been read; one changes, and an hour later a lead that is still to come
    const first = await run(account, { since: NOW, bookmark }, (page) => {
      if (page !== 0) return
      org.change([late!])
      clock.advance(3_600_000)
      org.change(leads.slice(300, 301))
    })
    const second = await run(account, {
      since: '2026-11-20T10:20:00Z', // the newest of all that was seen
      bookmark: first.bookmark,
    })

    expect(first.records.map(({ source_id }) => source_id)).not.toContain(late)
    expect(second.records.map(({ source_id }) => source_id)).toContain(late)
  })

  it('asks again for the minutes before, in which a long transaction may have ended', async () => {
    const { account, org, clock } = await setUp()
    clock.advance(3_600_000)
    const { bookmark } = await run(account, { since: null })
    const [late] = idsOf(org.records('Contact'))
    org.change([late!], {}, new Date(clock.now().getTime() - 240_000))

    const kept = { ...bookmark, Contact: clock.now().toISOString() }
    const { records } = await run(account, { since: '2026-11-20T09:55:00Z', bookmark: kept })

    expect(records.map(({ source_id }) => source_id)).toContain(late)
  })

  it('forgets how far a query was read: the scan begins again', async () => {
    const { account, control } = await setUp({ pageSize: 50 })
    const { next } = await account.fetchPage('contacts', { since: null, cursor: null })
    control.expireLocators()

    const lost = account.fetchPage('contacts', { since: null, cursor: next })

    await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    await expect(readAll(account, 'contacts')).resolves.toHaveLength(160)
  })

  it('names the field that the user cannot see, and is read without it', async () => {
    const { account, options, control } = await setUp()
    control.hideField('HasOptedOutOfEmail')
    const without = openSimulated({ ...options, settings: { email_opt_out: false } })

    await expect(readAll(account, 'contacts')).rejects.toMatchObject({
      code: 'provider_rejected',
      detail: expect.stringContaining('cannot see HasOptedOutOfEmail'),
    })
    await expect(readAll(without, 'contacts')).resolves.toHaveLength(160)
  })
})

describe('text in a query', () => {
  it.each(["O'Hara", 'a\\', "\\' OR Name != '", 'say "hi"', 'two\nlines', ''])(
    'stays text, whatever it is: %j',
    (value) => {
      const soql = `SELECT Id FROM Contact WHERE RecordType.Name = ${soqlText(value)}`
      const record = { Id: '', IsDeleted: false, SystemModstamp: 0 }

      const query = parseSoql(soql)

      expect(query?.matches({ ...record, 'RecordType.Name': value })).toBe(true)
      expect(query?.matches({ ...record, 'RecordType.Name': 'other' })).toBe(false)
    },
  )

  it('chooses a record type by its name, quotes and all', async () => {
    const { account, org } = await setUp({}, { record_type: "People we won't call" })

    const records = (await readAll(account, 'contacts')).map(parse)

    const wanted = [...org.records('Contact'), ...org.records('Lead')].filter((record) =>
      record['RecordType.Name'] === "People we won't call"
    )
    expect(wanted).toHaveLength(40)
    expect(records.map(({ source_id }) => source_id)).toEqual(idsOf(wanted))
  })
})

describe('a Salesforce sign-in', () => {
  it('tells where the org lives and which it is; the check confirms it', async () => {
    const { account, signedIn } = await setUp()

    const checked = await account.check()

    expect(signedIn.account).toMatchObject(facts)
    expect(signedIn.expires_in).toBe(7200) // which Salesforce does not say
    expect(checked).toMatchObject({ account_name: 'Acme', account: facts })
    expect(salesforce.accountId({ settings: {}, credentials: {}, account: signedIn.account })).toBe(
      ORGANIZATION,
    )
  })

  it('goes through the host of a sandbox or a My Domain, and no other', () => {
    const auth = salesforce.auth({})
    const read = (login_host: string) =>
      salesforce.readAccount({ settings: { login_host }, credentials: {} })

    for (const host of ['test.salesforce.com', 'acme--dev.sandbox.my.salesforce.com']) {
      expect(read(host).settings.login_host).toBe(host)
    }
    for (
      const host of ['evil.example', 'my.salesforce.com.evil.example', 'a/b.my.salesforce.com']
    ) {
      expect(() => read(host)).toThrow(expect.objectContaining({ code: 'invalid_settings' }))
    }
    expect(auth.type === 'oauth2' && auth.token_endpoint).toContain('{login_host}')
  })

  it('renews a session that ended early, and reads on', async () => {
    const { options, simulator, signedIn } = await setUp()
    let token = signedIn.access_token
    const account = openSimulated({
      ...options,
      grant: {
        current: () => Promise.resolve(token),
        async renew() {
          const tokens = await refresh(salesforce, simulator, signedIn.refresh_token)
          return token = tokens.access_token
        },
      },
    })
    simulator.oauth.control.expireAccessTokens()

    const page = await account.fetchPage('contacts', { since: null, cursor: null })

    expect(page.records).toHaveLength(120)
    expect(token).not.toBe(signedIn.access_token)
  })

  it('says at each refresh where the org lives, which may be elsewhere by then', async () => {
    const { simulator, control, signedIn } = await setUp()
    control.move('https://acme-new.my.salesforce.com')

    const { account } = await refresh(salesforce, simulator, signedIn.refresh_token)

    expect(account.instance_url).toBe('https://acme-new.my.salesforce.com')
    expect(salesforce.baseUrl({ settings: {}, credentials: {}, account })).toBe(
      'https://acme-new.my.salesforce.com',
    )
  })

  it('that names another host keeps its tokens, of which a rotated one would be lost', async () => {
    const { simulator, control, signedIn } = await setUp()
    control.move('https://evil.example')

    const tokens = await refresh(salesforce, simulator, signedIn.refresh_token)

    expect(tokens.refresh_token).toEqual(expect.any(String))
    expect(tokens.account).toEqual({
      organization_id: ORGANIZATION,
      user_id: expect.any(String),
    })
  })

  it.each([
    'https://salesforce.com.evil.example',
    'https://evilsalesforce.com',
    'http://acme.my.salesforce.com',
    'https://acme.my.salesforce.com:8443',
    'https://acme.my.salesforce.com@evil.example',
    'nowhere',
  ])('never sends a token to %s', (instance_url) => {
    const auth = salesforce.auth({})
    const baseUrl = (instance_url: string) =>
      salesforce.baseUrl({ settings: {}, credentials: {}, account: { instance_url } })

    expect(auth.type === 'oauth2' && auth.account?.({ instance_url })).toEqual({})
    expect(() => baseUrl(instance_url))
      .toThrow(expect.objectContaining({ code: 'oauth_response_invalid' }))
    expect(baseUrl('https://acme.my.salesforce.com/')).toBe('https://acme.my.salesforce.com')
    expect(baseUrl('https://acme.lightning.force.com')).toBe('https://acme.lightning.force.com')
  })

  it('follows a next page on the paths of queries only', async () => {
    const { account } = await setUp()
    const place = (url: string) => ({
      since: null,
      cursor: { place: { object: 'Contact', url, newest: {}, started: NOW } },
    })

    for (const url of ['https://evil.example/services/data/v63.0/query/01g', '/services/../x']) {
      await expect(account.fetchPage('contacts', place(url))).rejects.toMatchObject({
        code: 'provider_redirect_refused',
      })
    }
  })
})

describe('the allocation of 24 hours', () => {
  it('is used up (403 REQUEST_LIMIT_EXCEEDED): that is throttling, for a quarter of an hour', async () => {
    const { account, control, clock } = await setUp()
    control.use(15_000)

    const reading = account.fetchPage('contacts', { since: null, cursor: null })

    await expect(reading).rejects.toMatchObject({
      code: 'provider_rate_limited',
      retryAfterMs: 900_000,
    })
    expect(clock.slept).toEqual([])
    control.use(0)
    await expect(account.check()).resolves.toMatchObject({ account_name: 'Acme' })
  })

  it('is nearly used up: everybody pauses and leaves the rest to the org', async () => {
    const { options, control, clock, simulator } = await setUp({ allocation: 1000 })
    const account = openSimulated({ ...options, budget: memoryBudget(salesforce, clock) })
    control.use(948)
    await account.check() // 949 of 1000

    await account.check() // 950
    const third = account.check()

    await expect(third).rejects.toMatchObject({
      code: 'provider_rate_limited',
      retryAfterMs: expect.any(Number),
    })
    expect(simulator.requests).toHaveLength(2)
    clock.advance(900_000)
    await expect(account.check()).resolves.toBeDefined()
  })

  it('is not what a 403 means otherwise', async () => {
    const { account, simulator } = await setUp()
    simulator.control.setFault({
      kind: 'status',
      status: 403,
      body: JSON.stringify([{ errorCode: 'API_DISABLED_FOR_ORG', message: 'no' }]),
    })

    await expect(account.check()).rejects.toMatchObject({
      code: 'provider_forbidden',
      next: 'owner',
    })
  })
})

describe('upsert_contacts', () => {
  it('writes 450 contacts in three calls; each that is refused is named, at status 200', async () => {
    const { options, org, control, simulator } = await setUp({ contacts: 0, leads: 0 })
    org.add('Contact', { LastName: 'Known', Shop_Id__c: 'shop-0' })
    control.lock('shop-250')
    const contacts = Array.from({ length: 450 }, (_, n) => ({
      external_id: `shop-${n}`,
      email: `${n}@people.example`,
      ...(n === 0 || n === 420 ? {} : { last_name: 'L' }),
    }))

    const outcome = await act(options, 'upsert_contacts', { contacts })

    expect(outcome).toMatchObject({
      status: 'partial',
      output: {
        created: 447,
        updated: 1,
        failed: [
          { index: 250, code: 'UNABLE_TO_LOCK_ROW' },
          { index: 420, code: 'REQUIRED_FIELD_MISSING' },
        ],
      },
    })
    expect(simulator.requests.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(org.records('Contact')).toHaveLength(448)
  })

  it('written twice is there once', async () => {
    const { options, org } = await setUp({ contacts: 0, leads: 0 })
    const input = { contacts: [{ external_id: 'shop-1', last_name: 'L' }] }

    const first = await act(options, 'upsert_contacts', input)
    const second = await act(options, 'upsert_contacts', input)

    expect([first, second]).toMatchObject([{ output: { created: 1 } }, { output: { updated: 1 } }])
    expect(org.records('Contact')).toHaveLength(1)
  })

  it('takes external ids that differ in nothing but their case for one', () => {
    const read = (...ids: string[]) =>
      readInput(findAction(salesforce, 'upsert_contacts'), {
        contacts: ids.map((external_id) => ({ external_id })),
      })

    expect(() => read('shop-a', 'SHOP-A')).toThrow(expect.objectContaining({
      code: 'invalid_input',
      errors: [{ path: 'input.contacts.1.external_id', message: 'is there twice' }],
    }))
    expect(() => read('shop-a', 'SHOP-B')).not.toThrow()
  })

  it.each(['attributes', 'Id', 'ID'])('lets no field %s say which record is written', (name) => {
    const read = (field: string) =>
      readInput(findAction(salesforce, 'upsert_contacts'), {
        contacts: [{ external_id: 'shop-1', fields: { [field]: '003000000000001' } }],
      })

    expect(() => read(name)).toThrow(expect.objectContaining({
      code: 'invalid_input',
      errors: [expect.objectContaining({ path: `input.contacts.0.fields.${name}` })],
    }))
    expect(() => read('ReportsToId')).not.toThrow()
  })

  it.each(['Shop_Id__c', 'SHOP_ID__C'])(
    'lets no field %s name another external id than the contact’s own',
    async (name) => {
      const { options, simulator } = await setUp()
      const write = (field: string) =>
        act(options, 'upsert_contacts', {
          contacts: [{ external_id: 'shop-1', last_name: 'Byron', fields: { [field]: 'shop-2' } }],
        })

      await expect(write(name)).rejects.toMatchObject({
        code: 'invalid_input',
        errors: [{ path: `input.contacts.0.fields.${name}` }],
      })
      expect(simulator.requests).toEqual([])
      expect(await write('Department')).toMatchObject({ status: 'success' })
    },
  )

  it('needs to know the external id field, and says which setting is missing', async () => {
    const { options } = await setUp({}, { external_id_field: undefined })

    const writing = act(options, 'upsert_contacts', { contacts: [{ external_id: 'a' }] })

    await expect(writing).rejects.toMatchObject({
      code: 'invalid_settings',
      errors: [{ path: 'settings.external_id_field' }],
    })
  })
})
