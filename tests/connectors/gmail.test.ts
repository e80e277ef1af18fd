import { describe, expect, it, onTestFinished } from 'vitest'
import { type GmailSimulatorOptions, startGmailSimulator } from '../../scripts/simulators/gmail.ts'
import { htmlPart, multipart, textPart } from '../../scripts/simulators/gmail/make-mail.ts'
import { refusal } from '../../scripts/simulators/gmail/routes.ts'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
  type Place,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { gmail } from '../../supabase/functions/_shared/connectors/gmail.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import {
  planAction,
  readInput,
  runAction,
} from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { MessageColumns } from '../../supabase/functions/_shared/contracts/messages.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { type FakeClock, fakeClock } from '../support/fake-clock.ts'
import { signInAt } from '../support/sign-in-at.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'
import { pacedBudget } from './paced-budget.ts'
import { gmailWebhooks } from './webhooks/gmail.ts'

const NOW = '2026-11-20T09:00:00Z'
const ADA = 'ada@acme.example'

const hello = {
  id: '19a0c0ffee000001',
  threadId: '19a0c0ffee000001',
  labelIds: ['INBOX', 'UNREAD'],
  snippet: 'It&#39;s Ada',
  historyId: '9007199254740995',
  internalDate: '1780000000000',
  sizeEstimate: 5123,
  payload: {
    partId: '',
    mimeType: 'multipart/alternative',
    filename: '',
    headers: [
      { name: 'Subject', value: '=?utf-8?Q?Caf=C3=A9=3F?=' },
      { name: 'FROM', value: 'Ada <Ada@example.com>' },
      { name: 'to', value: `Team: "A, B" <b@acme.example>, ${ADA};` },
    ],
    body: { size: 0 },
    parts: [{
      partId: '0',
      mimeType: 'text/plain',
      body: { size: 5, data: Buffer.from('Great! Can you come?').toString('base64url') },
    }],
  },
}
const sent = {
  id: '19a0c0ffee000002',
  threadId: '19a0c0ffee000001',
  labelIds: ['SENT'],
  internalDate: '1780000001000',
  payload: {
    mimeType: 'text/plain',
    headers: [{ name: 'From', value: ADA }, { name: 'Bcc', value: 'c@example.com' }],
  },
}

const columns: MessageColumns = {
  channel: 'email',
  direction: 'inbound',
  thread_id: '19a0c0ffee000001',
  reply_to_id: null,
  sender_name: 'Ada',
  sender_address: 'ada@example.com',
  recipients: [
    { name: 'A, B', address: 'b@acme.example', kind: 'to' },
    { name: null, address: ADA, kind: 'to' },
  ],
  subject: 'Café?',
  body_text: 'Great! Can you come?',
  snippet: "It's Ada",
  sent_at: '2026-05-28T20:26:40.000Z',
  is_read: false,
  attachments: [],
  sentiment_score: 0.6,
  requires_response: true,
  permalink: 'https://mail.google.com/mail/?authuser=ada%40acme.example#all/19a0c0ffee000001',
}

/** What the list has shown can be asked for, each time with other ids of attachments. */
const shown = new Map<string, Record<string, unknown>>()
const messages: StreamFixture = {
  pages: [[hello], [sent]],
  body: (records, { page, last }) => {
    for (const record of records as typeof hello[]) shown.set(record.id, record)
    return {
      ...(records.length > 0
        ? { messages: (records as typeof hello[]).map(({ id, threadId }) => ({ id, threadId })) }
        : {}),
      ...(last ? {} : { nextPageToken: `page-${page + 1}` }),
      resultSizeEstimate: 2,
    }
  },
  synced: [
    { source_id: hello.id, source_updated_at: '2026-05-28T20:26:40.000Z', columns },
    {
      source_id: sent.id,
      source_updated_at: '2026-05-28T20:26:41.000Z',
      columns: {
        ...columns,
        direction: 'outbound',
        sender_name: null,
        sender_address: ADA,
        recipients: [{ name: null, address: 'c@example.com', kind: 'bcc' }],
        subject: null,
        body_text: null,
        snippet: null,
        sent_at: '2026-05-28T20:26:41.000Z',
        is_read: true,
        sentiment_score: null,
        requires_response: false,
        permalink: 'https://mail.google.com/mail/?authuser=ada%40acme.example#all/19a0c0ffee000002',
      },
    },
  ],
  required: 'internalDate',
  wrongType: { path: 'internalDate', value: 'yesterday' },
}

