// What every connector has to get right, whatever its platform does. Its test calls `conformance`.
import { describe, expect, it } from 'vitest'
import {
  type Account,
  openAccount,
  type Page,
  type PageCursor,
} from '../../supabase/functions/_shared/connectors/account.ts'
import { contentHash } from '../../supabase/functions/_shared/connectors/content-hash.ts'
import {
  type Connector,
  findStream,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import {
  fixedGrant,
  memoryTokenCache,
  type TokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import {
  STREAMS,
  type SyncedRecord,
} from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { AppError } from '../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { actionConformance, type ActionFixture } from './action-conformance.ts'
import {
  faults,
  type OtherAnswers,
  quotingRefusal,
  REFUSALS,
  scriptedPlatform,
} from './scripted-platform.ts'
import { webhookConformance, type WebhookFixtures } from './webhook-conformance.ts'

export type StreamFixture = {
  /** Raw records as the platform documents them, by page: two pages or more where there is paging. */
  pages: unknown[][]
  /** The answer that carries these records. */
  body(records: unknown[], place: { page: number; last: boolean; total: number }): unknown
  /** What the records become, in order. */
  synced: SyncedRecord[]
  /** Path of a field without which a record is refused. */
  required: string
  /** A value that a record is refused for, and where. */
  wrongType: { path: string; value: unknown }
}

export type ConnectorFixture = {
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
  /** Answers besides the lists, by `METHOD /path`: tokens and checks. */
  other?: OtherAnswers
  /** What the platform said of the account when it was proved. */
  account?: Record<string, string>
  /** A token the owner's sign-in has left, for OAuth. */
  token?: { access_token: string }
  streams: Record<string, StreamFixture>
  actions?: Record<string, ActionFixture>
  webhooks?: WebhookFixtures
}

/** Runs the suite; `mode` tells the runs of one connector apart. */
export function conformance(connector: Connector, fixture: ConnectorFixture, mode = ''): void {
  describe(`${connector.slug}${mode && ` (${mode})`} conforms`, () => {
    it('brings a fixture for each of its streams and actions, and for its webhooks', () => {
      const read = Object.values(connector.streams).filter(({ direction }) => direction !== 'push')
      expect(Object.keys(fixture.streams)).toEqual(read.map(({ name }) => name))
      expect(Object.keys(fixture.actions ?? {})).toEqual(Object.keys(connector.actions))
      expect(fixture.webhooks !== undefined).toBe(connector.webhooks !== null)
    })
    for (const [name, action] of Object.entries(fixture.actions ?? {})) {
      actionConformance(connector, fixture, name, action)
    }
    const { webhooks } = connector
    if (webhooks && fixture.webhooks) {
      const { webhooks: fixtures } = fixture
      describe('its webhooks', () => webhookConformance(connector, webhooks, fixtures, fixture))
    }
    for (const [name, stream] of Object.entries(fixture.streams)) {
      describe(name, () => streamConformance(connector, fixture, name, stream))
    }
  })
}

function streamConformance(
  connector: Connector,
  fixture: ConnectorFixture,
  name: string,
  streamFixture: StreamFixture,
): void {
  const stream = findStream(connector, name)
  const context = {
    settings: connector.readAccount(fixture).settings,
    account: fixture.account ?? {},
  }
  const auth = connector.auth(context.settings)
  const first = { since: null, cursor: null }
  const parse = (raw: unknown) => parseRecord(connector, name, raw, context)

  async function setUp(http: { timeoutMs?: number; maxAttempts?: number } = {}) {
    const platform = await scriptedPlatform(stream, streamFixture, fixture.other)
    const clock = fakeClock('2026-11-20T09:00:00Z')
    const tokens: TokenCache = memoryTokenCache()
    const { token } = fixture
    const open = (haste = http): Account =>
      openAccount({
        ...fixture,
        connector,
        clock,
        tokens,
        grant: token && fixedGrant(token.access_token),
        overrides: { [connector.slug]: { baseUrl: platform.url } },
        http: createHttpClient({
          clock,
          allowPrivateNetworks: true,
          random: () => 0.5,
          log: createLog({}, () => {}),
          ...haste,
        }),
      })
    return { platform, clock, open, account: open() }
  }

  /** The same call fails while the platform misbehaves and works right after. */
  async function expectRefusal(
    code: string,
    fault: Parameters<Awaited<ReturnType<typeof setUp>>['platform']['fail']>[0],
    http?: { timeoutMs?: number; maxAttempts?: number },
  ) {
    const { platform, account, open } = await setUp(http)
    platform.fail(fault)
    const error = await account.fetchPage(name, first).then(() => null, (error: unknown) => error)
    platform.serve(streamFixture.pages)
    const page = await open({}).fetchPage(name, first) // a busy machine may take its time

    expect(error).toBeInstanceOf(AppError)
    expect((error as AppError).code).toBe(code)
    for (const secret of Object.values(fixture.credentials)) {
      expect((error as AppError).detail).not.toContain(secret)
    }
    expect(page.records).toEqual(streamFixture.pages[0])
    return error as AppError
  }

  describe('reading', () => {
    it('yields every record of every page, mapped as documented', async () => {
      const { account } = await setUp()

      const records = await readAll(account, name)

      const parsed = records.map(parse)
      expect(parsed.map((result) => result.ok ? result.record : result)).toEqual(
        streamFixture.synced,
      )
    })

    it('yields columns that keep the contract of the stream', () => {
      for (const { columns, deleted } of streamFixture.synced) {
        if (deleted) continue
        expect(STREAMS[stream.name].strict().parse(columns)).toEqual(columns)
      }
    })

    it('stops at an empty list', async () => {
      const { platform, account } = await setUp()
      platform.serve([[]])

      const page = await account.fetchPage(name, first)

      expect(page).toMatchObject({ records: [], next: null })
    })

    it('says when the page was asked for', async () => {
      const { account } = await setUp()

      const page = await account.fetchPage(name, first)

      expect(page.fetched_at).toBe('2026-11-20T09:00:00.000Z')
    })

    it('goes on from a saved place in another process', async () => {
      const { platform, account, open } = await setUp()
      const { next } = await account.fetchPage(name, first)
      if (next === null) return expect(streamFixture.pages).toHaveLength(1)
      platform.continueAt(1)

      const saved = JSON.parse(JSON.stringify(next)) as PageCursor
      const page = await open().fetchPage(name, { since: null, cursor: saved })

      expect(page.records).toEqual(streamFixture.pages[1])
    })

    it('asks for what changed in the words of the platform, or always for everything', async () => {
      const { platform, account } = await setUp()
      await account.fetchPage(name, first)
      const whole = platform.requests.at(-1)
      platform.serve(streamFixture.pages)

      const page = await account.fetchPage(name, { since: '2026-11-01T00:00:00Z', cursor: null })

      const asked = platform.requests.at(-1)!
      if (stream.read) return // asked in the connector's own words, which its own test shows
      expect(page.records).toEqual(streamFixture.pages[0])
      if (!stream.incremental) return expect(asked).toBe(whole)
      const { overlapSeconds, format, path, param } = stream.incremental
      const from = new Date(Date.parse('2026-11-01T00:00:00Z') - overlapSeconds * 1000)
      const time = format ? format(from) : from.toISOString()
      const url = new URL(asked.split(' ')[1]!, platform.url)
      if (param !== undefined) expect(url.searchParams.get(param)).toBe(time)
      else expect(decodeURIComponent(url.pathname)).toContain(path.replace('{since}', time))
      expect(asked).not.toBe(whole)
    })

    if (!stream.read && stream.lookup) {
      it('finds records by id and leaves out those that are gone', async () => {
        const { account } = await setUp()
        const ids = streamFixture.pages.flat().map((record) => stream.id(record)!)

        const found = await account.lookup(name, [...ids, 'no-such-record'])

        expect(found.map((record) => stream.id(record))).toEqual(ids)
      })

      it('asks for many ids in as many calls as the platform wants', async () => {
        const { platform, account } = await setUp()
        const many = Array.from({ length: stream.lookup!.max + 1 }, (_, index) => `gone-${index}`)

        await account.lookup(name, many)

        expect(platform.requests.filter((request) => request.includes('gone-'))).toHaveLength(2)
      })
    }
  })

  describe('a platform that misbehaves', () => {
    it('gives the same page again: the scan ends instead of going round', async () => {
      const { platform, account } = await setUp()
      platform.ignorePaging()

      const reading = readAll(account, name)

      if (streamFixture.pages.length === 1) expect(await reading).toEqual(streamFixture.pages[0])
      else await expect(reading).rejects.toMatchObject({ code: 'provider_repeated_page' })
    })

    if (stream.path && ['cursor', 'link'].includes(stream.pagination.type)) {
      it.each([400, 404, 410, 422])(
        'forgot our place (%i): begin that scan again',
        async (status) => {
          const { platform, account } = await setUp()
          const { next } = await account.fetchPage(name, first)
          platform.fail(faults.status(status), 1)

          const lost = account.fetchPage(name, { since: null, cursor: next })
          await expect(lost).rejects.toMatchObject({ code: 'provider_cursor_expired' })
          platform.serve(streamFixture.pages)

          expect(await readAll(account, name)).toEqual(streamFixture.pages.flat())
        },
      )
    }

    it('refuses the credentials (401): the owner learns which account it is', async () => {
      const error = await expectRefusal('provider_unauthorized', faults.status(401))
      const account = connector.accountId(
        connector.readAccount({ ...fixture, account: fixture.account }),
      )
      expect(error.detail).toContain(account)
    })

    if (auth.type === 'token_exchange') {
      it('ends a token early (401 once): a new one is fetched and the page arrives', async () => {
        const { platform, account } = await setUp()
        platform.fail(faults.status(401), 1)

        const page = await account.fetchPage(name, first)

        expect(page.records).toEqual(streamFixture.pages[0])
      })
    }

    it('forbids (403)', () => expectRefusal('provider_forbidden', faults.status(403)))

    it.each(REFUSALS)(
      'refuses (%i) in words that quote a person: the error leaves the address out',
      async (status) => {
        const person = 'ada@people.example'
        const said = quotingRefusal(person)
        // where a list is good news, only an object can say in a 200 that it failed
        for (const body of status === 200 ? [said] : [said, [{ ...said, errorCode: 'NO' }]]) {
          const { platform, account } = await setUp({ maxAttempts: 1 })
          platform.fail(faults.refusal(status, body))

          const error = await account.fetchPage(name, first).then(
            () => null,
            (error: unknown) => error,
          )

          expect(error).toBeInstanceOf(AppError)
          expect((error as AppError).detail).not.toContain(person)
          platform.serve(streamFixture.pages)
          expect((await account.fetchPage(name, first)).records).toEqual(streamFixture.pages[0])
        }
      },
    )

    it('throttles (429 with Retry-After): waits as long as it asks, then succeeds', async () => {
      const { platform, account, clock } = await setUp()
      platform.fail(faults.status(429, { 'retry-after': '7' }), 1)

      const page = await account.fetchPage(name, first)

      expect(clock.slept).toEqual([7_000])
      expect(page.records).toEqual(streamFixture.pages[0])
    })

    it('throttles (429 without Retry-After): waits a little, then succeeds', async () => {
      const { platform, account, clock } = await setUp()
      platform.fail(faults.status(429), 1)

      const page = await account.fetchPage(name, first)

      expect(clock.slept).toHaveLength(1)
      expect(page.records).toEqual(streamFixture.pages[0])
    })

    it('throttles for ever', () => expectRefusal('provider_rate_limited', faults.status(429)))

    it('fails once (500): the page arrives all the same', async () => {
      const { platform, account } = await setUp()
      platform.fail(faults.status(500), 1)

      const page = await account.fetchPage(name, first)

      expect(page.records).toEqual(streamFixture.pages[0])
    })

    it('fails (500)', () => expectRefusal('provider_unavailable', faults.status(500)))

    it('does not answer', () =>
      expectRefusal('provider_timeout', faults.noAnswer, { timeoutMs: 250, maxAttempts: 1 }))

    it('drops the connection in the middle of a page', () =>
      expectRefusal('provider_unavailable', faults.cutBody, { maxAttempts: 1 }))

    it('answers with a web page', () => expectRefusal('provider_bad_answer', faults.html))

    it('answers with JSON that has no list', () =>
      expectRefusal(
        'provider_bad_answer',
        (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
      ))
  })

  describe('a check', () => {
    it('passes while the platform is well', async () => {
      const { account } = await setUp()

      await expect(account.check()).resolves.toBeTypeOf('object')
    })

    it('fails when the platform refuses the credentials', async () => {
      const { platform, account } = await setUp()
      platform.failEverything(faults.status(401))

      await expect(account.check()).rejects.toMatchObject({ code: 'provider_unauthorized' })
    })
  })

  describe('a record', () => {
    const [raw] = streamFixture.pages.flat()
    const [synced] = streamFixture.synced
    const id = stream.id(raw)

    it('may have fields we never heard of: the columns are the same, the content is not', () => {
      const extended = { ...(raw as object), invented_tomorrow: { deep: [1] } }

      const result = parse(extended)

      expect(result).toEqual({ ok: true, record: synced })
      expect(contentHash(synced!.columns, extended)).not.toBe(contentHash(synced!.columns, raw))
    })

    it('has the same hash whatever the order of its keys', () => {
      const turned = Object.fromEntries(Object.entries(raw as object).reverse())

      expect(contentHash(synced!.columns, turned)).toBe(contentHash(synced!.columns, raw))
    })

    it('is refused by its id when a required field is missing, and the others are kept', async () => {
      const { platform, account } = await setUp()
      const broken = without(raw, streamFixture.required)
      platform.serve([
        [broken, ...streamFixture.pages[0]!.slice(1)],
        ...streamFixture.pages.slice(1),
      ])

      const results = (await readAll(account, name)).map(parse)

      expect(results[0]).toMatchObject({
        ok: false,
        source_id: id,
        code: 'invalid_record',
        issues: [{ path: streamFixture.required }],
      })
      expect(results.slice(1).map((result) => result.ok && result.record)).toEqual(
        streamFixture.synced.slice(1),
      )
    })

    it('is refused by its id when a field has the wrong type', () => {
      const { path, value } = streamFixture.wrongType

      const result = parse(withValue(raw, path, value))

      expect(result).toMatchObject({ ok: false, source_id: id, issues: [{ path }] })
      expect(parse(raw).ok).toBe(true)
    })

    it.each([null, 'text', 7, [], {}])('is refused without harm when it is %j', (nonsense) => {
      expect(parse(nonsense)).toMatchObject({ ok: false, source_id: null, code: 'invalid_record' })
    })
  })
}

/** Reads as the engine does; a list that never ends fails instead of hanging. */
export async function readAll(
  account: Account,
  stream: string,
  since: string | null = null,
): Promise<unknown[]> {
  const records: unknown[] = []
  let cursor: PageCursor | null = null
  for (let count = 0; count < 1000; count++) {
    const page: Page = await account.fetchPage(stream, { since, cursor })
    records.push(...page.records)
    if (page.next === null) return records
    cursor = page.next
  }
  throw new Error('the list does not end')
}

function without(record: unknown, path: string): unknown {
  return withValue(record, path, undefined)
}

/** A copy with another value at a dotted path. */
export function withValue(record: unknown, path: string, value: unknown): unknown {
  const [key, ...rest] = path.split('.')
  const object = record as Record<string, unknown>
  return {
    ...object,
    [key!]: rest.length === 0 ? value : withValue(object[key!], rest.join('.'), value),
  }
}
