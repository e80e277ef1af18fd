// Records that nobody expects: the sound ones around them are kept, and each odd one is stored or refused.
import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import {
  dataApiDatabase,
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  connectAccount,
  type FaultStack,
  lastLog,
  liveProducts,
  queueSync,
  startFaultStack,
} from '../support/fault-stack.ts'
import { PAGED, pagedConnector, registerPaged } from '../support/paged-platform.ts'

// The engine finds the tests' connector where it finds any.
const registry = vi.hoisted(() => new Map<string, Connector>())
vi.mock('../../supabase/functions/_shared/connectors/index.ts', () => ({
  connectors: [],
  findConnector: (slug: string) => registry.get(slug),
}))

let faulty: FaultStack
let direct: Database
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
  await registerPaged(faulty)
  registry.set(PAGED, pagedConnector({ paging: 'cursor', pageSize: 10 }))
  direct = directDatabase(faulty.stack.dbUrl)
  return () => direct.end()
})

/** JSON text of a sound record; what is given replaces or follows. */
function sound(id: string, fields = ''): string {
  return `{"id":"${id}","name":"Sound ${id}","updated_at":"2026-01-01T00:00:00Z"${
    fields && `,${fields}`
  }}`
}

type Store = { id: string; pages: string[][]; asked: URL[]; sync(): Promise<SyncLog> }

/** Connects a platform that answers with exactly these records, as JSON text, page by page. */
async function storeWith(
  pages: string[][],
  { db = direct, batchSize = 1000 }: { db?: Database; batchSize?: number } = {},
): Promise<Store> {
  const id = await connectAccount(faulty, { connector: PAGED, settings: {}, batchSize })
  const asked: URL[] = []
  const store: Store = {
    id,
    pages,
    asked,
    async sync() {
      const log = await queueSync(faulty, id)
      await doSlice(faulty.outside({ db, fetch: answer, clock: impatientClock }), log.id)
      return await lastLog(faulty, id)
    },
  }
  const answer: typeof globalThis.fetch = (input) => {
    const url = new URL(String(input))
    asked.push(url)
    const page = Number(url.searchParams.get('cursor') ?? 0)
    const next = page + 1 < store.pages.length ? `,"next":${page + 1}` : ''
    return Promise.resolve(
      new Response(`{"data":[${store.pages[page]?.join(',')}]${next}}`, {
        headers: { 'content-type': 'application/json' },
      }),
    )
  }
  return store
}

const errorsOf = (store: Store) =>
  faulty.admin<{ source_id: string | null; message: string }[]>`
    select source_id, message from public.sync_errors
    where integration_id = ${store.id} and resolved_at is null order by source_id nulls last`
const rowOf = async (store: Store, sourceId: string) => {
  const [row] = await faulty.admin`
    select * from public.products where integration_id = ${store.id} and source_id = ${sourceId}`
  return row
}

/** The odd record stands between sound ones, on the first of two pages. */
const between = (...odd: string[]) => [[sound('a'), ...odd, sound('b')], [sound('c')]]
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const longText = 'x'.repeat(1_000_000)
const longId = randomBytes(500_000).toString('hex') // does not compress into an index entry

