import { describe, expect, it, onTestFinished } from 'vitest'
import { type SlackSimulatorOptions, startSlackSimulator } from '../../scripts/simulators/slack.ts'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
  type Place,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { readInput, runAction } from '../../supabase/functions/_shared/connectors/run-action.ts'
import { slack } from '../../supabase/functions/_shared/connectors/slack.ts'
import { plainText } from '../../supabase/functions/_shared/connectors/slack/message.ts'
import {
  fixedGrant,
  memoryTokenCache,
  type OAuthGrant,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { MessageColumns } from '../../supabase/functions/_shared/contracts/messages.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { type FakeClock, fakeClock } from '../support/fake-clock.ts'
import { signInAt } from '../support/sign-in-at.ts'
import { conformance, type ConnectorFixture, type StreamFixture } from './conformance.ts'
import { pacedBudget } from './paced-budget.ts'
import { slackWebhooks } from './webhooks/slack.ts'

const NOW = '2026-11-20T09:00:00Z'

const facts = {
  team_id: 'T01',
  team: 'acme',
  user_id: 'UBOT01',
  bot_id: 'BBOT01',
  url: 'https://acme.slack.com/',
}
const asked = {
  type: 'message',
  user: 'U01',
  ts: '1780000000.000200',
  team: 'T01',
  text: 'Great, <@UBOT01|plug>! Can you look at <https://x.example/?a=1&amp;b|this>?',
  thread_ts: '1780000000.000100',
  edited: { user: 'U01', ts: '1780000009.000100' },
  files: [{ id: 'F01', name: 'a.pdf', mimetype: 'application/pdf', size: 4711 }],
  channel: 'C01',
  user_name: 'Ada',
}
const posted = {
  type: 'message',
  subtype: 'bot_message',
  ts: '1780000000.000100',
  text: '',
  bot_id: 'BBOT01',
  username: 'Plugboard',
  attachments: [{ fallback: 'Backup done' }],
  channel: 'C01',
}
const columns: MessageColumns = {
  channel: 'C01',
  direction: 'inbound',
  thread_id: 'C01:1780000000.000100',
  reply_to_id: 'C01:1780000000.000100',
  sender_name: 'Ada',
  sender_address: 'U01',
  recipients: [],
  subject: null,
  body_text: 'Great, @plug! Can you look at this (https://x.example/?a=1&b)?',
  snippet: 'Great, @plug! Can you look at this (https://x.example/?a=1&b)?',
  sent_at: '2026-05-28T20:26:40.000Z',
  is_read: null,
  attachments: [
    { source_id: 'F01', name: 'a.pdf', content_type: 'application/pdf', byte_size: 4711 },
  ],
  sentiment_score: 0.6,
  requires_response: true,
  permalink:
    'https://acme.slack.com/archives/C01/p1780000000000200?thread_ts=1780000000.000100&cid=C01',
}
const messages: StreamFixture = {
  pages: [[asked], [posted]],
  body: (records, { page, last }) => ({
    ok: true,
    messages: (records as typeof asked[]).map(({ channel: _, user_name: __, ...message }) =>
      message
    ),
    has_more: !last,
    response_metadata: { next_cursor: last ? '' : `page-${page + 1}` },
  }),
  synced: [
    { source_id: 'C01:1780000000.000200', source_updated_at: columns.sent_at, columns },
    {
      source_id: 'C01:1780000000.000100',
      source_updated_at: columns.sent_at,
      columns: {
        ...columns,
        direction: 'outbound',
        reply_to_id: null,
        sender_name: 'Plugboard',
        sender_address: 'BBOT01',
        body_text: 'Backup done',
        snippet: 'Backup done',
        attachments: [],
        sentiment_score: 0,
        requires_response: false,
        permalink: 'https://acme.slack.com/archives/C01/p1780000000000100',
      },
    },
  ],
  required: 'type',
  wrongType: { path: 'text', value: 7 },
}

const fixture: ConnectorFixture = {
  settings: { channels: ['C01'] },
  credentials: {},
  account: facts,
  webhooks: slackWebhooks,
  token: { access_token: 'xoxb-from-the-owner' },
  other: {
    'POST /api/auth.test': { ok: true, team_id: 'T01', team: 'acme' },
    'GET /api/users.info': {
      ok: true,
      user: { id: 'U01', name: 'ada', real_name: 'Ada', profile: { display_name: '' } },
    },
  },
  streams: { messages },
  actions: {
    post_message: {
      input: { channel: 'C01', text: 'Hello', thread_ts: '1780000000.000100' },
      wrongInput: { input: { channel: '#general', text: 'Hello' }, path: 'channel' },
      requests: [{
        request: 'POST /api/chat.postMessage',
        body: { channel: 'C01', text: 'Hello', thread_ts: '1780000000.000100' },
      }],
      answers: [{ body: { ok: true, channel: 'C01', ts: '1780000002.000300', message: {} } }],
      output: {
        message_id: 'C01:1780000002.000300',
        channel: 'C01',
        ts: '1780000002.000300',
      },
    },
  },
}
conformance(slack, fixture, 'oauth')
conformance(slack, {
  ...fixture,
  settings: { channels: ['C01'], auth: 'bot_token' },
  credentials: { bot_token: 'xoxb-of-acme' },
  token: undefined,
}, 'bot_token')

type Options = SlackSimulatorOptions & {
  settings?: Record<string, unknown>
  budget?: (settings: Record<string, unknown>, clock: FakeClock) => RequestBudget
}

/** Simulated workspaces, and an account with a bot's token. */
async function setUp({ settings = {}, budget, ...options }: Options = {}) {
  const clock = fakeClock(NOW)
  const host = await startSlackSimulator({ limits: 'none', now: clock.now, ...options })
  onTestFinished(host.stop)
  const open = (
    team = 'acme',
    more: { settings?: Record<string, unknown>; grant?: OAuthGrant; bot_token?: string } = {},
  ) => {
    const { url, team_id, bot } = host.workspace(team)
    const asked = {
      auth: more.grant ? 'oauth' : 'bot_token',
      ...settings,
      ...more.settings,
    }
    const credentials = more.grant
      ? {}
      : { bot_token: more.bot_token ?? host.credentials(team).bot_token }
    const values = slack.readAccount({ settings: asked, credentials })
    const account = { ...facts, ...bot, url, team_id, team }
    const opened = openAccount({
      connector: slack,
      settings: asked,
      credentials,
      account,
      clock,
      tokens: memoryTokenCache(),
      grant: more.grant,
      overrides: { slack: { baseUrl: host.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
        ...(budget ? { budget: budget(values.settings, clock) } : {}),
      }),
    })
    const run = {
      account: opened,
      settings: values.settings,
      facts: account,
      idempotency_key: 'key-1',
      now: clock.now(),
    }
    return { account: opened, run }
  }
  const acme = host.workspace('acme')
  const [first, second, third] = [...acme.channels.keys()] as [string, string, string]
  return { host, clock, open, ...open(), acme, first, second, third }
}

/** A run as the engine makes it: every page, and the bookmark it leaves. */
async function sync(account: Account, bookmark: Place | null = null) {
  const pages: Page[] = []
  let cursor: PageCursor | null = null
  do {
    const page: Page = await account.fetchPage('messages', { since: null, cursor, bookmark })
    pages.push(JSON.parse(JSON.stringify(page)) as Page)
    cursor = pages.at(-1)!.next
  } while (cursor !== null && pages.length < 500)
  return {
    pages,
    records: pages.flatMap(({ records }) => records) as Record<string, unknown>[],
    bookmark: pages.at(-1)!.bookmark ?? null,
    reachesBackTo: pages.findLast((page) => page.reachesBackTo)?.reachesBackTo,
    covers: pages[0]!.covers && pages.flatMap((page) => page.covers ?? []),
    passedOver: pages.flatMap((page) => page.passedOver ?? []),
  }
}

const parse = (raw: unknown) =>
  parseRecord(slack, 'messages', raw, { settings: {}, account: facts })
const idsOf = (records: unknown[]) => records.map((raw) => slack.streams.messages!.id(raw))
const columnsOf = (raw: unknown) => {
  const result = parse(raw)
  if (!result.ok) throw new Error(result.message)
  return result.record.columns as MessageColumns
}
const seconds = (rfc3339: string) => Date.parse(rfc3339) / 1000

describe('a workspace read for the first time', () => {
  it('comes whole: every channel the bot is in, threads too, with names', async () => {
    const { account, host, acme, first, second, third } = await setUp()
    const [ts] = acme.channels.get(first)!.messages.map((message) => message.ts)
    const reply = host.control.post('acme', first, { text: 'Yes', thread_ts: ts! })
    host.control.setMembership('acme', third, false)

    const { records, bookmark, reachesBackTo, covers, passedOver } = await sync(account)

    const expected = [first, second].flatMap((id) =>
      acme.channels.get(id)!.messages.map((message) => `${id}:${message.ts}`)
    )
    expect(idsOf(records).sort()).toEqual(expected.sort())
    expect(records.every((raw) => parse(raw).ok)).toBe(true)
    expect(new Set(records.map((raw) => columnsOf(raw).sender_name))).toEqual(
      new Set(['Ada', 'Ben', 'Zoë']),
    )
    expect(columnsOf(records.find((raw) => raw.ts === reply))).toMatchObject({
      thread_id: `${first}:${ts}`,
      reply_to_id: `${first}:${ts}`,
    })
    expect(bookmark?.channels).toEqual({
      [first]: acme.channels.get(first)!.messages.at(-2)!.ts,
      [second]: acme.channels.get(second)!.messages.at(-1)!.ts,
    })
    expect(reachesBackTo).toBe('2026-10-21T09:00:00.000Z')
    expect([covers, passedOver]).toEqual([[`${first}:`, `${second}:`], []])
  })

  it('asks for each name once, however often somebody writes', async () => {
    const { account, host } = await setUp({ messages: 250 })

    await sync(account)

    const names = host.requests.filter(({ path }) => path.startsWith('/api/users.info'))
    expect(names).toHaveLength(3)
  })

  it('has no names where nobody may ask for them, and is whole all the same', async () => {
    const { host, open } = await setUp()
    host.oauth.control.allowOnlyNextTime(['channels:read', 'channels:history'])
    const { access_token } = await signInAt(host, slack, { auth: 'oauth' }).signIn('acme')
    const { account } = open('acme', { grant: fixedGrant(access_token) })

    const { records } = await sync(account)

    expect(records).toHaveLength(120)
    expect(columnsOf(records[0])).toMatchObject({ sender_name: null })
    const names = host.requests.filter(({ path }) => path.startsWith('/api/users.info'))
    expect(names.length).toBeLessThanOrEqual(3)
  })

  it('passes over a channel the bot is not in, says so, and covers the others as ever', async () => {
    const { host, open, first, second } = await setUp()
    host.control.setMembership('acme', first, false)
    const { account } = open('acme', { settings: { channels: [first, 'C0NOBODY', second] } })

    const { records, reachesBackTo, covers, passedOver } = await sync(account)

    expect(new Set(records.map((raw) => raw.channel))).toEqual(new Set([second]))
    expect(records).toHaveLength(40)
    expect(reachesBackTo).toBe('2026-10-21T09:00:00.000Z')
    expect(covers).toEqual([`${second}:`])
    expect(passedOver).toEqual([`channel ${first}`, 'channel C0NOBODY'])
  })

  it('covers nothing where the bot is in no channel', async () => {
    const { account, host, first, second, third } = await setUp()
    for (const id of [first, second, third]) host.control.setMembership('acme', id, false)

    expect(await sync(account)).toMatchObject({ records: [], covers: [], passedOver: [] })
  })

  it('does not cover a channel one of whose threads went while it was read', async () => {
    const { account, host, acme, first, second } = await setUp({ channels: 2 })
    const ts = acme.channels.get(first)!.messages.at(-1)!.ts
    host.control.post('acme', first, { text: 'Reply', thread_ts: ts })
    host.control.setFault({
      kind: 'status',
      status: 200,
      path: '/conversations.replies',
      body: JSON.stringify({ ok: false, error: 'thread_not_found' }),
    })

    const { covers, passedOver } = await sync(account)

    expect([covers, passedOver]).toEqual([[`${second}:`], []])
  })

  it('follows edits of what was posted to a channel; edits of replies wait for a full sync', async () => {
    const { account, host, acme, clock, first } = await setUp({ channels: 1 })
    const ts = acme.channels.get(first)!.messages.at(-1)!.ts
    const reply = host.control.post('acme', first, { text: 'Reply', thread_ts: ts })
    clock.advance(60_000)
    host.control.post('acme', first, { text: 'Newer' })
    const { bookmark } = await sync(account)
    host.control.edit('acme', first, ts, 'Edited')
    host.control.edit('acme', first, reply, 'Edited too')

    const delta = await sync(account, bookmark)
    const whole = await sync(account)

    const edited = ({ records }: typeof delta) =>
      records.filter((raw) => String(raw.text).startsWith('Edited')).map((raw) => raw.ts)
    expect(edited(delta)).toEqual([ts])
    expect(edited(whole)).toEqual([ts, reply])
  })

  it('reaches far enough back that no reply within its days can be missed', async () => {
    const { host, open, first } = await setUp({ messages: 0 })
    const at = (day: string) => `${seconds(`2026-11-${day}T00:00:00Z`)}.000100`
    const thread = (ts: string, reply: string) => {
      host.control.post('acme', first, { text: 'Who?', ts })
      host.control.post('acme', first, { text: 'Me', ts: reply, thread_ts: ts })
    }
    thread(at('12'), at('17')) // began before the days asked for, answered within them
    thread(at('01'), at('19')) // began too long ago to be followed
    const { account } = open('acme', { settings: { days: 4, thread_days: 7 } })

    const { records, reachesBackTo } = await sync(account)

    expect(records.map((raw) => raw.ts)).toEqual([at('12'), at('17')])
    expect(reachesBackTo).toBe('2026-11-16T09:00:00.000Z')
  })

  it('leaves out what nobody wrote', async () => {
    const { account, host, first } = await setUp({ messages: 0 })
    for (const subtype of ['channel_join', 'channel_topic', 'pinned_item', 'bot_add']) {
      host.control.post('acme', first, { text: 'has joined', subtype })
    }
    for (const subtype of ['bot_message', 'me_message', 'thread_broadcast', 'file_share']) {
      host.control.post('acme', first, { text: 'Hello', subtype })
    }

    const { records } = await sync(account)

    expect(records.map((raw) => raw.subtype).sort()).toEqual([
      'bot_message',
      'file_share',
      'me_message',
      'thread_broadcast',
    ])
  })
})

describe('what changed in a workspace', () => {
  it('is what is new in each channel, and the last days again: edits and replies', async () => {
    const { account, host, acme, clock, first, second } = await setUp({
      messages: 400,
      channels: 2,
    })
    const { bookmark } = await sync(account)
    clock.advance(60_000)
    const recent = acme.channels.get(first)!.messages.at(-5)!.ts
    const old = acme.channels.get(first)!.messages[10]!.ts
    const added = host.control.post('acme', second, { text: 'New' })
    const reply = host.control.post('acme', first, { text: 'Reply', thread_ts: recent })
    host.control.post('acme', first, { text: 'Too late', thread_ts: old })
    host.control.edit('acme', first, recent, 'Edited')

    const { records, bookmark: next } = await sync(account, bookmark)

    const of = (ts: string) => records.filter((raw) => raw.ts === ts)
    expect(of(added)).toHaveLength(1)
    expect(of(reply)).toHaveLength(1)
    expect(of(recent).map(columnsOf)).toMatchObject([{ body_text: 'Edited' }])
    expect(records.some((raw) => raw.text === 'Too late' || raw.ts === old)).toBe(false)
    expect(next?.channels).toMatchObject({ [second]: added })
    expect(records.length).toBeLessThan(2 * (7 * 24 + 5))
  })

  it('is nothing but new messages with thread_days 0, and a thread is not asked for twice', async () => {
    const { account, host, open, acme, first } = await setUp({ channels: 1 })
    const [ts] = acme.channels.get(first)!.messages.map((message) => message.ts)
    host.control.post('acme', first, { text: 'Reply', thread_ts: ts! })
    const whole = await sync(account)
    const replies = () => host.requests.filter(({ path }) => path.includes('.replies')).length
    expect(replies()).toBe(1)

    // a newer message than the reply: the thread has been read
    host.control.post('acme', first, { text: 'New' })
    const second = await sync(account, whole.bookmark)
    await sync(account, second.bookmark)
    expect(replies()).toBe(2)

    const { account: without } = open('acme', { settings: { thread_days: 0 } })
    const { records } = await sync(without, whole.bookmark)
    expect(records.map((raw) => raw.text)).toEqual(['New'])
    expect(replies()).toBe(2)
  })

  it('begins for a channel the bot has just joined with its last days', async () => {
    const { account, host, first, second, third } = await setUp()
    host.control.setMembership('acme', third, false)
    const { bookmark } = await sync(account)
    host.control.setMembership('acme', third, true)

    const { records } = await sync(account, bookmark)

    expect(Object.keys(bookmark?.channels as object)).toEqual([first, second])
    expect(records.filter((raw) => raw.channel === third)).toHaveLength(40)
  })

  it('is a deletion where Slack leaves a tombstone', async () => {
    const { account, host, acme, first } = await setUp({ channels: 1 })
    const ts = acme.channels.get(first)!.messages.at(-1)!.ts
    const reply = host.control.post('acme', first, { text: 'Reply', thread_ts: ts })
    host.control.remove('acme', first, ts)

    const { records } = await sync(account)

    const gone = records.map(parse).flatMap((result) =>
      result.ok && result.record.deleted ? [result.record.source_id] : []
    )
    expect(gone).toEqual([`${first}:${ts}`])
    expect(records.some((raw) => raw.ts === reply)).toBe(true)
    expect(parse({
      type: 'message',
      subtype: 'message_deleted',
      channel: 'C01',
      ts: '1780000009.000100',
      deleted_ts: '1780000000.000100',
    })).toMatchObject({ record: { source_id: 'C01:1780000000.000100', deleted: true } })
  })

  it('is read again from the start when Slack forgot the place', async () => {
    const { account, first } = await setUp({ messages: 300 })
    const { next } = await account.fetchPage('messages', { since: null, cursor: null })
    const place = (next as { place: Record<string, unknown> }).place

    const lost = account.fetchPage('messages', {
      since: null,
      cursor: { place: { ...place, cursor: 'bm9uc2Vuc2U=' } },
    })

    await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    expect(place.channels).toEqual(expect.arrayContaining([first]))
  })
})

describe('a message', () => {
  it.each([
    ['<@U01> and <@U01|ada>', '@U01 and @ada'],
    ['<#C01|general> <!here> <!subteam^S01|@team>', '#general @here @team'],
    ['<https://x.example|here> <https://x.example>', 'here (https://x.example) https://x.example'],
    ['<mailto:a@x.example|a@x.example>', 'a@x.example'],
    ['1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;lt;', '1 < 2 && 3 > 2 &lt;'],
  ])('%s reads as %s', (text, plain) => {
    expect(plainText(text)).toBe(plain)
  })

  it.each<[string, Record<string, unknown>, boolean]>([
    ['somebody asks us', { text: '<@UBOT01> can you come?' }, true],
    ['somebody asks us directly', { channel: 'D01', text: 'Can you come?' }, true],
    ['somebody asks the channel', { text: 'Can you come?' }, false],
    ['another bot asks us', { text: '<@UBOT01> can you come?', bot_id: 'B09' }, false],
    ['we ask', { text: '<@UBOT01> can you come?', user: 'UBOT01' }, false],
  ])('wants an answer or not: %s', (_, change, requires_response) => {
    const raw = { type: 'message', channel: 'C01', ts: '1780000000.000100', user: 'U01', ...change }

    expect(columnsOf(raw)).toMatchObject({ requires_response })
  })

  it('keeps its ts to the last digit, and links to nowhere but the workspace', () => {
    const ts = '1780000000.123456'
    const raw = { type: 'message', channel: 'C01', ts, text: 'Hi' }
    const elsewhere = {
      ok: true,
      team_id: 'T01',
      team: 'acme',
      url: 'https://slack.com.evil.example/',
    }
    const read = (body: unknown) =>
      slack.check({ auth: 'oauth' })!.account!(body, {
        settings: {},
        credentials: {},
        account: {},
      })

    expect(parse(raw)).toMatchObject({
      record: { source_id: `C01:${ts}`, source_updated_at: '2026-05-28T20:26:40.123Z' },
    })
    expect(read(elsewhere)).toEqual({ team_id: 'T01', team: 'acme' })
    expect(read({ ...elsewhere, url: facts.url })).toMatchObject({ url: facts.url })
    expect(parse({ ...raw, ts: 1780000000.123456 }).ok).toBe(false)
  })
})

describe('Slack says no with status 200', () => {
  it.each([
    ['invalid_auth', 'provider_unauthorized'],
    ['token_revoked', 'provider_unauthorized'],
    ['missing_scope', 'provider_forbidden'],
    ['internal_error', 'provider_unavailable'],
    ['something_new', 'provider_rejected'],
  ])('for %s: %s', async (error, code) => {
    const { account, host } = await setUp()
    const body = JSON.stringify({ ok: false, error, needed: 'channels:read' })
    host.control.setFault({ kind: 'status', status: 200, path: 'conversations', body, times: null })

    await expect(account.fetchPage('messages', { since: null, cursor: null })).rejects
      .toMatchObject({ code })
    host.control.clearFaults()

    await expect(account.fetchPage('messages', { since: null, cursor: null })).resolves
      .toBeDefined()
  })

  it.each([200, 429])('to slow down (%i): waits as long as it asks', async (status) => {
    const { account, host, clock } = await setUp()
    host.control.setFault({
      kind: 'status',
      status,
      path: 'conversations.history',
      headers: { 'retry-after': '12' },
      body: '{"ok":false,"error":"ratelimited"}',
    })

    const { records } = await account.fetchPage('messages', { since: null, cursor: null })

    expect(clock.slept).toEqual([12_000])
    expect(records).toHaveLength(40)
  })

  it('because the token has ended: a new one is asked for, and the page arrives', async () => {
    const { host, open } = await setUp({ rotation: true })
    const tokens = await signInAt(host, slack, { auth: 'oauth' }).signIn('acme')
    const fresh = await signInAt(host, slack, { auth: 'oauth' }).signIn('acme')
    host.oauth.control.expireAccessTokens({ access_token: tokens.access_token })
    const refused: string[] = []
    const { account } = open('acme', {
      grant: {
        current: () =>
          Promise.resolve(refused.length > 0 ? fresh.access_token : tokens.access_token),
        renew(token) {
          refused.push(token)
          return Promise.resolve(fresh.access_token)
        },
      },
    })

    const { records } = await account.fetchPage('messages', { since: null, cursor: null })

    expect(records).toHaveLength(40)
    expect(refused).toEqual([tokens.access_token])
    expect(tokens).toMatchObject({ expires_in: 43_200, refresh_token: expect.any(String) })
  })

  it('names the workspace whose token is refused, and not the token', async () => {
    const { open } = await setUp()
    const { account } = open('acme', { bot_token: 'xoxb-wrong-token' })

    const error = await account.check().then(() => null, (error: unknown) => error)

    expect(error).toMatchObject({
      code: 'provider_unauthorized',
      detail: 'Slack refuses the credentials of "T01".',
    })
    await expect(open().account.check()).resolves.toMatchObject({ account_name: 'acme' })
  })
})

describe('limits by method', () => {
  it('are never exceeded, and nearly used up', async () => {
    const { account, host, clock } = await setUp({
      limits: 'standard',
      channels: 120,
      messages: 2,
      budget: (settings, clock) => pacedBudget(slack, settings, clock),
    })
    const started = clock.now().getTime()

    const { records } = await sync(account)

    const minutes = (clock.now().getTime() - started) / 60_000
    const history = host.limits['conversations.history']!
    expect(records).toHaveLength(240)
    expect(Object.values(host.limits).map((limit) => limit.refused('T01'))).toEqual([0, 0, 0, 0, 0])
    expect(history.most('T01')).toBeLessThanOrEqual(50)
    expect(120 / minutes).toBeGreaterThan(50 * 0.8)
  })

  it('are one call a minute and 15 messages for an app outside the Marketplace', async () => {
    const { host, open, clock, first, second } = await setUp({
      limits: 'restricted',
      messages: 20,
      budget: (settings, clock) => pacedBudget(slack, settings, clock),
    })
    const { account } = open('acme', {
      settings: { reading_limit: 'restricted', channels: [first, second], thread_days: 0 },
    })

    const { records, pages } = await sync(account)

    expect(records).toHaveLength(40)
    expect(pages.map((page) => page.records.length)).toEqual([15, 5, 15, 5])
    expect(host.limits['conversations.history']!.refused('T01')).toBe(0)
    expect(clock.now().getTime() - Date.parse(NOW)).toBe(180_000)
  })

  it('are kept by Slack: without a budget it refuses', async () => {
    const { account, host } = await setUp({ limits: 'standard', channels: 80, messages: 1 })

    await sync(account).catch(() => {})

    expect(host.limits['conversations.history']!.refused('T01')).toBeGreaterThan(0)
  })
})

describe('posting', () => {
  const post = findAction(slack, 'post_message')

  it('says it in a channel or a thread, and comes back as our own message', async () => {
    const { account, run, acme, first } = await setUp({ messages: 1, channels: 1 })
    const [parent] = acme.channels.get(first)!.messages

    const outcome = await runAction(
      post,
      readInput(post, { channel: first, text: 'Hello', thread_ts: parent!.ts }),
      run,
    )
    const { records } = await sync(account)

    const ts = acme.channels.get(first)!.messages.at(-1)!.ts
    expect(outcome).toEqual({
      status: 'success',
      output: { message_id: `${first}:${ts}`, channel: first, ts },
    })
    expect(columnsOf(records.find((raw) => raw.ts === ts))).toMatchObject({
      direction: 'outbound',
      body_text: 'Hello',
      requires_response: false,
    })
  })

  it('waits a second for the same channel, and not for another', async () => {
    const { run, host, clock, first, second } = await setUp({
      limits: 'standard',
      budget: (settings, clock) => pacedBudget(slack, settings, clock),
    })
    const say = (channel: string) => runAction(post, readInput(post, { channel, text: 'Hi' }), run)

    const outcomes = [await say(first), await say(second), await say(first), await say(second)]

    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill('success'))
    expect(host.limits['chat.postMessage']!.refused(`T01:${first}`)).toBe(0)
    expect(clock.now().getTime() - Date.parse(NOW)).toBe(1_000)
  })

  it.each([
    ['not_in_channel', 'failed', 'provider_not_found'],
    ['msg_too_long', 'failed', 'provider_rejected'],
    ['fatal_error', 'unknown', 'provider_unavailable'],
  ])('%s: %s', async (error, status, code) => {
    const { run, host, first } = await setUp()
    const body = JSON.stringify({ ok: false, error })
    host.control.setFault({ kind: 'status', status: 200, path: 'chat.postMessage', body })
    const input = readInput(post, { channel: first, text: 'Hi' })

    expect(await runAction(post, input, run)).toMatchObject({ status, error: { code } })
    expect(await runAction(post, input, run)).toMatchObject({ status: 'success' })
  })

  it.each([
    ['text', { text: '' }],
    ['text', { text: 'x'.repeat(40_001) }],
    ['thread_ts', { thread_ts: '1780000000.1' }],
    ['blocks', { blocks: Array(51).fill({ type: 'divider' }) }],
  ])('is refused by its %s', (path, change) => {
    const good = { channel: 'C01', text: 'Hi', blocks: [{ type: 'divider' }] }

    expect(() => readInput(post, { ...good, ...change })).toThrow(expect.objectContaining({
      errors: expect.arrayContaining([expect.objectContaining({ path: `input.${path}` })]),
    }))
    expect(() => readInput(post, good)).not.toThrow()
  })
})