/** The mail of the action below, as it goes over the wire. */
const WIRE = [
  `From: Ada <${ADA}>`,
  'To: bob@north.example',
  'Bcc: eve@north.example',
  'Subject: =?UTF-8?Q?Caf=C3=A9?=',
  'Message-ID: <MESSAGE@acme.example>',
  'Date: Fri, 20 Nov 2026 09:00:00 +0000',
  'Content-Transfer-Encoding: 7bit',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'See you at ten.',
]

const base = '/gmail/v1/users/me'
conformance(gmail, {
  settings: {},
  credentials: {},
  account: { email: ADA },
  webhooks: gmailWebhooks,
  token: { access_token: 'ya29.token-of-ada' },
  other: {
    [`GET ${base}/profile`]: {
      emailAddress: ADA,
      messagesTotal: 2,
      threadsTotal: 1,
      historyId: '9007199254740993',
    },
    [`GET ${base}/messages/*`]: (url: URL) => shown.get(url.pathname.split('/').at(-1)!),
  },
  streams: { messages },
  actions: {
    send_message: {
      input: {
        to: ['bob@north.example'],
        bcc: ['eve@north.example'],
        from_name: 'Ada',
        subject: 'Café',
        text: 'See you at ten.',
      },
      wrongInput: {
        input: { to: ['bob@north.example'], text: 'Hi', subject: 'Hi\r\nBcc: eve@north.example' },
        path: 'subject',
      },
      requests: [{
        request: `POST ${base}/messages/send`,
        body: { raw: expect.toSatisfy((raw: string) => wireOf(raw) === WIRE.join('\r\n')) },
      }],
      answers: [{ body: { id: '19a1', threadId: '19a1', labelIds: ['SENT'] } }],
      output: { message_id: '19a1', thread_id: '19a1', label_ids: ['SENT'] },
    },
  },
})

const wireOf = (raw: string) =>
  Buffer.from(raw, 'base64url').toString().replace(/<[\da-f]{32}@/, '<MESSAGE@').trimEnd()

type Options = GmailSimulatorOptions & {
  settings?: Record<string, unknown>
  budget?: (settings: Record<string, unknown>, clock: FakeClock) => RequestBudget
}

/** Simulated mailboxes, and an account whose owner has signed in. */
async function setUp({ settings = {}, budget, ...options }: Options = {}) {
  const clock = fakeClock(NOW)
  const google = await startGmailSimulator({ unitsPerMinute: 0, now: clock.now, ...options })
  onTestFinished(google.stop)
  const signing = signInAt(google, gmail)
  const open = async (email: string) => {
    const { access_token } = await signing.signIn(email)
    const values = gmail.readAccount({ settings, credentials: {} })
    const account = openAccount({
      connector: gmail,
      settings,
      credentials: {},
      account: { email },
      clock,
      tokens: memoryTokenCache(),
      grant: fixedGrant(access_token),
      overrides: { gmail: { baseUrl: google.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
        maxResponseBytes: 300_000,
        ...(budget ? { budget: budget(values.settings, clock) } : {}),
      }),
    })
    const run = {
      account,
      settings: values.settings,
      facts: { email },
      idempotency_key: 'key-1',
      now: clock.now(),
    }
    return { account, run, token: access_token }
  }
  const ada = await open(ADA)
  return { google, clock, signing, open, ...ada, mailbox: google.mailbox(ADA) }
}

/** A run as the engine makes it: every page, and the bookmark it leaves. */
async function sync(account: Account, bookmark: Place | null = null) {
  const pages: Page[] = []
  let cursor: PageCursor | null = null
  do {
    const page: Page = await account.fetchPage('messages', { since: null, cursor, bookmark })
    pages.push(page)
    cursor = page.next
  } while (cursor !== null && pages.length < 100)
  return {
    pages,
    records: pages.flatMap(({ records }) => records),
    bookmark: pages.findLast((page) => page.bookmark)?.bookmark ?? null,
  }
}

