import { describe, expect, it, onTestFinished } from 'vitest'
import { idOf } from '../../scripts/simulators/mailchimp/audience.ts'
import {
  type MailchimpSimulatorOptions,
  startMailchimpSimulator,
} from '../../scripts/simulators/mailchimp.ts'
import type {
  Account,
  Page,
  PageCursor,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { mailchimp } from '../../supabase/functions/_shared/connectors/mailchimp.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, type ConnectorFixture, readAll } from './conformance.ts'
import { pacedBudget } from './paced-budget.ts'
import { act, openSimulated, signIn, type SimulatedAccount } from './simulated-account.ts'
import { mailchimpWebhooks } from './webhooks/mailchimp.ts'

const NOW = '2026-11-20T09:00:00Z'
const LIST = 'abc123def4'
const ACCOUNT = '8d3a3db4d97663a9074efcc16'
const ADA = '3e3417d7ef77d5932a6734b916515ed5'

const ada = {
  id: ADA,
  email_address: 'ada@example.com',
  unique_email_id: 'a1b2c3d4e5',
  full_name: 'Ada L',
  email_type: 'html',
  status: 'subscribed',
  merge_fields: {
    FNAME: 'Ada',
    LNAME: 'L',
    PHONE: '',
    COMPANY: 'Fieldnotes',
    ADDRESS: {
      addr1: '1 Pine St',
      addr2: '',
      city: 'Porto',
      state: '',
      zip: '4000',
      country: 'PT',
    },
    AGE: 36,
  },
  last_changed: '2026-04-03T09:30:00+00:00',
  tags_count: 1,
  tags: [{ id: 1001, name: 'vip' }],
  list_id: LIST,
}
const cleaned = {
  ...ada,
  id: 'b'.repeat(32),
  status: 'cleaned',
  tags: [],
  merge_fields: {},
  last_changed: '2026-04-03T09:31:00+00:00',
}
const archived = {
  ...cleaned,
  id: 'c'.repeat(32),
  status: 'archived',
  full_name: '',
  last_changed: '2026-04-03T09:32:00+00:00',
}
const columns: SyncedRecord<'contacts'>['columns'] = {
  kind: 'contact',
  email: 'ada@example.com',
  first_name: 'Ada',
  last_name: 'L',
  full_name: 'Ada L',
  phone: null,
  company: 'Fieldnotes',
  job_title: null,
  marketing_status: 'subscribed',
  tags: ['vip'],
  address: {
    line1: '1 Pine St',
    line2: null,
    city: 'Porto',
    region: null,
    postal_code: '4000',
    country: 'PT',
  },
  image_url: null,
}
const bare: SyncedRecord<'contacts'>['columns'] = {
  ...columns,
  first_name: null,
  last_name: null,
  company: null,
  tags: [],
  address: null,
}

const day = { day: '2026-11-19', opens: 12, clicks: 3, subscribed: 2, unsubscribed: 1 }
const numbers = (['opens', 'clicks', 'subscribed', 'unsubscribed'] as const).map((metric) => ({
  day: day.day,
  metric,
  value: day[metric],
}))
const problem = { type: 'https://…', title: 'Invalid Resource', status: 400, detail: '…' }

const fixture: Omit<ConnectorFixture, 'settings' | 'credentials'> = {
  account: {
    api_endpoint: 'https://us21.api.mailchimp.com',
    account_id: ACCOUNT,
    audience_name: 'Newsletter',
  },
  webhooks: mailchimpWebhooks,
  other: {
    'GET /oauth2/metadata': { dc: 'us21', api_endpoint: 'https://us21.api.mailchimp.com' },
    'GET /3.0/': { account_id: ACCOUNT },
    [`GET /3.0/lists/${LIST}`]: { id: LIST, name: 'Newsletter' },
  },
  streams: {
    contacts: {
      pages: [[ada, cleaned], [archived]],
      body: (members, { total, last }) => ({
        members,
        list_id: LIST,
        total_items: last ? members.length : total, // each page is a list of its own
      }),
      synced: [
        { source_id: ADA, source_updated_at: '2026-04-03T09:30:00.000Z', columns },
        {
          source_id: cleaned.id,
          source_updated_at: '2026-04-03T09:31:00.000Z',
          columns: { ...bare, marketing_status: 'bounced' },
        },
        {
          source_id: archived.id,
          source_updated_at: '2026-04-03T09:32:00.000Z',
          columns: { ...bare, full_name: null, marketing_status: null },
          deleted: true,
        },
      ],
      required: 'last_changed',
      wrongType: { path: 'email_address', value: 7 },
    },
    analytics: {
      pages: [numbers],
      body: (records) => {
        const value = (metric: string) =>
          (records as typeof numbers).find((number) => number.metric === metric)?.value
        return {
          activity: records.length === 0 ? [] : [{
            day: day.day,
            emails_sent: 40,
            unique_opens: value('opens'),
            recipient_clicks: value('clicks'),
            subs: value('subscribed'),
            unsubs: value('unsubscribed'),
          }],
          list_id: LIST,
        }
      },
      synced: numbers.map(({ metric, value }) => ({
        source_id: `2026-11-19:${metric}`,
        source_updated_at: '2026-11-19T00:00:00.000Z',
        columns: { day: day.day, metric, value: String(value), dimension: 'Newsletter' },
      })),
      required: 'value',
      wrongType: { path: 'value', value: 'many' },
    },
  },
  actions: {
    upsert_member: {
      input: {
        email: 'Ada@Example.com',
        status_if_new: 'pending',
        first_name: 'Ada',
        merge_fields: { AGE: 36 },
        tags: ['vip'],
      },
      wrongInput: { input: { email: 'ada@example.com' }, path: 'status_if_new' },
      requests: [
        {
          request: `PUT /3.0/lists/${LIST}/members/${idOf('ada@example.com')}`,
          body: {
            email_address: 'Ada@Example.com',
            status_if_new: 'pending',
            merge_fields: { AGE: 36, FNAME: 'Ada' },
          },
        },
        {
          request: `POST /3.0/lists/${LIST}/members/${idOf('ada@example.com')}/tags`,
          body: { tags: [{ name: 'vip', status: 'active' }] },
        },
      ],
      answers: [{ body: { ...ada, status: 'pending' } }, { status: 204 }],
      output: { member_id: ADA, status: 'pending' },
    },
    set_tags: {
      input: { email: 'ada@example.com', add: ['vip'], remove: ['lead'] },
      wrongInput: {
        input: { email: 'ada@example.com', add: ['vip'], remove: ['lead', 'vip'] },
        path: 'remove.1',
      },
      requests: [{
        request: `POST /3.0/lists/${LIST}/members/${idOf('ada@example.com')}/tags`,
        body: { tags: [{ name: 'vip', status: 'active' }, { name: 'lead', status: 'inactive' }] },
      }],
      answers: [{ status: 204 }],
      output: { member_id: idOf('ada@example.com') },
    },
    unsubscribe: {
      input: { email: 'ada@example.com' },
      wrongInput: { input: { email: 'ada' }, path: 'email' },
      requests: [{
        request: `PATCH /3.0/lists/${LIST}/members/${idOf('ada@example.com')}`,
        body: { status: 'unsubscribed' },
      }],
      answers: [{ body: { ...ada, status: 'unsubscribed' } }],
      output: { member_id: ADA, status: 'unsubscribed' },
    },
    archive_member: {
      input: { email: 'ada@example.com' },
      wrongInput: { input: { email: '' }, path: 'email' },
      requests: [{ request: `DELETE /3.0/lists/${LIST}/members/${idOf('ada@example.com')}` }],
      answers: [{ status: 204 }],
      output: { member_id: idOf('ada@example.com') },
    },
  },
}

conformance(mailchimp, {
  ...fixture,
  settings: { list_id: LIST },
  credentials: {},
  token: { access_token: 'token-of-a-sign-in' },
}, 'oauth')

conformance(mailchimp, {
  ...fixture,
  settings: { list_id: LIST, auth: 'api_key' },
  credentials: { api_key: '0123456789abcdef-us21' },
}, 'api_key')

async function setUp(options: MailchimpSimulatorOptions = {}) {
  const clock = fakeClock(NOW)
  const simulator = await startMailchimpSimulator({ now: clock.now, ...options })
  onTestFinished(simulator.stop)
  const account: SimulatedAccount = {
    connector: mailchimp,
    simulator,
    clock,
    settings: { ...simulator.settings, auth: 'api_key' },
    credentials: simulator.credentials,
    facts: { account_id: ACCOUNT, audience_name: 'Newsletter' },
  }
  const { audience } = simulator
  return { clock, simulator, audience, options: account, account: openSimulated(account) }
}

const parse = (raw: unknown, stream = 'contacts') => {
  const parsed = parseRecord(mailchimp, stream, raw, {
    settings: { list_id: LIST },
    account: { audience_name: 'Newsletter' },
  })
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.record
}
const idsOf = (records: { source_id: string }[]) => [
  ...new Set(records.map(({ source_id }) => source_id)),
]
const first = { since: null, cursor: null }

/** All members of one run; something may happen between its pages. */
async function readPages(
  account: Account,
  since: string | null,
  between: (page: number) => void = () => {},
) {
  const records: SyncedRecord[] = []
  let cursor: PageCursor | null = null
  for (let count = 0; count < 50; count++) {
    const page: Page = await account.fetchPage('contacts', { since, cursor })
    records.push(...page.records.map((raw) => parse(raw)))
    if (page.next === null) return records
    cursor = JSON.parse(JSON.stringify(page.next)) as PageCursor
    between(count)
  }
  throw new Error('the run does not end')
}

describe('a Mailchimp audience', () => {
  it('is read whole, a thousand members at once, the oldest change first', async () => {
    const { account, audience, simulator } = await setUp({ members: 2_300 })

    const records = (await readAll(account, 'contacts')).map((raw) => parse(raw))

    expect(idsOf(records)).toEqual([...audience.members.keys()])
    expect(simulator.requests).toHaveLength(3)
    const times = records.map(({ source_updated_at }) => source_updated_at)
    expect(times).toEqual(times.toSorted())
  })

  it('knows members by the hash of the address in lower case, however it is written', async () => {
    const { account } = await setUp({ members: 20 })

    const records = (await readAll(account, 'contacts')).map((raw) => parse(raw))

    const shouted = records.filter(({ columns }) =>
      /[A-Z]/.test((columns as { email: string }).email)
    )
    expect(shouted).toHaveLength(3)
    for (const { source_id, columns } of records) {
      expect(source_id).toBe(idOf((columns as { email: string }).email.toLowerCase()))
    }
  })

  it('shows in a delta who changed, also in the very second of the last one', async () => {
    const { account, audience, clock, simulator } = await setUp()
    clock.advance(600_000)
    const [one, two] = [...audience.members.keys()]
    audience.change([one!])
    clock.advance(300) // the same second
    audience.change([two!], { status: 'archived' })

    const records = await readAll(account, 'contacts', '2026-11-20T09:10:00Z')

    expect(records.map((raw) => parse(raw))).toEqual([
      expect.objectContaining({ source_id: one }),
      expect.objectContaining({ source_id: two, deleted: true }),
    ])
    expect(new URL(simulator.url + simulator.requests.at(-1)!.path).searchParams.get(
      'since_last_changed',
    )).toBe('2026-11-20T09:09:55+00:00')
  })

  it.each([['whole', null], ['in a delta', '2026-11-20T08:00:00Z']])(
    'read %s loses nobody while a member of an earlier page changes',
    async (_, since) => {
      const { account, audience, clock } = await setUp({ members: 2_300 })
      const ids = [...audience.members.keys()]

      const records = await readPages(account, since, (page) => {
        clock.advance(1_000)
        audience.change([ids[page]!], { merge_fields: { FNAME: 'Moved' } })
      })

      expect(new Set(idsOf(records))).toEqual(new Set(ids))
      expect(records.findLast(({ source_id }) => source_id === ids[0])!.columns)
        .toMatchObject({ first_name: 'Moved' })
    },
  )

  it('loses none of more members than a page holds who changed in the same second', async () => {
    const { account, audience, clock, simulator } = await setUp({ members: 2_600 })
    const ids = [...audience.members.keys()]
    audience.change(ids.slice(50, 2_550))

    const records = await readPages(account, null, (page) => {
      clock.advance(1_000)
      if (page === 1) audience.change([ids[60]!]) // of those read already
    })

    expect(new Set(idsOf(records))).toEqual(new Set(ids))
    const asked = simulator.requests.map(({ path }) => new URL(path, simulator.url).searchParams)
    expect(asked.some((query) => Number(query.get('offset')) > 0)).toBe(true)
  })

  it('whose members of one second never keep still is given up, not read for ever', async () => {
    const { account, audience, clock } = await setUp({ members: 2_600 })
    const ids = [...audience.members.keys()]
    audience.change(ids)

    const reading = readPages(account, null, (page) => {
      clock.advance(1_000)
      audience.change([ids[page]!])
    })

    await expect(reading).rejects.toMatchObject({ code: 'provider_bad_answer' })
    expect(new Set(idsOf(await readPages(account, null)))).toEqual(new Set(ids))
  })

  it('that is suddenly empty is no end of the list', async () => {
    const { account, simulator } = await setUp({ members: 1_200 })

    const reading = readPages(account, null, () => simulator.control.setFault({ kind: 'empty' }))

    await expect(reading).rejects.toMatchObject({ code: 'provider_bad_answer' })
    expect(await readPages(account, null)).toHaveLength(1_201) // one at the border twice
  })

  it('is asked for a member who is missing from a scan, since one scan may pass somebody over', async () => {
    const { account, audience } = await setUp()
    const [there, gone, archived] = [...audience.members.keys()]
    audience.erase([gone!])
    audience.change([archived!], { status: 'archived' })

    const found = await account.lookup('contacts', [there!, gone!, archived!])

    expect(mailchimp.streams.contacts).toMatchObject({ confirmsAbsence: false })
    expect(found.map((raw) => parse(raw))).toEqual([
      expect.objectContaining({ source_id: there }),
      expect.objectContaining({ source_id: archived, deleted: true }),
    ])
  })

  it('shows nobody who was deleted for good', async () => {
    const { account, audience } = await setUp()
    const [gone, there] = [...audience.members.keys()]
    audience.erase([gone!])

    const ids = (await readAll(account, 'contacts')).map((raw) => parse(raw).source_id)

    expect(ids).not.toContain(gone)
    expect(ids).toContain(there)
  })
})

describe('the daily numbers', () => {
  it('are opens, clicks and subscriptions of half a year, under the audience’s name', async () => {
    const { account, audience } = await setUp()

    const page = await account.fetchPage('analytics', first)

    const records = page.records.map((raw) => parse(raw, 'analytics'))
    const [today] = audience.activity
    expect(records).toHaveLength(180 * 4)
    expect(records.slice(0, 4).map(({ columns }) => columns)).toEqual([
      { metric: 'opens', value: String(today!.unique_opens) },
      { metric: 'clicks', value: String(today!.recipient_clicks) },
      { metric: 'subscribed', value: String(today!.subs) },
      { metric: 'unsubscribed', value: String(today!.unsubs) },
    ].map((number) => ({ day: '2026-11-20', dimension: 'Newsletter', ...number })))
  })

  it('of days Mailchimp shows no more are out of reach, not gone', async () => {
    const { account, audience } = await setUp()

    const page = await account.fetchPage('analytics', first)

    expect(page.reachesBackTo).toBe(`${audience.activity.at(-1)!.day}T00:00:00.000Z`)
    expect(page.reachesBackTo).toBe('2026-05-25T00:00:00.000Z')
  })

  it('keep their id while they grow', async () => {
    const { account, audience } = await setUp()
    const [before] = (await account.fetchPage('analytics', first)).records
    audience.activity[0]!.unique_opens += 5

    const [after] = (await account.fetchPage('analytics', first)).records

    const [one, other] = [before, after].map((raw) => parse(raw, 'analytics'))
    expect(other!.source_id).toBe(one!.source_id)
    expect(other!.columns).not.toEqual(one!.columns)
  })
})

describe('a Mailchimp sign-in', () => {
  it('ends with a token that lives for ever, and the check tells where the account lives', async () => {
    const { options, simulator } = await setUp()

    const tokens = await signIn(mailchimp, simulator, simulator.settings)
    const token = tokens.access_token
    const signedIn = { ...options, settings: simulator.settings, credentials: {}, facts: {}, token }
    const checked = await openSimulated(signedIn).check()

    expect(tokens).toMatchObject({ expires_in: null, refresh_token: null, scope: null })
    expect(checked).toEqual({
      account_name: 'Newsletter',
      account: {
        api_endpoint: 'https://us21.api.mailchimp.com',
        account_id: ACCOUNT,
        audience_name: 'Newsletter',
      },
    })
    const page = await openSimulated({ ...signedIn, facts: checked.account })
      .fetchPage('contacts', first)
    expect(page.records).toHaveLength(300)
  })

  it('with a bad token is refused, though Mailchimp answers 200', async () => {
    const { options, simulator } = await setUp()
    const account = openSimulated({
      ...options,
      settings: simulator.settings,
      credentials: {},
      facts: {},
      token: 'no-such-token',
    })

    await expect(account.check()).rejects.toMatchObject({ code: 'provider_unauthorized' })
    expect(simulator.requests.map(({ status }) => status)).toEqual([200])
  })

  it.each([
    'https://us21.api.mailchimp.com.evil.example',
    'https://evil.example/us21.api.mailchimp.com',
    'http://us21.api.mailchimp.com',
    'https://a.b.api.mailchimp.com',
    'https://us21.api.mailchimp.com:444',
    '',
  ])('never takes a token to %j', async (elsewhere) => {
    const { options, simulator } = await setUp()
    const { access_token: token } = await signIn(mailchimp, simulator, simulator.settings)
    const open = () =>
      openSimulated({
        ...options,
        settings: simulator.settings,
        credentials: {},
        facts: {},
        token,
      })
    simulator.control.move(elsewhere)

    await expect(open().check()).rejects.toMatchObject({ code: 'provider_bad_answer' })
    simulator.control.move('https://us6.api.mailchimp.com')

    await expect(open().check()).resolves.toMatchObject({
      account: { api_endpoint: 'https://us6.api.mailchimp.com' },
    })
  })

  it('names an audience that is not there before anything is kept', async () => {
    const { options, account } = await setUp()
    const wrong = openSimulated({
      ...options,
      settings: { list_id: 'zzz999zzz9', auth: 'api_key' },
    })

    await expect(wrong.check()).rejects.toMatchObject({ code: 'provider_not_found' })
    await expect(account.check()).resolves.toMatchObject({ account_name: 'Newsletter' })
  })
})

describe('an API key', () => {
  it('says in its end where the account lives', () => {
    const read = (api_key: string) =>
      mailchimp.readAccount({
        settings: { list_id: LIST, auth: 'api_key' },
        credentials: { api_key },
      })

    expect(mailchimp.baseUrl(read('0123456789abcdef-us21')))
      .toBe('https://us21.api.mailchimp.com/3.0')
    for (const key of ['0123456789abcdef', 'key-us21.evil.example', 'key-us21/', 'key-']) {
      expect(() => read(key)).toThrow(expect.objectContaining({ code: 'invalid_credentials' }))
    }
  })

  it('that is wrong is refused, and the error does not repeat it', async () => {
    const { options, account } = await setUp()
    const wrong = openSimulated({ ...options, credentials: { api_key: 'wrong-key-us21' } })

    const error = await wrong.check().then(() => null, (error: unknown) => error as Error)

    expect(error).toMatchObject({ code: 'provider_unauthorized' })
    expect(JSON.stringify(error)).not.toContain('wrong-key')
    await expect(account.check()).resolves.toBeDefined()
  })

  it('tells the same account as a sign-in does, so that it connects once', () => {
    const id = (auth: string, account: Record<string, string>) =>
      mailchimp.accountId({ settings: { list_id: LIST, auth }, credentials: {}, account })

    expect(id('api_key', { account_id: ACCOUNT })).toBe(id('oauth', {
      account_id: ACCOUNT,
      api_endpoint: 'https://us21.api.mailchimp.com',
    }))
    expect(id('oauth', { account_id: 'another' })).not.toBe(id('oauth', { account_id: ACCOUNT }))
  })
})

describe('Mailchimp throttles', () => {
  it('an account at its eleventh call at once, whichever audience is asked for', async () => {
    const { simulator } = await setUp()
    const authorization = `Basic ${btoa(`plugboard:${simulator.credentials.api_key}`)}`
    const release = simulator.connections.hold()
    const calls = Array.from({ length: 11 }, async () => {
      const { status } = await fetch(`${simulator.url}/3.0/`, { headers: { authorization } })
      return status
    })

    expect(await Promise.race(calls)).toBe(429)
    release()

    expect((await Promise.all(calls)).toSorted()).toEqual([...Array<number>(10).fill(200), 429])
    expect(simulator.connections.most()).toBe(10)
  })

  it('so all audiences of an account share one budget, and other accounts have their own', () => {
    const key = (list_id: string, account: Record<string, string>) =>
      mailchimp.budgetKey({ settings: { list_id, auth: 'oauth' }, credentials: {}, account })

    expect(key('abc123def4', { account_id: ACCOUNT })).toBe(key('zzz999', { account_id: ACCOUNT }))
    expect(key('abc123def4', { account_id: 'another' })).not.toBe(
      key('abc123def4', { account_id: ACCOUNT }),
    )
  })

  it('not us, whose audiences read at once, each answer taking two seconds', async () => {
    const { options, clock } = await setUp()
    const budget = pacedBudget(mailchimp, options.settings!, clock)
    const left: number[] = []
    for (let call = 0; call < 60; call++) {
      await budget.acquire()
      left.push(clock.now().getTime())
    }

    const atOnce = left.map((at) =>
      left.filter((other) => other <= at && at < other + 2_000).length
    )

    expect(Math.max(...atOnce)).toBeLessThanOrEqual(10)
    expect(60_000 / (left.at(-1)! - left[0]!)).toBeGreaterThan(0.8 * 5)
  })

  it('with a 403 that is no JSON: that is waited out, not taken for a refusal', async () => {
    const { account, simulator, clock } = await setUp()
    simulator.control.setFault({
      kind: 'status',
      status: 403,
      headers: { 'content-type': 'text/html' },
      body: '<H1>Access Denied</H1>',
    })

    const page = await account.fetchPage('contacts', first)

    expect(clock.slept).toEqual([30_000])
    expect(page.records).toHaveLength(300)
  })

  it('and a 403 with a title is a refusal in clear words', async () => {
    const { account, simulator } = await setUp()
    simulator.control.setFault({
      kind: 'status',
      status: 403,
      body: JSON.stringify({ ...problem, title: 'User Disabled', status: 403 }),
    })

    await expect(account.fetchPage('contacts', first)).rejects.toMatchObject({
      code: 'provider_forbidden',
      detail: 'This Mailchimp account is disabled.',
    })
  })
})

describe('a member', () => {
  it('is added and then updated by the same action, with tags', async () => {
    const { options, audience } = await setUp({ members: 0 })
    const input = { email: 'Ada@people.example', status_if_new: 'subscribed', tags: ['vip'] }

    const added = await act(options, 'upsert_member', { ...input, first_name: 'Ada' })
    const updated = await act(options, 'upsert_member', {
      ...input,
      tags: ['buyer'],
      last_name: 'L',
    })

    const id = idOf('ada@people.example')
    expect([added, updated]).toMatchObject([
      { status: 'success', output: { member_id: id, status: 'subscribed' } },
      { status: 'success', output: { member_id: id, status: 'subscribed' } },
    ])
    expect(audience.members.get(id)).toMatchObject({ merge_fields: { FNAME: 'Ada', LNAME: 'L' } })
    expect([...audience.members.get(id)!.tags]).toEqual(['vip', 'buyer'])
  })

  it('loses and gains tags in one call', async () => {
    const { options, audience } = await setUp({ members: 0 })
    const id = audience.add('ada@people.example', { tags: new Set(['lead']) })

    const outcome = await act(options, 'set_tags', {
      email: 'ADA@people.example',
      add: ['vip'],
      remove: ['lead'],
    })

    expect(outcome).toEqual({ status: 'success', output: { member_id: id } })
    expect([...audience.members.get(id)!.tags]).toEqual(['vip'])
  })

  it('who unsubscribed cannot be subscribed again by us, and we say why', async () => {
    const { options, audience } = await setUp({ members: 0 })
    const id = audience.add('ada@people.example')
    const subscribe = {
      email: 'ada@people.example',
      status_if_new: 'subscribed',
      status: 'subscribed',
    }

    const before = await act(options, 'upsert_member', subscribe)
    const gone = await act(options, 'unsubscribe', { email: 'ada@people.example' })
    const after = await act(options, 'upsert_member', subscribe)

    expect(before).toMatchObject({ status: 'success' })
    expect(gone).toMatchObject({ status: 'success', output: { status: 'unsubscribed' } })
    expect(after).toMatchObject({
      status: 'failed',
      error: {
        code: 'provider_rejected',
        detail: expect.stringContaining('only the person can subscribe it again'),
      },
    })
    expect(audience.members.get(id)!.status).toBe('unsubscribed')
  })

  it('who was deleted for good cannot come back by us, and we say why', async () => {
    const { options, audience } = await setUp({ members: 0 })
    audience.erase([audience.add('ada@people.example')])
    const add = (email: string) =>
      act(options, 'upsert_member', { email, status_if_new: 'pending' })

    expect(await add('ada@people.example')).toMatchObject({
      status: 'failed',
      error: { detail: expect.stringContaining('deleted for good') },
    })
    expect(await add('grace@people.example')).toMatchObject({ status: 'success' })
  })

  it('whose address is refused: the field is named and the address is not', async () => {
    const { options } = await setUp({ members: 0 })
    const email = 'ada@invalid.example'

    const outcome = await act(options, 'upsert_member', { email, status_if_new: 'subscribed' })

    expect(outcome).toMatchObject({
      status: 'failed',
      error: { detail: 'Mailchimp says Invalid Resource: email_address: … looks fake or invalid' },
    })
  })

  it('who exists already is said to', async () => {
    const { options, simulator } = await setUp()
    simulator.control.setFault({
      kind: 'status',
      status: 400,
      body: JSON.stringify({ ...problem, title: 'Member Exists' }),
    })

    const outcome = await act(options, 'upsert_member', {
      email: 'ada@people.example',
      status_if_new: 'subscribed',
    })

    expect(outcome).toMatchObject({
      status: 'failed',
      error: { detail: 'There is a member with this address already.' },
    })
  })

  it('is archived once, and shows so in the next delta', async () => {
    const { options, account, audience, clock } = await setUp({ members: 5 })
    const [id] = [...audience.members.keys()]
    const { email_address: email } = audience.members.get(id!)!
    clock.advance(600_000)

    const archived = await act(options, 'archive_member', { email })
    const unknown = await act(options, 'archive_member', { email: 'nobody@people.example' })
    const delta = await readAll(account, 'contacts', '2026-11-20T09:05:00Z')

    expect(archived).toEqual({ status: 'success', output: { member_id: id } })
    expect(unknown).toMatchObject({
      status: 'failed',
      error: { code: 'provider_not_found', detail: 'Mailchimp knows no such member or audience.' },
    })
    expect(delta.map((raw) => parse(raw))).toEqual([
      expect.objectContaining({ source_id: id, deleted: true }),
    ])
  })
})