describe('an odd record among sound ones', () => {
  it.each([
    ['a NUL character in a text', sound('odd', '"description":"a\\u0000b"')],
    ['a NUL character in an unused field', sound('odd', '"other":{"k\\u0000":["\\u0000"]}')],
    ['half a surrogate pair', sound('odd', '"description":"\\ud83d"')],
    ['halves in the wrong order', sound('odd', '"description":"\\udc00\\ud83d"')],
    ['an unused number beyond every double', sound('odd', '"weight":1e400')],
    ['an unused number of 400 digits', sound('odd', `"weight":${'9'.repeat(400)}`)],
    ['a text of a megabyte', sound('odd', `"description":"${longText}"`)],
    ['a key __proto__', sound('odd', '"__proto__":{"polluted":true},"constructor":1')],
    ['a date before 1970', sound('odd', '"updated_at":"1950-06-01T00:00:00Z"')],
    ['a date in the year 9999', sound('odd', '"updated_at":"9999-12-31T23:59:59Z"')],
    ['a field nested 400 levels deep', sound('odd', `"tree":${nested(400)}`)],
    ['no date', sound('odd', '"updated_at":null')],
    ['the same key twice', sound('odd', '"name":"Second"')],
  ])('%s: it is stored, and stays unchanged when read again', async (_name, odd) => {
    const store = await storeWith(between(odd))

    const first = await store.sync()
    const again = await store.sync()

    expect(await errorsOf(store)).toEqual([])
    expect([...(await liveProducts(faulty, store.id)).keys()]).toEqual(['a', 'b', 'c', 'odd'])
    expect(first).toMatchObject({ status: 'success', fetched_count: 4, created_count: 4 })
    expect(again).toMatchObject({ status: 'success', unchanged_count: 4, updated_count: 0 })
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it.each([
    ['a price beyond every double', sound('odd', '"price":1e400'), 'odd'],
    ['a price of 400 digits', sound('odd', `"price":"${'9'.repeat(400)}"`), 'odd'],
    [
      'a date whose UTC year has five digits',
      sound('odd', '"updated_at":"9999-12-31T23:59:59-01:00"'),
      'odd',
    ],
    ['a date in the year 0', sound('odd', '"updated_at":"0000-01-01T00:00:00Z"'), 'odd'],
    ['a date that is none', sound('odd', '"updated_at":"2026-02-31"'), 'odd'],
    ['a currency that only the table refuses', sound('odd', '"currency":"usd"'), 'odd'],
    ['an id of a megabyte', sound(longId), null],
    ['a sound record nested too deep', sound('odd', `"tree":${nested(100_000)}`), 'odd'],
    ['a broken one nested too deep', sound('odd', `"price":${nested(100_000)}`), 'odd'],
    ['an id that is NUL only', '{"id":"\\u0000","name":"x"}', null],
    ['an id that is no text', '{"id":{},"name":"x"}', null],
    ['null', 'null', null],
    ['a number', '42', null],
    ['a list', '[]', null],
    ['a text with NUL', '"a\\u0000"', null],
  ])('%s: it is refused and kept, the others are synced', async (_name, odd, sourceId) => {
    const store = await storeWith(between(odd))

    const log = await store.sync()

    expect(log).toMatchObject({ status: 'partial', fetched_count: 4, error_count: 1 })
    expect((await errorsOf(store)).map((error) => error.source_id)).toEqual([sourceId])
    expect([...(await liveProducts(faulty, store.id)).keys()]).toEqual(['a', 'b', 'c'])
  })

  it('the same over the Data API', async () => {
    const store = await storeWith(
      between(
        sound('nul', '"description":"a\\u0000b"'),
        sound('half', '"description":"\\ud83d"'),
        sound('price', '"price":1e400'),
        sound('proto', '"__proto__":{"polluted":true}'),
        sound(longId),
      ),
      { db: dataApiDatabase(faulty.service) },
    )

    const log = await store.sync()

    expect(log).toMatchObject({ status: 'partial', fetched_count: 8, error_count: 2 })
    expect([...(await liveProducts(faulty, store.id)).keys()]).toEqual([
      'a',
      'b',
      'c',
      'half',
      'nul',
      'proto',
    ])
    expect(await rowOf(store, 'nul')).toMatchObject({ description: 'ab' })
    expect(await rowOf(store, 'half')).toMatchObject({ description: '\ufffd' })
  })

  it('only odd records on a page: the page is passed', async () => {
    const store = await storeWith([['null', sound(longId)], [sound('a')]])

    const log = await store.sync()

    expect(log).toMatchObject({ status: 'partial', fetched_count: 3, error_count: 2 })
    expect([...(await liveProducts(faulty, store.id)).keys()]).toEqual(['a'])
  })
})

describe('the same id more than once', () => {
  it('on one page: the newest version is kept, whatever their order', async () => {
    const versions = ['2026-01-01', '2026-01-03', '2026-01-02'].map((day) =>
      sound('twice', `"name":"of ${day}","updated_at":"${day}T00:00:00Z"`)
    )
    const store = await storeWith([versions])

    const log = await store.sync()

    expect(log).toMatchObject({ status: 'success', fetched_count: 3, created_count: 1 })
    expect(await rowOf(store, 'twice')).toMatchObject({ name: 'of 2026-01-03' })
  })

  it.each([['together', 1000], ['each by itself', 1]])(
    'on two pages, written %s: the newest version is kept',
    async (_how, batchSize) => {
      const store = await storeWith(
        ['2026-01-03', '2026-01-01'].map((day) => [
          sound('twice', `"name":"of ${day}","updated_at":"${day}T00:00:00Z"`),
          sound(day),
        ]),
        { batchSize },
      )

      const log = await store.sync()

      expect(log).toMatchObject({ status: 'success', fetched_count: 4, created_count: 3 })
      expect(await rowOf(store, 'twice')).toMatchObject({ name: 'of 2026-01-03' })
    },
  )

  it('once sound and once broken: it is stored, and no error stays open', async () => {
    const store = await storeWith([[sound('twice', '"price":1e400'), sound('twice')]])

    const log = await store.sync()

    expect(log.fetched_count).toBe(2)
    expect(await rowOf(store, 'twice')).toMatchObject({ name: 'Sound twice', deleted_at: null })
    expect(await errorsOf(store)).toEqual([])
  })
})

describe('the cursor', () => {
  const since = async (store: Store) => {
    const [row] = await faulty.admin`
      select cursor ->> 'since' as since from public.sync_streams where integration_id = ${store.id}`
    return row?.since as string | null
  }

  it.each(['9999-12-31T23:59:59Z', '9999-12-31T23:59:59-01:00', '0000-01-01T00:00:00Z'])(
    'never jumps into the future, nor breaks, for a record dated %s',
    async (date) => {
      const store = await storeWith([[sound('odd', `"updated_at":"${date}"`)]])

      const log = await store.sync()

      expect(log.status).not.toBe('failed')
      const cursor = await since(store)
      if (cursor) expect(Date.parse(cursor)).toBeLessThanOrEqual(Date.parse(log.started_at ?? ''))
    },
  )

  it('is the newest date where all are in the past', async () => {
    const store = await storeWith([
      [sound('a', '"updated_at":"2026-03-01T00:00:00Z"')],
      [sound('b', '"updated_at":"1950-01-01T00:00:00Z"')],
    ])

    await store.sync()

    expect(Date.parse((await since(store)) ?? '')).toBe(Date.UTC(2026, 2, 1))
  })
})