const parse = (raw: unknown) =>
  parseRecord(gmail, 'messages', raw, { settings: {}, account: { email: ADA } })
const outcomes = (records: unknown[]) =>
  records.map(parse).map((result) =>
    result.ok ? [result.record.source_id, result.record.deleted ? 'gone' : 'here'] : result
  )
const idsOf = (records: unknown[]) => records.map((record) => (record as { id: string }).id)
const columnsOf = (raw: unknown) => {
  const result = parse(raw)
  if (!result.ok) throw new Error(result.message)
  return result.record.columns as MessageColumns
}

describe('a mailbox read for the first time', () => {
  it('comes whole and sound, fifty to a page, and leaves the place its history began', async () => {
    const { account, mailbox, google } = await setUp()
    const before = mailbox.historyId()

    const { pages, records, bookmark } = await sync(account)

    expect(idsOf(records)).toEqual(mailbox.list().map(({ id }) => id))
    expect(outcomes(records).every((outcome) => Array.isArray(outcome))).toBe(true)
    expect(pages.map((page) => page.records.length)).toEqual([50, 50, 20])
    expect(bookmark).toEqual({ history_id: before })
    expect(google.units.total(ADA)).toBe(1 + 3 * 5 + 120 * 20)
  })

  it('goes back so many days, and says so: what is older is not gone', async () => {
    const { account, mailbox } = await setUp({ settings: { days: 2 } })

    const { pages, records } = await sync(account)

    expect(records).toHaveLength(48)
    expect(idsOf(records)).toEqual(mailbox.list().slice(0, 48).map(({ id }) => id))
    expect(pages[0]?.reachesBackTo).toBe('2026-11-18T10:00:00.000Z')
  })

  it('leaves out drafts, spam and trash, and messages without the labels asked for', async () => {
    const { account, mailbox, google } = await setUp({
      messages: 6,
      settings: { label_ids: ['INBOX', 'IMPORTANT'] },
    })
    const [draft, spam, trash, plain, important, both] = idsOf(mailbox.list()) as [
      string,
      ...string[],
    ]
    for (const id of [draft, spam!, trash!, important!, both!]) {
      google.control.label(ADA, id, ['IMPORTANT'])
    }
    google.control.label(ADA, draft, ['DRAFT'])
    google.control.label(ADA, spam!, ['SPAM'])
    google.control.trash(ADA, trash!)
    google.control.label(ADA, important!, [], ['INBOX'])

    const { records } = await sync(account)

    expect(plain).toBeDefined()
    expect(idsOf(records)).toEqual([both])
  })

  it('leaves out a message that is deleted between the list and its reading', async () => {
    const { account, mailbox, google } = await setUp({ messages: 3 })
    const [gone, ...left] = idsOf(mailbox.list())
    const body = JSON.stringify(refusal(404, 'notFound', 'Not Found').body)
    google.control.setFault({ kind: 'status', status: 404, path: `/messages/${gone}`, body })

    const { records } = await sync(account)

    expect(idsOf(records)).toEqual(left)
  })

  it('shows a message the same each time, though Gmail names its attachments anew', async () => {
    const { account } = await setUp({ messages: 12 })

    const first = await sync(account)
    const second = await sync(account)

    expect(first.records.map(columnsOf)).toContainEqual(expect.objectContaining({
      attachments: [
        { source_id: '1', name: 'prices.pdf', content_type: 'application/pdf', byte_size: 4711 },
      ],
    }))
    expect(second.records).toEqual(first.records)
  })

  it('takes the headers of a message too large to be read, and all of the others', async () => {
    const { account, google } = await setUp({ messages: 5 })
    const giant = google.control.deliver(ADA, {
      payload: textPart('x'.repeat(400_000), [
        { name: 'From', value: 'bob@north.example' },
        { name: 'Subject', value: 'Giant' },
      ]),
    })

    const { records } = await sync(account)

    expect(records).toHaveLength(6)
    expect(columnsOf(records.find((record) => (record as { id: string }).id === giant)))
      .toMatchObject({ subject: 'Giant', body_text: null })
    expect(records.map(columnsOf).filter(({ body_text }) => body_text !== null)).toHaveLength(5)
  })
})

