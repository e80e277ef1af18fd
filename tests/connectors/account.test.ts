import { describe, expect, it } from 'vitest'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import type {
  Connector,
  Stream,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { ListStream } from '../../supabase/functions/_shared/connectors/vocabulary/stream-definition.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type { Pagination } from '../../supabase/functions/_shared/connectors/vocabulary/paging.ts'
import type { HttpClient } from '../../supabase/functions/_shared/http/client.ts'
import type { HttpRequest } from '../../supabase/functions/_shared/http/request.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { readAll } from './conformance.ts'
import { sampleConnector } from './sample-connectors.ts'

type Answer = { body: unknown; headers?: Record<string, string>; text?: string }

/** Answers each request by its URL; credentials are put on as the real client would. */
function scriptedHttp(answer: (url: URL) => Answer) {
  const requests: { url: URL; headers: Headers }[] = []
  const http: HttpClient = {
    async send(request: HttpRequest) {
      const url = new URL(request.url)
      const headers = new Headers(request.headers)
      await request.authorize?.({ method: request.method ?? 'GET', url: url.href, headers })
      requests.push({ url, headers })
      const { body, headers: answered = {}, text = JSON.stringify(body) } = answer(url)
      return {
        status: 200,
        headers: new Headers(answered),
        url: url.href,
        bytes: new TextEncoder().encode(text),
        text,
        json: (): unknown => JSON.parse(text),
      }
    },
  }
  return { http, requests }
}

function open(connector: Connector, answer: (url: URL) => Answer, baseUrl?: string) {
  const { http, requests } = scriptedHttp(answer)
  const account = openAccount({
    connector,
    settings: { shop: 'north' },
    credentials: { key: 'a-secret-of-acme' },
    http,
    clock: fakeClock('2026-11-20T09:00:00Z'),
    overrides: { [connector.slug]: { baseUrl } },
    tokens: memoryTokenCache(),
  })
  return { account, requests }
}

const first = { since: null, cursor: null }
const products = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `p${from + index}`, title: 'Stool' }))

describe('pages counted by number', () => {
  const pagination: Pagination = { type: 'page', param: 'page', sizeParam: 'limit', size: 50 }
  const connector = sampleConnector(pagination, 'header', 'total')

  /** A list of `total`, given out `served` at a time whatever was asked; `hidden` never shows. */
  function platform(total: number, served: number, hidden: (id: number) => boolean = () => false) {
    return (url: URL) => {
      const start = (Number(url.searchParams.get('page')) - 1) * served
      const count = Math.max(0, Math.min(served, total - start))
      const shown = products(start, count).filter(({ id }) => !hidden(Number(id.slice(1))))
      return { body: { products: shown, total } }
    }
  }

  it.each([[0, 50], [1, 50], [50, 50], [100, 50], [120, 50]])(
    'reads all of %i',
    async (total, served) => {
      const { account } = open(connector, platform(total, served))

      expect(await readAll(account, 'products')).toHaveLength(total)
    },
  )

  it.each([[100, 25], [60, 25], [75, 25], [101, 10]])(
    'reads all of %i from a platform that quietly gives %i a page',
    async (total, served) => {
      const { account } = open(connector, platform(total, served))

      expect(await readAll(account, 'products')).toHaveLength(total)
    },
  )

  it('ends where a platform filters after paging, so that its total is never reached', async () => {
    const { account } = open(connector, platform(120, 50, (id) => id % 10 === 0))

    expect(await readAll(account, 'products')).toHaveLength(108)
  })

  it('does not take an empty page before the total for the end', async () => {
    const { account } = open(connector, () => ({ body: { products: [], total: 120 } }))

    await expect(account.fetchPage('products', first)).rejects.toMatchObject({
      code: 'provider_bad_answer',
      detail: 'the list ended after 0 of 120 records',
    })
  })

  it('without a total ends at the first short page', async () => {
    const { account, requests } = open(sampleConnector(pagination), platform(120, 50))

    expect(await readAll(account, 'products')).toHaveLength(120)
    expect(requests.map(({ url }) => url.searchParams.get('page'))).toEqual(['1', '2', '3'])
  })

  it('lets the caller ask for less a page, never for more', async () => {
    const { account, requests } = open(connector, platform(10, 50))

    await account.fetchPage('products', { ...first, size: 7 })
    await account.fetchPage('products', { ...first, size: 5000 })

    expect(requests.map(({ url }) => url.searchParams.get('limit'))).toEqual(['7', '50'])
  })

  it('lets the caller ask for the same page twice', async () => {
    const { account } = open(connector, platform(120, 50))
    const { next } = await account.fetchPage('products', first)

    await account.fetchPage('products', { since: null, cursor: next })

    await expect(account.fetchPage('products', { since: null, cursor: next })).resolves
      .toBeDefined()
  })
})