describe('a workspace', () => {
  it('is known by its team, from the sign-in and from the check alike; two stay apart', async () => {
    const { host, open } = await setUp({ channels: 1, messages: 2 })
    const auth = slack.modes.oauth as OAuth2
    const signing = signInAt(host, slack, { auth: 'oauth' })
    host.control.post('north', 'C0102', { text: 'Only here' })

    const ids = []
    const texts: unknown[][] = []
    for (const team of ['acme', 'north']) {
      const { access_token, answer, scope } = await signing.signIn(team)
      const { account } = open(team, { grant: fixedGrant(access_token) })
      const known = auth.account!(answer)
      const { account: checked } = await account.check()
      ids.push(known.team_id, checked.team_id)
      texts.push((await sync(account)).records.map((raw) => raw.text))
      expect(scope?.split(' ')).toEqual(auth.scope.split(' '))
      expect(checked).toMatchObject(known)
    }

    expect(ids).toEqual(['T01', 'T01', 'T02', 'T02'])
    expect(texts[1]).toContain('Only here')
    expect(texts[0]).not.toContain('Only here')
  })

  it('refuses a code with status 200, which reads as RFC 6749 has it', async () => {
    const { host } = await setUp()
    const response = await fetch(`${host.url}/api/oauth.v2.access`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: 'nonsense',
        redirect_uri: 'https://app.example/',
        ...host.client,
      }),
    })
    const { readTokenAnswer } = slack.modes.oauth as OAuth2

    expect(response.status).toBe(200)
    expect(readTokenAnswer!(await response.json())).toEqual({ error: 'invalid_grant' })
    expect(readTokenAnswer!({ ok: true, access_token: 'xoxb-1', scope: 'a,b', token_type: 'bot' }))
      .toEqual({ access_token: 'xoxb-1', token_type: 'bearer', scope: 'a b' })
    expect(readTokenAnswer!(null)).toEqual({ error: 'server_error' })
  })

  it('that is disconnected takes the token back', async () => {
    const { host, open } = await setUp()
    const { access_token } = await signInAt(host, slack, { auth: 'oauth' }).signIn('acme')
    const { account } = open('acme', { grant: fixedGrant(access_token) })
    await expect(account.check()).resolves.toBeDefined()
    const { revoke } = slack.modes.oauth as OAuth2

    await account.call({ method: 'POST', path: revoke!.path })

    await expect(account.check()).rejects.toMatchObject({ code: 'provider_unauthorized' })
  })
})