describe('what changed in a mailbox', () => {
  it('is read by its history: added, relabelled, trashed, deleted, each once', async () => {
    const { account, mailbox, google } = await setUp()
    const { bookmark } = await sync(account)
    const [read, trashed, deleted] = idsOf(mailbox.list()) as [string, string, string]
    const added = google.control.deliver(ADA)
    google.control.label(ADA, read, ['STARRED'])
    google.control.label(ADA, read, [], ['UNREAD'])
    google.control.trash(ADA, trashed)
    google.control.remove(ADA, deleted)
    const spentBefore = google.units.total(ADA)

    const { records } = await sync(account, bookmark)

    expect(outcomes(records)).toEqual([
      [added, 'here'],
      [read, 'here'],
      [trashed, 'gone'],
      [deleted, 'gone'],
    ])
    expect(columnsOf(records[1])).toMatchObject({ is_read: true })
    expect(google.units.total(ADA) - spentBefore).toBe(2 + 3 * 20)
  })

  it('moves the bookmark on past 2^53 without losing a digit, also when nothing happened', async () => {
    const { account, google, mailbox } = await setUp({ messages: 4 })
    const first = await sync(account)
    google.control.deliver(ADA)
    const second = await sync(account, first.bookmark)
    const nothing = await sync(account, second.bookmark)

    expect(first.bookmark).toEqual({ history_id: '9007199254740993' })
    expect(second.bookmark).toEqual({ history_id: '9007199254740994' })
    expect(second.records).toHaveLength(1)
    expect(nothing.records).toEqual([])
    expect(nothing.bookmark).toEqual({ history_id: mailbox.historyId() })
  })

  it('is not asked for from an earlier place again when Gmail answers with one', async () => {
    const { account } = await setUp({ messages: 1 })
    const far = { history_id: '90071992547409999' }

    const { bookmark } = await sync(account, far)

    expect(bookmark).toEqual(far)
  })

  it('comes in pages of bounded size, however much happened', async () => {
    const { account, google, mailbox } = await setUp({ messages: 10 })
    const { bookmark } = await sync(account)
    const added = Array.from({ length: 130 }, () => google.control.deliver(ADA))

    const { pages, records, bookmark: next } = await sync(account, bookmark)

    expect(new Set(idsOf(records))).toEqual(new Set(added))
    expect(Math.max(...pages.map((page) => page.records.length))).toBe(50)
    expect(next).toEqual({ history_id: mailbox.historyId() })
  })

  it('may be one message changed over and over: that is no platform going round in circles', async () => {
    const { account, google, mailbox } = await setUp({ messages: 1 })
    const { bookmark } = await sync(account)
    const [id] = idsOf(mailbox.list()) as [string]
    for (let turn = 0; turn < 80; turn++) {
      google.control.label(ADA, id, turn % 2 ? [] : ['STARRED'], turn % 2 ? ['STARRED'] : [])
    }

    const { records } = await sync(account, bookmark)

    expect(outcomes(records)).toEqual([[id, 'here']])
  })

  it('says that what came and went in between is gone, and never shows it', async () => {
    const { account, google } = await setUp({ messages: 2 })
    const { bookmark } = await sync(account)
    const removed = google.control.deliver(ADA)
    google.control.remove(ADA, removed)
    const draft = google.control.deliver(ADA, { labelIds: ['DRAFT'] })
    const spam = google.control.deliver(ADA, { labelIds: ['SPAM'] })

    const { records } = await sync(account, bookmark)

    expect(outcomes(records)).toEqual([[removed, 'gone'], [draft, 'gone'], [spam, 'gone']])
  })

  it.each(['trash', 'remove'] as const)(
    'ends what a run that failed had stored, though it came after the bookmark: %s',
    async (way) => {
      const { account, google } = await setUp({ messages: 2 })
      const { bookmark } = await sync(account)
      const id = google.control.deliver(ADA)
      const failed = await sync(account, bookmark) // stored, but its bookmark is not kept
      google.control[way](ADA, id)

      const { records } = await sync(account, bookmark)

      expect(outcomes(failed.records)).toEqual([[id, 'here']])
      expect(outcomes(records)).toEqual([[id, 'gone']])
    },
  )

  it('is no longer known after a week (404): everything is read again', async () => {
    const { account, google } = await setUp({ messages: 3 })
    const { bookmark } = await sync(account)
    google.control.forgetHistory(ADA)

    await expect(sync(account, bookmark)).rejects.toMatchObject({ code: 'provider_cursor_expired' })

    const again = await sync(account)
    expect(again.records).toHaveLength(3)
    await expect(sync(account, again.bookmark)).resolves.toMatchObject({ records: [] })
  })

  it('is begun again when Gmail forgot the page (400)', async () => {
    const { account, google } = await setUp()
    const { next } = await account.fetchPage('messages', { since: null, cursor: null })
    google.control.setFault({ kind: 'status', status: 400, path: 'pageToken' })

    await expect(account.fetchPage('messages', { since: null, cursor: next })).rejects
      .toMatchObject({ code: 'provider_cursor_expired' })
    await expect(account.fetchPage('messages', { since: null, cursor: next })).resolves
      .toBeDefined()
  })
})