describe('pages found by a link', () => {
  const header: Pagination = { type: 'link', next: 'header' }
  const linking = (link: string) => (url: URL) =>
    url.searchParams.has('p')
      ? { body: { products: products(2, 1) } }
      : { body: { products: products(0, 2) }, headers: { link } }

  it.each([
    '<https://north.acme.example/v1/products?p=2>; rel="next"',
    '<https://x.example/>; rel="prev", </v1/products?p=2>; title="a, b"; rel="last next"',
    '<?p=2>;rel=next',
  ])('follows %s', async (link) => {
    const { account } = open(sampleConnector(header), linking(link))

    expect(await readAll(account, 'products')).toHaveLength(3)
  })

  it.each(['', '<https://north.acme.example/v1/products?p=2>; rel="nextish"'])(
    'ends at %j',
    async (link) => {
      const { account } = open(sampleConnector(header), linking(link))

      expect(await readAll(account, 'products')).toHaveLength(2)
    },
  )

  it.each(['https://evil.example/v1/products?p=2', 'http://north.acme.example/v1/products?p=2'])(
    'does not carry credentials to %s',
    async (link) => {
      const { account, requests } = open(sampleConnector(header), linking(`<${link}>; rel="next"`))
      const { next } = await account.fetchPage('products', first)

      const following = account.fetchPage('products', { since: null, cursor: next })

      await expect(following).rejects.toMatchObject({ code: 'provider_redirect_refused' })
      expect(requests).toHaveLength(1)
    },
  )
})

describe('pages found by a cursor', () => {
  it('do not go round when the platform hands out the place we came from', async () => {
    const connector = sampleConnector({ type: 'cursor', param: 'after', next: 'next' })
    let count = 0
    const { account } = open(
      connector,
      () => ({ body: { products: products(count++, 1), next: 'same' } }),
    )

    await expect(readAll(account, 'products')).rejects.toMatchObject({
      code: 'provider_repeated_page',
    })
  })

  it('are refused when the cursor is nothing to send back', async () => {
    const connector = sampleConnector({ type: 'cursor', param: 'after', next: 'next' })
    const { account } = open(connector, () => ({ body: { products: [], next: { a: 1 } } }))

    await expect(account.fetchPage('products', first)).rejects.toMatchObject({
      code: 'provider_bad_answer',
    })
  })
})

describe('a request', () => {
  const none: Pagination = { type: 'none' }
  const empty = () => ({ body: { products: [] } })

  it('goes to the account’s own address with the key in its header', async () => {
    const { account, requests } = open(sampleConnector(none), empty)

    await account.fetchPage('products', first)

    expect(requests[0]!.url.href).toBe('https://north.acme.example/v1/products')
    expect(requests[0]!.headers.get('authorization')).toBe('Bearer a-secret-of-acme')
  })

  it('goes elsewhere by CONNECTOR_OVERRIDES, path and all', async () => {
    const { account, requests } = open(sampleConnector(none), empty, 'http://127.0.0.1:9/acme/')

    await account.fetchPage('products', first)

    expect(requests[0]!.url.href).toBe('http://127.0.0.1:9/acme/v1/products')
  })

  it('carries a key in its query, or as user and password', async () => {
    const query = open(sampleConnector(none, 'query'), empty)
    const basic = open(sampleConnector(none, 'basic'), empty)

    await query.account.fetchPage('products', first)
    await basic.account.fetchPage('products', first)

    expect(query.requests[0]!.url.search).toBe('?api_key=a-secret-of-acme')
    expect(basic.requests[0]!.headers.get('authorization')).toBe(
      `Basic ${btoa('plugboard:a-secret-of-acme')}`,
    )
  })

  it('asks for what changed since shortly before the saved time', async () => {
    const { account, requests } = open(sampleConnector(none), empty)

    await account.fetchPage('products', { since: '2026-11-20T08:00:01Z', cursor: null })

    expect(requests[0]!.url.searchParams.get('updated_since')).toBe('2026-11-20T08:00:00.000Z')
  })

  it('cannot be turned to another host by a setting', () => {
    const connector = sampleConnector(none)

    expect(connector.baseUrl({ settings: { shop: 'evil.example/' }, credentials: {}, account: {} }))
      .toBe(
        'https://evil.example%2F.acme.example/v1',
      )
  })

  it('is not sent for an unknown stream', async () => {
    const { account, requests } = open(sampleConnector(none), empty)

    await expect(account.fetchPage('toString', first)).rejects.toMatchObject({
      code: 'stream_not_found',
    })
    expect(requests).toEqual([])
  })

  it('is not sent before the owner signed in, for OAuth', async () => {
    const { http } = scriptedHttp(empty)
    const account = openAccount({
      connector: sampleConnector(none, 'oauth2'),
      settings: { shop: 'north' },
      credentials: {},
      http,
      clock: fakeClock('2026-11-20T09:00:00Z'),
      tokens: memoryTokenCache(),
    })

    await expect(account.check()).rejects.toMatchObject({
      code: 'sign_in_required',
      next: 'owner',
    })
  })
})

