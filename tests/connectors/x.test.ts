import { describe, expect, it, onTestFinished } from 'vitest'
import { startXSimulator, type XSimulatorOptions } from '../../scripts/simulators/x.ts'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
  type Place,
} from '../../supabase/functions/_shared/connectors/account.ts'
import {
  findAction,
  type RateLimit,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { readInput, runAction } from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { SyncedRecord } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { x } from '../../supabase/functions/_shared/connectors/x.ts'
import { createHttpClient, type HttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { signInAt } from '../support/sign-in-at.ts'
import { conformance, readAll, type StreamFixture } from './conformance.ts'
import { xWebhooks } from './webhooks/x.ts'

const mention = {
  id: '1900000000000000003',
  text: '@acme Great coffee! Are you open &amp; serving on Sunday?',
  author_id: '2',
  author: { id: '2', name: 'Ada', username: 'ada' },
  conversation_id: '1900000000000000003',
  created_at: '2026-11-01T00:00:00.000Z',
  lang: 'en',
  edit_history_tweet_ids: ['1900000000000000002', '1900000000000000003'],
  public_metrics: {
    retweet_count: 1,
    reply_count: 2,
    like_count: 3,
    quote_count: 4,
    bookmark_count: 0,
    impression_count: 50,
  },
  attachments: { media_keys: ['3_1'] },
  media: [{ media_key: '3_1', type: 'photo', url: 'https://pbs.example/1.jpg' }],
}
const own = {
  id: '1900000000000000001',
  text: 'Thank you',
  author_id: '42',
  author: null,
  created_at: '2026-10-31T00:00:00.000Z',
  lang: 'qme',
  referenced_tweets: [{ type: 'quoted', id: '7' }, { type: 'replied_to', id: '8' }],
  media: [],
}
type Columns = NonNullable<SyncedRecord<'social_posts'>['columns']>
const columns: Columns = {
  kind: 'post',
  is_own: false,
  author_id: '2',
  author_name: 'Ada',
  author_handle: 'ada',
  body_text: '@acme Great coffee! Are you open & serving on Sunday?',
  language: 'en',
  published_at: '2026-11-01T00:00:00.000Z',
  permalink: 'https://x.com/ada/status/1900000000000000003',
  conversation_id: '1900000000000000003',
  reply_to_id: null,
  like_count: 3,
  reply_count: 2,
  repost_count: 1,
  quote_count: 4,
  impression_count: 50,
  media_urls: ['https://pbs.example/1.jpg'],
  sentiment_score: 0.6,
  requires_response: true,
}

const social_posts: StreamFixture = {
  pages: [[mention], [own]],
  body: (records, { page, last }) => ({
    ...(records.length > 0 ? { data: records.map(asSent) } : {}),
    includes: {
      users: [{ id: '2', name: 'Ada', username: 'ada' }],
      media: [{ media_key: '3_1', type: 'photo', url: 'https://pbs.example/1.jpg' }],
    },
    meta: { result_count: records.length, ...(last ? {} : { next_token: `token-${page + 1}` }) },
  }),
  synced: [
    {
      source_id: mention.id,
      source_updated_at: '2026-11-01T00:00:00.000Z',
      columns,
      supersedes: ['1900000000000000002'],
    },
    {
      source_id: own.id,
      source_updated_at: '2026-10-31T00:00:00.000Z',
      columns: {
        kind: 'reply',
        is_own: true,
        author_id: '42',
        author_name: null,
        author_handle: null,
        body_text: 'Thank you',
        language: null,
        published_at: '2026-10-31T00:00:00.000Z',
        permalink: 'https://x.com/i/status/1900000000000000001',
        conversation_id: null,
        reply_to_id: '8',
        like_count: null,
        reply_count: null,
        repost_count: null,
        quote_count: null,
        impression_count: null,
        media_urls: [],
        sentiment_score: null,
        requires_response: false,
      },
      supersedes: [],
    },
  ],
  required: 'created_at',
  wrongType: { path: 'public_metrics.like_count', value: 'many' },
}

/** On the wire, authors and pictures are beside the posts. */
function asSent(record: unknown) {
  const { author: _, media: __, ...post } = record as Record<string, unknown>
  return post
}

conformance(x, {
  webhooks: xWebhooks,
  settings: {},
  credentials: {},
  account: { user_id: '42', username: 'acme' },
  token: { access_token: 'token-of-acme' },
  other: {
    'GET /2/users/me': { data: { id: '42', name: 'Acme', username: 'acme' } },
    'GET /2/users/42/mentions': { meta: { result_count: 0 } },
  },
  streams: { social_posts },
  actions: {
    post: {
      input: { text: 'Open today', reply_to: '8', quote: '9' },
      wrongInput: { input: { text: 'é'.repeat(281) }, path: 'text' },
      requests: [{
        request: 'POST /2/tweets',
        body: { text: 'Open today', reply: { in_reply_to_tweet_id: '8' }, quote_tweet_id: '9' },
      }],
      answers: [{
        status: 201,
        body: { data: { id: '10', text: 'Open today', edit_history_tweet_ids: ['10'] } },
      }],
      output: { post_id: '10', permalink: 'https://x.com/acme/status/10' },
    },
    reply: {
      input: { post_id: '8', text: 'We are' },
      wrongInput: { input: { post_id: 'eight', text: 'We are' }, path: 'post_id' },
      requests: [{
        request: 'POST /2/tweets',
        body: { text: 'We are', reply: { in_reply_to_tweet_id: '8' } },
      }],
      answers: [{ status: 201, body: { data: { id: '11', text: 'We are' } } }],
      output: { post_id: '11', permalink: 'https://x.com/acme/status/11' },
    },
    delete_post: {
      input: { post_id: '11' },
      wrongInput: { input: {}, path: 'post_id' },
      requests: [{ request: 'DELETE /2/tweets/11' }],
      answers: [{ body: { data: { deleted: true } } }],
      output: { post_id: '11', deleted: true },
    },
  },
})

/** A simulated X and an account signed in there, on one clock. */
async function setUp(options: XSimulatorOptions = {}) {
  // of today: tokens end by the real clock
  const clock = fakeClock(new Date().toISOString())
  const network = await startXSimulator({ now: clock.now, ...options })
  onTestFinished(network.stop)
  const signing = signInAt(network, x)
  const http: HttpClient = createHttpClient({
    clock,
    allowPrivateNetworks: true,
    log: createLog({}, () => {}),
    random: () => 0.5,
  })
  async function connect(username = 'acme', settings: Record<string, unknown> = {}) {
    const { access_token } = await signing.signIn(username)
    const open = (account: Record<string, string>) =>
      openAccount({
        connector: x,
        settings,
        credentials: {},
        account,
        clock,
        http,
        tokens: memoryTokenCache(),
        grant: fixedGrant(access_token),
        overrides: { x: { baseUrl: network.baseUrl } },
      })
    const { account: facts, account_name } = await open({}).check()
    return { account: open(facts), facts, account_name }
  }
  const act = async (
    { account, facts }: { account: Account; facts: Record<string, string> },
    name: string,
    input: Record<string, unknown>,
  ) => {
    const action = findAction(x, name)
    return await runAction(action, readInput(action, input), {
      account,
      settings: { read_back: 400 },
      facts,
      idempotency_key: 'key',
      now: clock.now(),
    })
  }
  return { network, clock, signing, connect, act }
}

const ids = (records: unknown[]) => records.map((record) => (record as { id: string }).id)
const numerically = (one: string, other: string) => Number(BigInt(one) - BigInt(other))

/** One whole run: all its pages, and what it leaves. */
async function run(account: Account, bookmark: Place | null = null) {
  const pages: Page[] = []
  let cursor: PageCursor | null = null
  do {
    const page: Page = await account.fetchPage('social_posts', { since: null, cursor, bookmark })
    pages.push(page)
    cursor = page.next
  } while (cursor !== null)
  const last = pages.at(-1)!
  return {
    pages: pages.length,
    records: pages.flatMap(({ records }) => records),
    bookmark: last.bookmark!,
    reachesBackTo: last.reachesBackTo ?? null,
  }
}

describe('an X account', () => {
  it('brings its own posts and its mentions, whole, with their authors', async () => {
    const { network, connect } = await setUp({ posts: 230, mentions: 120 })
    const { account, facts } = await connect()

    const records = await readAll(account, 'social_posts')

    const expected = [
      ...network.network.by('2244994945'),
      ...network.network.mentioning('2244994945'),
    ]
    const parsed = records.map((raw) =>
      parseRecord(x, 'social_posts', raw, { settings: {}, account: facts })
    )
    expect(ids(records).toSorted(numerically)).toEqual(ids(expected).toSorted(numerically))
    expect(parsed.every(({ ok }) => ok)).toBe(true)
    const columns = parsed.flatMap((result) => result.ok ? [result.record.columns as Columns] : [])
    expect(columns.filter(({ is_own }) => is_own)).toHaveLength(230)
    expect(columns.every(({ author_handle }) => author_handle !== null)).toBe(true)
    expect(columns.some(({ requires_response }) => requires_response)).toBe(true)
  })

  it('works beside another one: each brings what is its own', async () => {
    const { connect } = await setUp()
    const [acme, fieldnotes] = [await connect('acme'), await connect('fieldnotes')]

    const [of_acme, of_fieldnotes] = [await run(acme.account), await run(fieldnotes.account)]

    expect([acme.account_name, fieldnotes.account_name]).toEqual(['@acme', '@fieldnotes'])
    expect(x.accountId({ settings: {}, credentials: {}, account: acme.facts })).toBe('2244994945')
    expect(of_acme.records).toHaveLength(65)
    expect(new Set([...ids(of_acme.records), ...ids(of_fieldnotes.records)]).size).toBe(130)
  })

  it('without a single post or mention is an empty list, not a broken one', async () => {
    const { connect } = await setUp({ posts: 0, mentions: 0 })
    const { account } = await connect()

    expect(await run(account)).toEqual({
      pages: 1,
      records: [],
      bookmark: {},
      reachesBackTo: null,
    })
  })
})

describe('only what is new', () => {
  it('is read after a finished run: ids that are neighbours beyond 2^53 are told apart', async () => {
    const { network, connect } = await setUp()
    const { account } = await connect()
    const first = await run(account)
    const [post] = network.network.by('2244994945')
    const next = network.network.publish({ text: 'Something new', author_id: post!.author_id })
    const asked = network.requests.length

    const second = await run(account, first.bookmark)
    const third = await run(account, second.bookmark)

    expect(Number(next.id)).toBe(Number(BigInt(next.id) - 1n)) // as numbers they are the same
    expect(ids(second.records)).toEqual([next.id])
    expect(second.bookmark).toEqual({ ...first.bookmark, tweets: next.id })
    expect(third).toMatchObject({ records: [], bookmark: second.bookmark })
    expect(network.requests.slice(asked).every(({ path }) => path.includes('since_id='))).toBe(true)
  })

  it('is read however much it is, and has nothing to say about what is older', async () => {
    const { network, connect } = await setUp({ posts: 5, mentions: 0 })
    const { account } = await connect('acme', { read_back: 100 })
    const { bookmark } = await run(account)
    for (let count = 0; count < 250; count++) {
      network.network.publish({ text: `News ${count}`, author_id: '2244994945' })
    }

    const news = await run(account, bookmark)

    expect(news.records).toHaveLength(250)
    expect(news.reachesBackTo).toBeNull()
  })

  it('is the newest of both lists, though their pages come one after the other', async () => {
    const { connect } = await setUp({ posts: 250, mentions: 20 })
    const { account } = await connect()

    const { bookmark, records } = await run(account)

    const newest = ids(records).toSorted(numerically).at(-1)
    expect(Object.keys(bookmark)).toEqual(['tweets', 'mentions'])
    expect(Object.values(bookmark)).toContain(newest)
  })

  it('cannot be told when X no longer knows our place: everything is read again', async () => {
    const { network, connect } = await setUp({ posts: 230 })
    const { account } = await connect()
    const { next } = await account.fetchPage('social_posts', { since: null, cursor: null })
    network.control.forgetPages()

    const lost = account.fetchPage('social_posts', { since: null, cursor: next })

    await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
    expect((await run(account)).records).toHaveLength(230 + 25)
  })
})

describe('what a full read cannot reach', () => {
  it('is said to be out of reach when we stop early', async () => {
    const { network, connect } = await setUp({ posts: 250, mentions: 10 })
    const { account } = await connect('acme', { read_back: 200 })

    const { records, reachesBackTo } = await run(account)

    const oldestRead = network.network.by('2244994945')[199]!
    expect(records).toHaveLength(210)
    expect(reachesBackTo).toBe(oldestRead.created_at)
  })

  it('is said to be out of reach when X stops: at about 800 mentions', async () => {
    const { network, connect } = await setUp({ posts: 10, mentions: 900 })
    const { account } = await connect('acme', { read_back: 3200 })

    const { records, reachesBackTo } = await run(account)

    const oldestRead = network.network.mentioning('2244994945')[799]!
    expect(records).toHaveLength(810)
    expect(reachesBackTo).toBe(oldestRead.created_at)
  })

  it('is nothing where both lists end before that', async () => {
    const { connect } = await setUp({ posts: 250, mentions: 10 })
    const { account } = await connect('acme', { read_back: 400 })

    expect((await run(account)).reachesBackTo).toBeNull()
  })
})

describe('an edited post', () => {
  const parse = (raw: unknown) => parseRecord(x, 'social_posts', raw, { settings: {}, account: {} })

  it('ends its earlier versions; one of those, still shown by its id, is gone and ends no later one', () => {
    const earlier = { ...mention, id: '1900000000000000002' }

    expect(parse(mention)).toMatchObject({
      ok: true,
      record: { source_id: mention.id, supersedes: [earlier.id] },
    })
    expect(parse(mention)).not.toHaveProperty('record.deleted')
    expect(parse(earlier)).toMatchObject({
      ok: true,
      record: { source_id: earlier.id, supersedes: [], deleted: true },
    })
  })
})

describe('a post that is missing', () => {
  it('is asked for by its id: only what X does not find is gone', async () => {
    const { network, connect } = await setUp()
    const { account } = await connect()
    const [gone, there] = network.network.by('2244994945')
    network.control.remove(gone!.id)

    const found = await account.lookup('social_posts', [there!.id, gone!.id])

    expect(ids(found)).toEqual([there!.id])
    expect(found[0]).toMatchObject({ author: { username: 'acme' } })
  })

  it('is no failure when all that were asked for are gone (errors inside a 200)', async () => {
    const { connect } = await setUp()
    const { account } = await connect()

    expect(await account.lookup('social_posts', ['1', '2'])).toEqual([])
  })
})

describe('limits of X', () => {
  const mostIn = (seconds: number, { requestsPerSecond, burst }: RateLimit) =>
    burst + requestsPerSecond * seconds

  it('counts each endpoint in its own window, and each of our budgets stays below', () => {
    const published = { me: 75, tweets: 900, mentions: 300, lookup: 5000, post: 100, delete: 50 }

    for (const [name, requests] of Object.entries(published)) {
      expect(mostIn(900, x.limits[name]!)).toBeLessThanOrEqual(requests + 1e-9)
    }
    expect(Object.keys(x.limits)).toEqual(Object.keys(published))
  })

  it("counts those that X limits for our app together, and one account alone does not feel the app's", () => {
    const published = {
      tweets: { requests: 10_000, seconds: 900 },
      mentions: { requests: 450, seconds: 900 },
      lookup: { requests: 3500, seconds: 900 },
      post: { requests: 10_000, seconds: 86_400 },
    }

    for (const [name, { requests, seconds }] of Object.entries(published)) {
      const { app, ...own } = x.limits[name]!
      expect(mostIn(seconds, app!)).toBeLessThanOrEqual(requests + 1e-9)
      expect(app!.burst).toBeGreaterThanOrEqual(own.burst)
      // X itself gives the app fewer look-ups than a user
      if (name !== 'lookup') {
        expect(app!.requestsPerSecond).toBeGreaterThanOrEqual(own.requestsPerSecond)
      }
    }
    expect(Object.keys(x.limits).filter((name) => x.limits[name]!.app))
      .toEqual(Object.keys(published))
  })

  it('429: waits until the window ends, then goes on', async () => {
    const { network, clock, connect } = await setUp()
    const { account } = await connect()
    network.control.limit('mentions', { requests: 1, seconds: 30 })
    await account.fetchPage('social_posts', { since: null, cursor: null })

    const { records } = await account.fetchPage('social_posts', { since: null, cursor: null })

    expect(records).toHaveLength(65)
    expect(clock.slept).toHaveLength(1)
    expect(clock.slept[0]).toBeGreaterThan(29_000)
    expect(clock.slept[0]).toBeLessThanOrEqual(31_000)
    expect(network.requests.filter(({ status }) => status === 429)).toHaveLength(1)
  })

  it('429 with a window of a quarter hour is not sat out: the run comes back when it ends', async () => {
    const { network, clock, connect } = await setUp()
    const { account } = await connect()
    network.control.limit('tweets', { requests: 1, seconds: 900 })
    await account.fetchPage('social_posts', { since: null, cursor: null })

    const refused = account.fetchPage('social_posts', { since: null, cursor: null })

    const error = await refused.then(() => null, (error: unknown) => error)
    expect(error).toMatchObject({ code: 'provider_rate_limited' })
    const { retryAfterMs } = error as { retryAfterMs: number }
    expect(retryAfterMs).toBeGreaterThan(890_000)
    expect(retryAfterMs).toBeLessThanOrEqual(901_000)
    clock.advance(retryAfterMs)
    expect((await account.fetchPage('social_posts', { since: null, cursor: null })).records)
      .toHaveLength(65)
  })

  it('pauses everybody by the headers of the last good answer, before there is a 429', () => {
    const now = new Date('2026-11-20T09:00:00Z')
    const reset = String(now.getTime() / 1000 + 60)
    const pauseAt = (remaining: string) =>
      x.pause({
        status: 200,
        body: {},
        now,
        headers: new Headers({
          'x-rate-limit-remaining': remaining,
          'x-rate-limit-reset': reset,
        }),
      })

    expect([pauseAt('1'), pauseAt('0')]).toEqual([null, 61_000])
  })

  it('a day’s limit that is used up counts before the quarter hour’s', () => {
    const now = new Date('2026-11-20T09:00:00Z')
    const at = (seconds: number) => String(now.getTime() / 1000 + seconds)
    const failure = x.failure({
      status: 429,
      body: {},
      now,
      headers: new Headers({
        'x-rate-limit-reset': at(60),
        'x-user-limit-24hour-remaining': '0',
        'x-user-limit-24hour-reset': at(3600),
      }),
    })

    expect(failure).toMatchObject({ code: 'provider_rate_limited', retryAfterMs: 3_601_000 })
  })

  it.each(['no_credits', 'usage_capped'] as const)(
    '%s: the owner learns that X wants to be paid, and nothing is tried again',
    async (why) => {
      const { network, connect } = await setUp()
      const { account } = await connect()
      network.control.refuse(why)
      const asked = network.requests.length

      const refused = account.fetchPage('social_posts', { since: null, cursor: null })

      await expect(refused).rejects.toMatchObject({
        code: 'provider_forbidden',
        next: 'owner',
        detail: expect.stringContaining('used up'),
      })
      expect(network.requests.length - asked).toBeLessThanOrEqual(2) // one of each list
      network.control.refuse(null)
      expect((await run(account)).records).toHaveLength(65)
    },
  )
})

describe('posting', () => {
  it('publishes, answers and deletes, and each shows in the list', async () => {
    const { network, connect, act } = await setUp({ posts: 0 })
    const connected = await connect()
    const [asked] = network.network.mentioning('2244994945')

    const posted = await act(connected, 'post', { text: 'Open until nine', quote: asked!.id })
    const replied = await act(connected, 'reply', { post_id: asked!.id, text: 'Yes, we are' })
    const listed = network.network.by('2244994945')
    const deleted = await act(connected, 'delete_post', { post_id: listed[1]!.id })

    expect(posted).toMatchObject({
      status: 'success',
      output: { post_id: listed[1]!.id, permalink: `https://x.com/acme/status/${listed[1]!.id}` },
    })
    expect(replied).toMatchObject({ status: 'success', output: { post_id: listed[0]!.id } })
    expect(listed[0]).toMatchObject({ conversation_id: asked!.conversation_id })
    expect(deleted).toMatchObject({ status: 'success' })
    expect(ids(network.network.by('2244994945'))).toEqual([listed[0]!.id])
  })

  it('refuses the same text twice, and says that X has it already', async () => {
    const { connect, act } = await setUp()
    const connected = await connect()

    const first = await act(connected, 'post', { text: 'Only once' })
    const second = await act(connected, 'post', { text: 'Only once' })

    expect(first).toMatchObject({ status: 'success' })
    expect(second).toMatchObject({
      status: 'failed',
      error: { code: 'provider_rejected', detail: expect.stringContaining('duplicate') },
    })
  })

  it('deletes what is gone already: that is what was asked for', async () => {
    const { network, connect, act } = await setUp()
    const connected = await connect()
    const [post] = network.network.by('2244994945')

    const outcomes = [
      await act(connected, 'delete_post', { post_id: post!.id }),
      await act(connected, 'delete_post', { post_id: post!.id }),
    ]

    expect(outcomes).toMatchObject([{ status: 'success' }, { status: 'success' }])
  })

  it('fails for a post that is somebody else’s', async () => {
    const { network, connect, act } = await setUp()
    const connected = await connect()
    const [other] = network.network.mentioning('2244994945')

    const outcome = await act(connected, 'delete_post', { post_id: other!.id })

    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'provider_forbidden' } })
  })
})

describe('signing in at X', () => {
  const auth = x.auth({}) as OAuth2

  it('gives a refresh token that is good once, and ends at the revocation', async () => {
    const { network, signing } = await setUp()

    const first = await signing.signIn()
    const second = await (await signing.refresh(first.refresh_token!)).json()
    await signing.revoke(second.refresh_token)

    expect(first).toMatchObject({ expires_in: 7200 })
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect(network.oauth.verify(second.access_token)).toBeNull()
  })

  it('tells of an ended refresh token in words of its own, which mean invalid_grant', async () => {
    const { signing } = await setUp()
    const { refresh_token } = await signing.signIn()
    await signing.refresh(refresh_token!)

    const answer = await (await signing.refresh(refresh_token!)).json()

    expect(answer).toMatchObject({ error: 'invalid_request' })
    expect(auth.readTokenAnswer!(answer)).toMatchObject({ error: 'invalid_grant' })
    expect(auth.readTokenAnswer!({ error: 'invalid_request', error_description: 'no code' }))
      .toMatchObject({ error: 'invalid_request' })
    expect(auth.readTokenAnswer!({ access_token: 'a' })).toEqual({ access_token: 'a' })
  })
})