describe('a message', () => {
  const mail = (headers: [string, string][], part = textPart('Can you come?')) => ({
    payload: {
      ...part,
      headers: [...headers.map(([name, value]) => ({ name, value })), ...part.headers],
    },
  })
  const fromBob: [string, string] = ['From', 'bob@north.example']

  it.each<[string, [string, string][], boolean]>([
    ['a person asks', [fromBob, ['To', ADA]], true],
    ['a mailing list', [fromBob, ['list-id', '<news.north.example>']], false],
    ['an answering machine', [fromBob, ['Auto-Submitted', 'auto-replied']], false],
    ['an address nobody reads', [['From', 'no-reply@north.example']], false],
    ['somebody asks others, with us in copy', [fromBob, ['Cc', ADA]], false],
    ['we ask', [['From', `Ada <${ADA.toUpperCase()}>`]], false],
  ])('wants an answer or not: %s', async (_, headers, requires_response) => {
    const { account, google } = await setUp({ messages: 0 })
    google.control.deliver(ADA, mail(headers))

    const { records } = await sync(account)

    expect(columnsOf(records[0])).toMatchObject({ requires_response })
  })

  it('is outbound when the account wrote it, also by another of its addresses', async () => {
    const { account, google } = await setUp({ messages: 0 })
    google.control.deliver(ADA, { ...mail([['From', 'sales@acme.example']]), labelIds: ['SENT'] })
    google.control.deliver(ADA, mail([['From', ADA]]))
    google.control.deliver(ADA, mail([fromBob]))

    const { records } = await sync(account)

    expect(records.map(columnsOf).map(({ direction }) => direction).sort()).toEqual([
      'inbound',
      'outbound',
      'outbound',
    ])
  })

  it('in HTML is read as the text it shows', async () => {
    const { account, google } = await setUp({ messages: 0 })
    const html = htmlPart('<style>p{}</style><p>Hello&nbsp;Ada</p><p>Thanks!</p>')
    google.control.deliver(ADA, mail([fromBob], multipart('mixed', [html])))

    const { records } = await sync(account)

    expect(columnsOf(records[0])).toMatchObject({ body_text: 'Hello Ada\n\nThanks!' })
  })
})