describe('an answer', () => {
  it('loses the characters that Postgres cannot store, and keeps the rest', async () => {
    const text =
      '{"products":[{"id":"a\\u0000b","title":"half \\ud83d pair \\ud83d\\ude00 \\\\u0000"}]}'
    const { account } = open(sampleConnector({ type: 'none' }), () => ({ body: null, text }))

    const { records } = await account.fetchPage('products', first)

    expect(records).toEqual([{ id: 'ab', title: 'half \ufffd pair 😀 \\u0000' }])
  })
})

describe('a check of two calls', () => {
  const declared = sampleConnector({ type: 'none' })
  const connector: Connector = {
    ...declared,
    check: () => ({
      path: 'https://login.acme.example/me',
      accountName: () => 'North',
      account: () => ({ region: 'eu' }),
      then: { path: 'https://{region}.acme.example/shop', account: () => ({ plan: 'pro' }) },
    }),
  }

  it('makes the second with what the first told, and keeps what both told', async () => {
    const { account, requests } = open(connector, () => ({ body: {} }))

    const proved = await account.check()

    expect(requests.map(({ url }) => url.href)).toEqual([
      'https://login.acme.example/me',
      'https://eu.acme.example/shop',
    ])
    expect(proved).toEqual({ account_name: 'North', account: { region: 'eu', plan: 'pro' } })
  })
})

describe('a page in the words of its connector', () => {
  const declared = sampleConnector({ type: 'none' })
  const reading = (next: (place: unknown) => { at: number } | null): Connector => ({
    ...declared,
    streams: {
      products: {
        ...declared.streams.products!,
        read: ({ place }) => Promise.resolve({ records: [{ id: 'p1' }], next: next(place) }),
      } as Stream,
    },
  })

  it('may show what another of its lists has shown, and the same list may not', async () => {
    const lists = (steps: string[]) => {
      const places = steps.map((step, at) => ({ step, at }))
      return open(
        reading((place) => places[place === null ? 0 : (place as { at: number }).at + 1] ?? null),
        () => ({ body: {} }),
      ).account
    }

    await expect(readAll(lists(['changed', 'archived']), 'products')).resolves.toHaveLength(3)
    await expect(readAll(lists(['archived', 'archived']), 'products')).rejects.toMatchObject({
      code: 'provider_repeated_page',
    })
  })

  it('that leads to itself ends the scan', async () => {
    const { account } = open(reading(() => ({ at: 1 })), () => ({ body: {} }))

    await expect(readAll(account, 'products')).rejects.toMatchObject({
      code: 'provider_repeated_page',
    })
  })
})

describe('a look-up', () => {
  const declared = sampleConnector({ type: 'page', param: 'page', sizeParam: 'limit', size: 2 })
  const stream = {
    ...(declared.streams.products as ListStream),
    lookup: { param: 'ids', max: 2 },
  }
  const connector: Connector = { ...declared, streams: { products: stream } }

  it('proves nothing when the platform ignores the ids and shows its first page', async () => {
    const { account } = open(connector, () => ({ body: { products: products(0, 2) } }))

    await expect(account.lookup('products', ['p7'])).rejects.toMatchObject({
      code: 'provider_bad_answer',
    })
    await expect(account.lookup('products', ['p0', 'p1'])).resolves.toHaveLength(2)
  })

  it('sends nothing for no ids', async () => {
    const { account, requests } = open(connector, () => ({ body: { products: [] } }))

    expect(await account.lookup('products', [])).toEqual([])
    expect(requests).toEqual([])
  })
})

describe('absence from a complete scan', () => {
  it.each<[Pagination, boolean]>([
    [{ type: 'none' }, true],
    [{ type: 'cursor', param: 'after', next: 'next' }, true],
    [{ type: 'link', next: 'header' }, true],
    [{ type: 'page', param: 'page', size: 2 }, false],
    [{ type: 'offset', param: 'offset', size: 2 }, false],
  ])('with %j is proof: %s', (pagination, proof) => {
    expect(sampleConnector(pagination).streams.products!.confirmsAbsence).toBe(proof)
  })
})
