import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type HubSpotSimulatorOptions,
  startHubSpotSimulator,
} from '../../scripts/simulators/hubspot.ts'
import type {
  Account,
  Page,
  PageCursor,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { hubspot } from '../../supabase/functions/_shared/connectors/hubspot.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, type ConnectorFixture, readAll } from './conformance.ts'
import {
  act,
  memoryBudget,
  openSimulated,
  refresh,
  signIn,
  type SimulatedAccount,
} from './simulated-account.ts'
import { received } from './webhook-conformance.ts'
import { hubspotWebhooks } from './webhooks/hubspot.ts'

const NOW = '2026-11-20T09:00:00Z'

const ada = {
  id: '90011223344',
  properties: {
    email: 'Ada@Example.com',
    firstname: 'Ada',
    lastname: 'L',
    phone: null,
    mobilephone: '+1 555 0100',
    company: 'Fieldnotes',
    jobtitle: 'Owner',
    lifecyclestage: 'customer',
    hs_email_optout: 'true',
    hs_email_hard_bounce_reason_enum: null,
    address: '1 Pine St',
    city: 'Porto',
    state: null,
    zip: '4000',
    country: 'Portugal',
    hs_object_id: '90011223344',
    createdate: '2026-01-15T10:00:00.000Z',
    lastmodifieddate: '2026-02-20T11:30:00.000Z',
    hs_merged_object_ids: '90011220001;90011220002',
  },
  createdAt: '2026-01-15T10:00:00.000Z',
  updatedAt: '2026-02-20T11:30:00.000Z',
  archived: false,
  url: 'https://app.hubspot.com/contacts/1234/record/0-1/90011223344',
}
const bounced = {
  ...ada,
  id: '90011223345',
  properties: {
    ...ada.properties,
    lifecyclestage: 'marketingqualifiedlead',
    hs_email_optout: '',
    hs_email_hard_bounce_reason_enum: 'UNKNOWN_USER',
    hs_merged_object_ids: null,
  },
}
const bare = { id: '7', properties: { lastmodifieddate: '2026-02-20T11:30:00.000Z' } }
const columns: SyncedRecord<'contacts'>['columns'] = {
  kind: 'customer',
  email: 'Ada@Example.com',
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
    line2: null,
    city: 'Porto',
    region: null,
    postal_code: '4000',
    country: 'Portugal',
  },
  image_url: null,
}

const fixture: Omit<ConnectorFixture, 'settings' | 'credentials'> = {
  account: { hub_id: '62515' },
  webhooks: hubspotWebhooks,
  other: {
    'GET /account-info/v3/details': { portalId: 62515, uiDomain: 'app.hubspot.com' },
  },
  streams: {
    contacts: {
      pages: [[ada, bounced], [bare]],
      body: (results, { page, last }) => ({
        results,
        ...(last ? {} : { paging: { next: { after: `${page + 1}00`, link: 'https://…' } } }),
      }),
      synced: [
        {
          source_id: ada.id,
          source_updated_at: '2026-02-20T11:30:00.000Z',
          columns,
          supersedes: ['90011220001', '90011220002'],
        },
        {
          source_id: bounced.id,
          source_updated_at: '2026-02-20T11:30:00.000Z',
          columns: { ...columns, kind: 'lead', marketing_status: 'bounced' },
          supersedes: [],
        },
        {
          source_id: '7',
          source_updated_at: '2026-02-20T11:30:00.000Z',
          columns: {
            kind: 'contact',
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
          },
          supersedes: [],
        },
      ],
      required: 'properties',
      wrongType: { path: 'properties.lastmodifieddate', value: 'yesterday' },
    },
  },
  actions: {
    upsert_contacts: {
      input: {
        contacts: [
          { email: 'ada@example.com', properties: { firstname: 'Ada', phone: null } },
          { email: 'grace@example.com' },
        ],
      },
      wrongInput: {
        input: { contacts: [{ email: 'ada@example.com' }, { email: 'ADA@example.com' }] },
        path: 'contacts.1.email',
      },
      requests: [{
        request: 'POST /crm/v3/objects/contacts/batch/upsert',
        body: {
          inputs: [
            {
              idProperty: 'email',
              id: 'ada@example.com',
              objectWriteTraceId: '0',
              properties: { email: 'ada@example.com', firstname: 'Ada', phone: '' },
            },
            {
              idProperty: 'email',
              id: 'grace@example.com',
              objectWriteTraceId: '1',
              properties: { email: 'grace@example.com' },
            },
          ],
        },
      }],
      answers: [{
        status: 207,
        body: {
          status: 'COMPLETE',
          results: [{ id: '11', new: true, properties: { email: 'ada@example.com' } }],
          numErrors: 1,
          errors: [{
            status: 'error',
            category: 'VALIDATION_ERROR',
            message: 'Email address grace@example.com is invalid',
            context: { ids: ['grace@example.com'] },
          }],
        },
      }],
      output: {
        created: 1,
        updated: 0,
        contacts: [{ id: '11', email: 'ada@example.com' }],
        failed: [{ index: 1, code: 'VALIDATION_ERROR', message: 'Email address … is invalid' }],
      },
      status: 'partial',
    },
  },
}