describe('quota units', () => {
  it.each([6_000, 15_000])(
    'are never used beyond %i a minute, and nearly all of them are used',
    async (quota_units_per_minute) => {
      const { account, google, clock } = await setUp({
        messages: 600,
        unitsPerMinute: quota_units_per_minute,
        settings: { quota_units_per_minute },
        budget: (settings, clock) => pacedBudget(gmail, settings, clock),
      })
      const started = clock.now().getTime()

      const { records } = await sync(account)

      const minutes = (clock.now().getTime() - started) / 60_000
      expect(records).toHaveLength(600)
      expect(google.units.refused(ADA)).toBe(0)
      expect(google.units.most(ADA)).toBeLessThanOrEqual(quota_units_per_minute)
      expect(google.units.total(ADA) / minutes).toBeGreaterThan(quota_units_per_minute * 0.9)
    },
  )

  it('are counted by Gmail: without a budget it refuses, as a 403 that means slow down', async () => {
    const { account, google } = await setUp({ messages: 400, unitsPerMinute: 6_000 })

    await expect(sync(account)).rejects.toMatchObject({ code: 'provider_rate_limited' })
    expect(google.units.refused(ADA)).toBeGreaterThan(0)
  })

  it('that are used up come back when Gmail says so', async () => {
    const { account, google, clock } = await setUp()
    const { status, body } = refusal(
      403,
      'rateLimitExceeded',
      'User-rate limit exceeded. Retry after 2026-11-20T09:00:09.500Z',
    )
    google.control.setFault({
      kind: 'status',
      status: status!,
      path: '/messages?',
      body: JSON.stringify(body),
    })

    await account.fetchPage('messages', { since: null, cursor: null })

    expect(clock.slept).toEqual([9_500])
  })

  it.each([
    ['dailyLimitExceeded', 'provider_rate_limited', 3_600_000],
    ['insufficientPermissions', 'provider_forbidden', undefined],
    ['accessNotConfigured', 'provider_forbidden', undefined],
  ])('403 for %s: %s', async (reason, code, retryAfterMs) => {
    const { account, google } = await setUp()
    const body = JSON.stringify(refusal(403, reason, 'no').body)
    google.control.setFault({ kind: 'status', status: 403, path: '/messages?', body, times: null })

    await expect(account.fetchPage('messages', { since: null, cursor: null })).rejects
      .toMatchObject({ code, retryAfterMs })
  })
})

describe('sending', () => {
  const send = findAction(gmail, 'send_message')
  const act = async (
    { run }: Awaited<ReturnType<typeof setUp>>,
    input: Record<string, unknown>,
  ) => await runAction(send, readInput(send, input), run)

  it('delivers text, HTML and attachments, and hides who was in blind copy', async () => {
    const set = await setUp({ messages: 0 })

    const outcome = await act(set, {
      to: ['Bob@north.example'],
      bcc: ['ben@acme.example'],
      subject: 'Größe',
      html: '<p>Grüße</p>',
      attachments: [
        {
          name: 'prix é.txt',
          content_type: 'text/plain',
          content: Buffer.from('7 €').toString('base64'),
        },
      ],
    })

    expect(outcome).toMatchObject({ status: 'success' })
    const [mine] = set.mailbox.list()
    const [bens] = set.google.mailbox('ben@acme.example').list()
    const { account } = await set.open('ben@acme.example')
    const { records } = await sync(account)
    expect(mine?.payload.headers.map(({ name }) => name)).toContain('Bcc')
    expect(bens?.payload.headers.map(({ name }) => name)).not.toContain('Bcc')
    expect(columnsOf(records[0])).toMatchObject({
      subject: 'Größe',
      body_text: 'Grüße',
      attachments: [
        { name: 'prix é.txt', content_type: 'text/plain', byte_size: 5 },
      ],
    })
  })

  it('replies in the thread of a message, to whoever wrote it', async () => {
    const set = await setUp({ messages: 0 })
    const id = set.google.control.deliver(ADA, {
      payload: textPart('Can you come?', [
        { name: 'from', value: 'Bob <bob@north.example>' },
        { name: 'Reply-To', value: 'desk@north.example' },
        { name: 'SUBJECT', value: '=?utf-8?Q?Caf=C3=A9?=' },
        { name: 'Message-Id', value: '<two@north.example>' },
        { name: 'References', value: '<zero@north.example>\r\n <one@north.example>' },
      ]),
    })
    const thread_id = set.mailbox.find(id)!.threadId

    const outcome = await act(set, { reply_to_message_id: id, text: 'Yes' })

    expect(outcome).toMatchObject({ status: 'success', output: { thread_id } })
    expect(Object.fromEntries(
      set.mailbox.list()[0]!.payload.headers.map(({ name, value }) => [name, value]),
    )).toMatchObject({
      To: 'desk@north.example',
      Subject: '=?UTF-8?Q?Re=3A_Caf=C3=A9?=',
      'In-Reply-To': '<two@north.example>',
      References: '<zero@north.example> <one@north.example> <two@north.example>',
    })
  })

  it('gives the same bytes at every try, and others for another action', async () => {
    const { run } = await setUp({ messages: 0 })
    const input = readInput(send, { to: ['bob@north.example'], subject: 'Hi', html: '<p>Hi' })

    const [one, two, other] = await Promise.all(
      ['key-1', 'key-1', 'key-2'].map((idempotency_key) =>
        planAction(send, input, { ...run, idempotency_key })
      ),
    )

    expect(one).toEqual(two)
    expect(one).not.toEqual(other)
  })

  it.each([
    ['subject', { subject: 'Hi\r\nBcc: eve@north.example' }],
    ['subject', { subject: 'Hi\u2028Bcc: eve@north.example' }],
    ['from_name', { from_name: 'Ada\nBcc: eve@north.example' }],
    ['to.0', { to: ['bob@north.example\r\nBcc: eve@north.example'] }],
    ['to.0', { to: ['bob@north.example, eve@north.example'] }],
    ['attachments.0.name', { attachments: [{ name: 'a\r\nX: 1', content: 'YQ==' }] }],
    ['attachments.0.content_type', {
      attachments: [{ name: 'a', content_type: 'text/plain\r\nX: 1', content: 'YQ==' }],
    }],
    ['attachments.0.content', { attachments: [{ name: 'a', content: 'not base64!' }] }],
    ['attachments', { attachments: [{ name: 'a', content: 'AAAA'.repeat(2_000_000) }] }],
    ['reply_to_message_id', { reply_to_message_id: '../profile' }],
    ['text', { text: undefined }],
    ['to', { to: [] }],
  ])('adds no header and no recipient by way of %s', (path, change) => {
    const good = { to: ['bob@north.example'], subject: 'Hi', text: 'Hi' }

    expect(() => readInput(send, { ...good, ...change })).toThrow(expect.objectContaining({
      code: 'invalid_input',
      errors: expect.arrayContaining([expect.objectContaining({ path: `input.${path}` })]),
    }))
    expect(() => readInput(send, good)).not.toThrow()
  })

  it('is forbidden to whoever unticked it at Google, and reading goes on', async () => {
    const set = await setUp({ messages: 2 })
    set.google.oauth.control.allowOnlyNextTime([
      'https://www.googleapis.com/auth/gmail.readonly',
    ])
    const reader = await set.open(ADA)
    const input = { to: ['bob@north.example'], subject: 'Hi', text: 'Hi' }

    const outcome = await runAction(send, readInput(send, input), reader.run)

    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'provider_forbidden' } })
    expect((await sync(reader.account)).records).toHaveLength(2)
    expect(await act(set, input)).toMatchObject({ status: 'success' })
  })
})

describe('an owner of a mailbox', () => {
  it('is known by the address that Google tells, and two of them stay apart', async () => {
    const { google, account, open } = await setUp({ messages: 3 })
    const ben = await open('ben@acme.example')
    google.control.deliver('ben@acme.example')

    const checks = [await account.check(), await ben.account.check()]
    const [ofAda, ofBen] = [
      await readAll(account, 'messages'),
      await readAll(ben.account, 'messages'),
    ]

    expect(checks.map(({ account }) => gmail.accountId({ settings: {}, credentials: {}, account })))
      .toEqual([ADA, 'ben@acme.example'])
    expect(checks[0]).toEqual({ account_name: ADA, account: { email: ADA } })
    expect([ofAda.length, ofBen.length]).toEqual([3, 4])
  })

  it('signs in once and is refreshed: a refresh brings no new refresh token', async () => {
    const { signing } = await setUp()

    const { refresh_token, scope, expires_in } = await signing.signIn()
    const refreshed = await signing.refresh(refresh_token!)

    expect(scope?.split(' ')).toEqual(
      expect.arrayContaining((gmail.modes.default as OAuth2).requiredScope!.split(' ')),
    )
    expect(expires_in).toBe(3599)
    expect(await refreshed.json()).toEqual(
      expect.not.objectContaining({ refresh_token: expect.anything() }),
    )
  })

  it('who disconnects takes the token back', async () => {
    const { signing, account } = await setUp()
    await expect(account.check()).resolves.toBeDefined()
    const { refresh_token, access_token } = await signing.signIn()

    expect((await signing.revoke(refresh_token!)).status).toBe(200)

    expect((await signing.refresh(refresh_token!)).status).toBe(400)
    expect(access_token).toBeDefined()
  })
})