conformance(hubspot, {
  ...fixture,
  settings: {},
  credentials: {},
  token: { access_token: 'token-of-a-sign-in' },
}, 'oauth')

conformance(hubspot, {
  ...fixture,
  settings: { auth: 'private_app' },
  credentials: { access_token: 'pat-na1-secret' },
}, 'private_app')

async function setUp(options: HubSpotSimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const simulator = await startHubSpotSimulator({
    requestsPerTenSeconds: 0,
    now: clock.now,
    ...options,
  })
  onTestFinished(simulator.stop)
  const account: SimulatedAccount = {
    connector: hubspot,
    simulator,
    clock,
    settings: { auth: 'private_app' },
    credentials: simulator.credentials,
    facts: { hub_id: '62515' },
  }
  return { clock, simulator, crm: simulator.crm, options: account, account: openSimulated(account) }
}

const parse = (raw: unknown) => {
  const parsed = parseRecord(hubspot, 'contacts', raw, { settings: {}, account: {} })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record
}
const idsOf = (records: unknown[]) => records.map((raw) => (raw as { id: string }).id)

/** All pages of one run, with what it leaves for the next. */
async function run(
  account: Account,
  from: { since: string | null; bookmark?: Page['bookmark'] },
  between: (page: number) => void = () => {},
) {
  const records: unknown[] = []
  let cursor: PageCursor | null = null
  let bookmark: Page['bookmark']
  for (let count = 0; count < 500; count++) {
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

describe('a HubSpot account', () => {
  it('is read whole by list, a hundred at once', async () => {
    const { account, crm, simulator } = await setUp({ contacts: 250 })

    const records = await readAll(account, 'contacts')

    expect(idsOf(records)).toEqual(idsOf(crm.list()))
    expect(simulator.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET'])
  })

  it('shows in a delta what changed, and what was put into the recycle bin as deleted', async () => {
    const { account, crm, clock } = await setUp()
    const { bookmark } = await run(account, { since: null })
    clock.advance(600_000)
    const [changed, gone] = idsOf(crm.list())
    crm.change([changed!])
    crm.archive([gone!])

    const delta = await run(account, { since: NOW, bookmark })

    const recent = delta.records.filter((record) => record.source_updated_at! > NOW)
    expect(recent.map(({ source_id, deleted }) => ({ source_id, deleted }))).toEqual([
      { source_id: changed, deleted: undefined },
      { source_id: gone, deleted: true },
    ])
    expect(delta.records.length).toBeLessThan(5) // besides them only what the overlap asks again
  })

  it('asks for what was deleted before the last run no more', async () => {
    const { account, crm, clock } = await setUp()
    crm.archive([idsOf(crm.list())[0]!])
    clock.advance(600_000)
    const { bookmark } = await run(account, { since: null })
    clock.advance(600_000)

    const delta = await run(account, { since: NOW, bookmark })

    expect(delta.records.filter(({ deleted }) => deleted)).toEqual([])
  })

  it('tells by the survivor which contacts were merged into it', async () => {
    const { account, crm, clock } = await setUp()
    const [loser, survivor] = idsOf(crm.list())
    clock.advance(600_000)
    crm.merge(loser!, survivor!)

    const { records } = await run(account, { since: '2026-11-20T09:05:00Z' })

    expect(records).toEqual([
      expect.objectContaining({ source_id: survivor, supersedes: [loser] }),
      expect.objectContaining({ source_id: loser, deleted: true }),
    ])
  })
})

describe('the search of HubSpot', () => {
  it('gives more changes than the most that one search shows', async () => {
    const { account, crm, clock, simulator } = await setUp({
      contacts: 1_050,
      searchResults: 1_000, // instead of 10,000
    })
    clock.advance(86_400_000 * 30)
    const ids = idsOf(crm.list())
    ids.forEach((id, index) =>
      crm.change([id], {}, new Date(clock.now().getTime() - 86_400_000 + index * 1000))
    )

    const { records } = await run(account, { since: '2026-12-18T00:00:00Z' })

    expect(new Set(records.map(({ source_id }) => source_id))).toEqual(new Set(ids))
    expect(simulator.requests.every(({ status }) => status === 200)).toBe(true)
  })

  it('loses none of more contacts than that which changed in the same millisecond', async () => {
    const { account, crm, clock } = await setUp({ contacts: 1_050, searchResults: 1_000 })
    clock.advance(600_000)
    const before = crm.add({ email: 'before@people.example' })
    clock.advance(1)
    const ids = idsOf(crm.list()).filter((id) => id !== before.id)
    crm.change(ids)
    clock.advance(1)
    const after = crm.add({ email: 'after@people.example' })

    const { records } = await run(account, { since: '2026-11-20T09:10:00Z' })

    expect(new Set(records.map(({ source_id }) => source_id))).toEqual(
      new Set([before.id, ...ids, after.id]),
    )
  })

  it('loses nothing while contacts that were read already change again', async () => {
    const { account, crm, clock } = await setUp({ contacts: 900 })
    clock.advance(600_000)
    const ids = idsOf(crm.list())
    ids.forEach((id, index) =>
      crm.change([id], {}, new Date(clock.now().getTime() - 10_000 + index))
    )

    const { records } = await run(account, { since: '2026-11-20T09:10:00Z' }, (page) => {
      clock.advance(1000)
      if (page < 3) crm.change(ids.slice(page * 20, page * 20 + 20), { company: 'Moved' })
    })

    expect(new Set(records.map(({ source_id }) => source_id))).toEqual(new Set(ids))
    const last = new Map(records.map((record) => [record.source_id, record]))
    expect((last.get(ids[0]!)!.columns as { company: string }).company).toBe('Moved')
  })

  it('lags behind: a change that shows late is in the next delta', async () => {
    const { account, crm, clock, simulator } = await setUp()
    const { bookmark } = await run(account, { since: null })
    simulator.control.setSearchLag(5_000)
    clock.advance(600_000)
    const [early, late] = idsOf(crm.list())
    crm.change([late!])
    clock.advance(1_000)
    crm.change([early!])
    clock.advance(4_500) // the older change shows, the newer one does not
    const first = await run(account, { since: NOW, bookmark })
    clock.advance(60_000)

    const second = await run(account, { since: NOW, bookmark: first.bookmark })

    expect(first.records.map(({ source_id }) => source_id)).toContain(late)
    expect(first.records.map(({ source_id }) => source_id)).not.toContain(early)
    expect(second.records.map(({ source_id }) => source_id)).toContain(early)
  })

  it('that still shows who is in the recycle bin already makes no repeated page of it', async () => {
    const { account, crm, clock, simulator } = await setUp()
    const { bookmark } = await run(account, { since: null })
    clock.advance(600_000)
    const contact = idsOf(crm.list())[0]!
    crm.change([contact])
    clock.advance(10_000)
    simulator.control.setSearchLag(5_000)
    crm.archive([contact])

    const { records } = await run(account, {
      since: '2026-11-20T09:10:30Z',
      bookmark: { ...bookmark, changed: '2026-11-20T09:10:30.000Z' },
    })

    expect(records.map(({ source_id, deleted }) => ({ source_id, deleted }))).toEqual([
      { source_id: contact, deleted: undefined },
      { source_id: contact, deleted: true },
    ])
  })

  it('is never asked more often than HubSpot allows, nor the account', async () => {
    const { options, crm, clock, simulator } = await setUp({
      contacts: 3_500,
      requestsPerTenSeconds: 100,
    })
    clock.advance(600_000)
    const ids = idsOf(crm.list())
    ids.forEach((id, index) =>
      crm.change([id], {}, new Date(clock.now().getTime() - 10_000 + index))
    )
    const account = openSimulated({ ...options, budget: memoryBudget(hubspot, clock) })
    const secondsOf = async (reading: () => Promise<unknown>) => {
      const started = clock.now().getTime()
      await reading()
      return (clock.now().getTime() - started) / 1000
    }

    const searching = await secondsOf(() => run(account, { since: '2026-11-20T09:10:00Z' }))
    const asked = simulator.requests.filter(({ path }) => path.endsWith('/search')).length
    const listing = await secondsOf(() => readAll(account, 'contacts'))
    const listed = simulator.requests.length - asked - 1 // besides them a look into the recycle bin

    const { requests, searches } = simulator.load
    expect(simulator.requests.filter(({ status }) => status === 429)).toEqual([])
    expect(searches.most('62515')).toBeLessThanOrEqual(5)
    expect(requests.most('62515')).toBeLessThanOrEqual(100)
    // and still uses what there is: over the whole run, without what may come at once at its beginning
    expect((asked - 1) / searching).toBeGreaterThanOrEqual(0.8 * 5)
    expect((listed - hubspot.rateLimit.burst) / listing).toBeGreaterThanOrEqual(0.8 * 10)
  })
})

describe('the recycle bin of HubSpot', () => {
  it('is looked through as far as 2,000 contacts by a delta', async () => {
    const { account, crm, clock, simulator } = await setUp({ contacts: 2_100 })
    clock.advance(600_000)
    crm.archive(idsOf(crm.list()))

    const { records } = await run(account, { since: '2026-11-20T09:05:00Z' })

    expect(records.filter(({ deleted }) => deleted)).toHaveLength(2_000)
    expect(simulator.requests.filter(({ path }) => path.includes('archived=true'))).toHaveLength(20)
  })
})

describe('HubSpot throttles', () => {
  const body = (policyName: string) =>
    JSON.stringify({ status: 'error', errorType: 'RATE_LIMIT', policyName })

  it.each([['SECONDLY', 1_000], ['TEN_SECONDLY_ROLLING', 10_000]])(
    'for its %s window: the call waits it out and succeeds',
    async (policy, ms) => {
      const { account, clock, simulator } = await setUp()
      simulator.control.setFault({ kind: 'status', status: 429, body: body(policy) })

      const page = await account.fetchPage('contacts', { since: null, cursor: null })

      expect(clock.slept).toEqual([ms])
      expect(page.records).toHaveLength(100)
    },
  )

  it('for the day: nobody waits for it, the run comes back in an hour', async () => {
    const { account, clock, simulator } = await setUp()
    simulator.control.setFault({ kind: 'status', status: 429, body: body('DAILY') })

    const reading = account.fetchPage('contacts', { since: null, cursor: null })

    await expect(reading).rejects.toMatchObject({
      code: 'provider_rate_limited',
      retryAfterMs: 3_600_000,
      detail: expect.stringContaining('daily limit'),
    })
    expect(clock.slept).toEqual([])
  })

  it('while it moves the account (477), which is waited for as it says', async () => {
    const { account, clock, simulator } = await setUp()
    simulator.control.setFault({ kind: 'status', status: 477, headers: { 'retry-after': '5' } })

    await account.fetchPage('contacts', { since: null, cursor: null })

    expect(clock.slept).toEqual([5_000])
  })
})

describe('a HubSpot sign-in', () => {
  it('ends with a token and the hub it belongs to, which the check confirms', async () => {
    const { options, simulator } = await setUp()

    const tokens = await signIn(hubspot, simulator)
    const token = tokens.access_token
    const checked = await openSimulated({ ...options, settings: {}, credentials: {}, token })
      .check()

    expect(tokens).toMatchObject({
      scope: 'oauth crm.objects.contacts.read crm.objects.contacts.write',
      expires_in: 1800,
      refresh_token: expect.any(String),
      account: { hub_id: '62515' },
    })
    expect(hubspot.accountId({ settings: {}, credentials: {}, account: tokens.account }))
      .toBe('62515')
    expect(checked).toEqual({
      account: { hub_id: '62515' },
      account_name: '62515 at app.hubspot.com',
    })
  })

  it('is known as ended when the refresh token is refused, in whichever words', async () => {
    const { simulator } = await setUp()
    const { refresh_token } = await signIn(hubspot, simulator)

    await expect(refresh(hubspot, simulator, 'no-such-token')).rejects.toMatchObject({
      isFinal: true,
    })
    await expect(refresh(hubspot, simulator, refresh_token)).resolves.toMatchObject({
      account: { hub_id: '62515' },
    })
    const auth = hubspot.auth({ auth: 'oauth' })
    expect(
      auth.type === 'oauth2' &&
        auth.readTokenAnswer?.({ status: 'BAD_REFRESH_TOKEN', message: '' }),
    ).toMatchObject({ error: 'invalid_grant' })
  })

  it('that allows reading only reads, and says so when it is to write', async () => {
    const { options, simulator } = await setUp()
    simulator.oauth.control.allowOnlyNextTime(['oauth', 'crm.objects.contacts.read'])
    const { access_token: token } = await signIn(hubspot, simulator)
    const reader = { ...options, settings: {}, credentials: {}, token }
    const input = { contacts: [{ email: 'ada@example.com' }] }

    const page = await openSimulated(reader).fetchPage('contacts', { since: null, cursor: null })
    const refused = await act(reader, 'upsert_contacts', input)

    expect(page.records).toHaveLength(100)
    expect(refused).toMatchObject({
      status: 'failed',
      error: { code: 'provider_forbidden', detail: expect.stringContaining('connect again') },
    })
    expect(await act(options, 'upsert_contacts', input)).toMatchObject({ status: 'success' })
  })

  it('with a private app’s token works the same; a wrong one is refused and not repeated', async () => {
    const { options, account } = await setUp()
    const wrong = openSimulated({ ...options, credentials: { access_token: 'pat-na1-wrong' } })

    await expect(account.check()).resolves.toMatchObject({ account: { hub_id: '62515' } })
    await expect(wrong.check()).rejects.toMatchObject({
      code: 'provider_unauthorized',
      detail: 'HubSpot refuses the credentials of "62515".',
    })
  })
})

describe('upsert_contacts', () => {
  it('writes 250 contacts in three calls and tells the new ones from the others', async () => {
    const { options, crm, simulator } = await setUp({ contacts: 50 })
    const known = crm.list().map(({ properties }) => properties.email!)
    const emails = [...known, ...Array.from({ length: 200 }, (_, n) => `new.${n}@people.example`)]

    const outcome = await act(options, 'upsert_contacts', {
      contacts: emails.map((email) => ({ email, properties: { company: 'Pine' } })),
    })

    expect(outcome).toMatchObject({
      status: 'success',
      output: { created: 200, updated: 50, failed: [] },
    })
    expect(simulator.requests).toHaveLength(3)
    expect(crm.list().every(({ properties }) => properties.company === 'Pine')).toBe(true)
  })

  it('takes no other email among the properties: a second try would make the contact again', async () => {
    const { options, crm } = await setUp({ contacts: 0 })
    const write = (properties: Record<string, string>) =>
      act(options, 'upsert_contacts', { contacts: [{ email: 'ada@people.example', properties }] })

    await expect((async () => await write({ email: 'grace@people.example' }))()).rejects
      .toMatchObject({
        code: 'invalid_input',
        errors: [{ path: 'input.contacts.0.properties.email' }],
      })
    expect(await write({ company: 'Pine' })).toMatchObject({ status: 'success' })
    expect(await write({ company: 'Pine' })).toMatchObject({ output: { created: 0, updated: 1 } })
    expect(crm.list().map(({ properties }) => properties.email)).toEqual(['ada@people.example'])
  })

  it('names the contacts HubSpot refuses by their place in the input; the others are written', async () => {
    const { options, crm } = await setUp({ contacts: 0 })
    const contacts = Array.from({ length: 150 }, (_, n) => ({
      email: `${n}@people.example`,
      properties: { lifecyclestage: n === 3 || n === 120 ? 'not-a-stage' : 'lead' },
    }))

    const outcome = await act(options, 'upsert_contacts', { contacts })

    expect(outcome).toMatchObject({
      status: 'partial',
      output: {
        created: 148,
        failed: [
          { index: 3, code: 'VALIDATION_ERROR', message: expect.not.stringContaining('@') },
          { index: 120, code: 'VALIDATION_ERROR' },
        ],
      },
    })
    expect(crm.list()).toHaveLength(148)
  })

  it.each([
    ['the trace id', { objectWriteTraceId: ['1'], propertyValue: ['0'] }],
    ['the id', { ids: ['B@x.example'], value: 'a@x.example' }],
    ['the address', { emails: ['b@x.example'], owner: ['a@x.example', '0'] }],
  ])('blames whom HubSpot names by %s, not whom another value looks like', (_, context) => {
    const { read } = hubspot.actions.upsert_contacts!
    const contacts = ['a@x.example', 'b@x.example'].map((email) => ({ email, properties: {} }))
    const body = {
      results: [{ id: '1', new: true, properties: { email: 'a@x.example' } }],
      errors: [{ category: 'VALIDATION_ERROR', message: 'No', context }],
    }

    const output = read([{ status: 207, headers: new Headers(), body }], { contacts }, {} as never)

    expect((output as { failed: unknown }).failed).toEqual([
      { index: 1, code: 'VALIDATION_ERROR', message: 'No' },
    ])
  })

  it('blames whoever got no answer when HubSpot names nobody', () => {
    const { read } = hubspot.actions.upsert_contacts!
    const contacts = ['a@x.example', 'b@x.example'].map((email) => ({ email, properties: {} }))
    const body = {
      results: [{ id: '1', new: true, properties: { email: 'a@x.example' } }],
      errors: [{ category: 'CONFLICT', message: 'There is one already' }],
    }

    const output = read([{ status: 207, headers: new Headers(), body }], { contacts }, {} as never)

    expect(output).toMatchObject({
      failed: [{ index: 1, code: 'CONFLICT', message: 'There is one already' }],
    })
  })
})

describe('a webhook of HubSpot', () => {
  const notices = (body: unknown) =>
    hubspot.webhooks!.notices(received({ body: JSON.stringify(body) }))
  const event = {
    eventId: 100,
    subscriptionId: 7001,
    portalId: 62515,
    appId: 4321,
    occurredAt: 1_795_165_200_000,
    subscriptionType: 'contact.propertyChange',
    attemptNumber: 0,
    objectId: 90_011_223_344,
    changeSource: 'CRM_UI',
    propertyName: 'email',
    propertyValue: 'ada@people.example',
  }
  const merge = {
    ...event,
    eventId: 103,
    subscriptionType: 'contact.merge',
    objectId: 11,
    propertyName: undefined,
    primaryObjectId: 11,
    mergedObjectIds: [12, 13],
    newObjectId: 11,
  }
  const said = (body: unknown) =>
    notices(body).map(({ account, source_id, kind }) => [account, source_id, kind])

  it('says of each event of its list which contact of which account changed or is gone', () => {
    const body = [
      event,
      {
        ...event,
        portalId: 70000,
        eventId: 101,
        subscriptionType: 'contact.creation',
        objectId: 21,
      },
      { ...event, eventId: 102, subscriptionType: 'contact.deletion', objectId: 22 },
      merge,
      { ...event, eventId: 104, subscriptionType: 'contact.privacyDeletion', objectId: 23 },
      { ...event, eventId: 105, subscriptionType: 'contact.restore', objectId: 24 },
      { ...event, subscriptionType: 'object.deletion', objectTypeId: '0-1', objectId: 25 },
    ]

    expect(said(body)).toEqual([
      ['62515', '90011223344', 'changed'],
      ['70000', '21', 'changed'],
      ['62515', '22', 'deleted'],
      ['62515', '11', 'changed'],
      ['62515', '12', 'deleted'],
      ['62515', '13', 'deleted'],
      ['62515', '23', 'deleted'],
      ['62515', '24', 'changed'],
      ['62515', '25', 'deleted'],
    ])
    expect(notices([event])).toEqual([{
      account: hubspot.accountId({ settings: {}, credentials: {}, account: { hub_id: '62515' } }),
      stream: 'contacts',
      source_id: '90011223344',
      kind: 'changed',
      occurred_at: '2026-11-20T09:00:00.000Z',
      dedupe_key: '62515:7001:100:90011223344:1795165200000:email:90011223344',
    }])
  })

  it('of a merge into a new contact says that all the others are gone', () => {
    expect(said([{ ...merge, newObjectId: 30 }])).toEqual([
      ['62515', '30', 'changed'],
      ['62515', '11', 'deleted'],
      ['62515', '12', 'deleted'],
      ['62515', '13', 'deleted'],
    ])
  })

  it.each([
    ['nothing', null],
    ['without a portal', { ...event, portalId: undefined }],
    ['of a contact without an id', { ...event, objectId: 'x' }],
    ['of no time', { ...event, occurredAt: 'yesterday' }],
    ['of a time out of reach', { ...event, occurredAt: Number.MAX_SAFE_INTEGER }],
    ['of a merge into nobody', { ...merge, primaryObjectId: null, newObjectId: null }],
    ['of a company', { ...event, subscriptionType: 'company.deletion' }],
    ['of another type of object', {
      ...event,
      subscriptionType: 'object.deletion',
      objectTypeId: '0-2',
    }],
    ['of a kind that is not known', { ...event, subscriptionType: 'contact.constructor' }],
  ])('is not lost for an item that is %s', (_, item) => {
    expect(said([item, event])).toEqual([['62515', '90011223344', 'changed']])
  })

  it.each([null, {}, 'text', []])('that is no list of events (%j) says nothing', (body) => {
    expect(notices(body)).toEqual([])
  })

  it('sent again has the same key, and another event another, though its id is the same', () => {
    const keys = (...items: object[]) => notices(items).map(({ dedupe_key }) => dedupe_key)

    expect(keys({ ...event, attemptNumber: 3 })).toEqual(keys(event))
    const different = keys(
      event,
      { ...event, portalId: 70000 },
      { ...event, subscriptionId: 7002 },
      { ...event, objectId: 21 },
      { ...event, occurredAt: event.occurredAt + 1 },
      { ...event, propertyName: 'phone' },
      merge,
    )
    expect(new Set(different).size).toBe(9) // the merge has three of its own
  })
})
