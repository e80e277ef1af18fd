import { generateKeyPairSync, sign as signText } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startTreezSimulator, type TreezSimulatorOptions } from '../../scripts/simulators/treez.ts'
import { rateLimit } from '../../scripts/simulators/parts/rate-limit.ts'
import { treez } from '../../supabase/functions/_shared/connectors/treez.ts'

type Envelope = {
  resultCode: string
  resultReason: string | null
  data: { page_count: number; total_count: number; product_list: Record<string, unknown>[] } | null
}

async function setUp(options: TreezSimulatorOptions = {}) {
  const store = await startTreezSimulator({ products: 200, requestsPerSecond: 0, ...options })
  onTestFinished(store.stop)
  const base = `${store.url}/v2.0/dispensary/demo`
  const { client_id, api_key } = store.credentials.v2
  const exchange = async (form: Record<string, string> = { client_id, apikey: api_key }) => {
    const response = await fetch(`${base}/config/api/gettokens`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    return await response.json() as Record<string, string>
  }
  const headers = { authorization: (await exchange()).access_token!, client_id }
  const get = async (path: string, more: Record<string, string> = {}) => {
    const response = await fetch(`${base}${path}`, { headers: { ...headers, ...more } })
    return { status: response.status, body: await response.json() as Envelope }
  }
  const list = (query: string) => get(`/product/product_list?${query}`)
  const control = async (verb: string, body?: unknown) => {
    const response = await fetch(`${store.url}/_control/${verb}`, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      body: await response.json() as { ids?: string[] } & Record<string, unknown>[],
    }
  }
  return { store, exchange, get, list, control }
}

const names = (products: Record<string, unknown>[]) =>
  products.map((product) =>
    (product['product_configurable_fields'] as { name?: string } | null)?.name
  )

describe('the simulated Treez catalog', () => {
  it('is the same for the same seed and another for another', async () => {
    const now = () => new Date('2026-11-20T09:00:00Z')
    const [one, two, other] = await Promise.all(
      [7, 7, 8].map((seed) => setUp({ seed, products: 60, now })),
    )

    expect(one!.store.catalog()).toEqual(two!.store.catalog())
    expect(one!.store.catalog()).not.toEqual(other!.store.catalog())
  })

  it('is as varied as a real one: every category, tiers, merged and broken products', async () => {
    const { store } = await setUp({ products: 2400 })
    const catalog = store.catalog() as {
      category_type: string
      pricing: { price_type: string }
      merged_from_product_ids: string[]
    }[]

    const share = (what: unknown[]) => what.length / catalog.length
    expect(new Set(catalog.map((product) => product.category_type)).size).toBe(13)
    expect(share(catalog.filter((product) => product.pricing.price_type === 'TIER')))
      .toBeGreaterThan(0.01)
    expect(share(catalog.filter((product) => product.merged_from_product_ids.length > 0)))
      .toBeCloseTo(0.01, 1)
    expect(share(store.catalog('broken'))).toBeCloseTo(0.005, 2)
    expect(new Set(store.ids()).size).toBe(2400)
  })
})

describe('the simulated product list', () => {
  it('is sorted by name, in pages of 50 at most', async () => {
    const { list } = await setUp({ brokenShare: 0 })

    const one = await list('page=1&pagesize=50&active=ALL')
    const last = await list('page=4&pagesize=50&active=ALL')
    const beyond = await list('page=5&pagesize=50&active=ALL')

    expect(one.body.data).toMatchObject({ page_count: 50, total_count: 200 })
    expect(names(one.body.data!.product_list)).toEqual(names(one.body.data!.product_list).sort())
    expect(last.body.data!.product_list).toHaveLength(50)
    expect(beyond.body.data!.product_list).toEqual([])
  })

  it.each([
    ['page=1&pagesize=51', 200, 'RESPONSE_LIMIT_EXCEEDS'],
    ['pagesize=50', 400, 'INCORRECT_VALUE'],
    ['page=0', 400, 'INCORRECT_VALUE'],
    ['page=1&active=MAYBE', 400, 'INVALID_ACTIVE_PARAMETER'],
    ['page=1&category_type=SHOES', 400, 'INCORRECT_VALUE'],
    [
      `page=1&ID=${Array.from({ length: 51 }, (_, id) => id).join(',')}`,
      200,
      'RESPONSE_LIMIT_EXCEEDS',
    ],
  ])('refuses %s', async (query, status, reason) => {
    const { list } = await setUp()

    const answer = await list(query)

    expect(answer).toMatchObject({
      status,
      body: { resultCode: 'FAIL', resultReason: reason, data: null },
    })
    expect((await list('page=1&pagesize=50')).body.resultCode).toBe('SUCCESS')
  })

  it('shows active products unless asked for others', async () => {
    const { list } = await setUp()
    const total = async (query: string) => (await list(`page=1&${query}`)).body.data!.total_count

    const [fallback, active, inactive, all] = await Promise.all(
      ['', 'active=TRUE', 'active=FALSE', 'active=ALL'].map(total),
    )

    expect(fallback).toBe(active)
    expect(active! + inactive!).toBe(all)
    expect(inactive).toBeGreaterThan(0)
  })

  it('refuses a time it cannot read and understands one with an offset', async () => {
    const { get } = await setUp()
    const after = (time: string) =>
      get(`/product/product_list/lastUpdated/after/${encodeURIComponent(time)}?page=1&active=ALL`)

    expect(await after('2026-11-20T09:00:00Z')).toMatchObject({
      status: 400,
      body: { resultReason: 'INVALID_DATE_FORMAT' },
    })
    expect((await after('2001-01-01T00:00:00.000-08:00')).body.data!.total_count).toBe(200)
    expect((await after('2100-01-01T00:00:00.000-08:00')).body.data!.total_count).toBe(0)
  })
})

describe('the simulated authentication', () => {
  it('says no to a wrong key with status 200, and yes to the right one', async () => {
    const { store, exchange } = await setUp()

    const wrong = await exchange({ client_id: store.credentials.v2.client_id, apikey: 'wrong' })

    expect(wrong).toMatchObject({ resultCode: 'FAIL' })
    expect(await exchange()).toMatchObject({
      resultCode: 'SUCCESS',
      expires_in: '7200',
      expires_at: expect.stringMatching(/-0[78]00$/),
    })
  })

  it('refuses a token without its client id, and one that ended', async () => {
    const { store, get } = await setUp()
    const path = '/product/product_list?page=1&pagesize=1'

    expect((await get(path, { client_id: 'another' })).status).toBe(401)
    expect((await get(path)).status).toBe(200)
    store.control.expireTokens()

    expect((await get(path)).status).toBe(401)
  })

  it.each<[string, number, (token: SignedToken) => void]>([
    ['a good token', 200, () => {}],
    ['seconds instead of milliseconds', 400, (token) => {
      token.iat = Math.floor(token.iat / 1000)
      token.exp = token.iat + 30
    }],
    ['a life of an hour', 400, (token) => void (token.exp = token.iat + 3_600_000)],
    ['another address', 401, (token) => void (token.aud = 'https://api-prod.treez.io/other')],
    ['an unknown certificate', 401, (token) => void (token.iss = 'another')],
    ['a token of yesterday', 401, (token) => {
      token.iat -= 86_400_000
      token.exp = token.iat + 30_000
    }],
  ])('answers %s over v3 with %i', async (_, status, change) => {
    const { store } = await setUp()
    const url = `${store.url}/dispensary/v3/demo/product/product_list?page=1`

    const response = await fetch(url, {
      headers: { authorization: sign(store.credentials.v3, url, change) },
    })

    expect(response.status).toBe(status)
  })

  it('refuses a token signed with another key', async () => {
    const { store } = await setUp()
    const url = `${store.url}/dispensary/v3/demo/product/product_list?page=1`
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    })
    const credentials = { ...store.credentials.v3, private_key: other.toString() }

    const response = await fetch(url, { headers: { authorization: sign(credentials, url) } })

    expect(response.status).toBe(401)
  })
})

describe('the simulated rate limit', () => {
  it('lets a second’s worth through at once, then answers 429 until time passes', () => {
    let now = 0
    const limit = rateLimit(10, () => now)
    const taken = (count: number) =>
      Array.from({ length: count }, () => limit.take('client')).filter(Boolean).length

    expect(taken(15)).toBe(10)
    now += 500
    expect(taken(15)).toBe(5)
    expect(limit.take('another client')).toBe(true)
  })

  it('answers 429 over HTTP and can be switched off', async () => {
    const { store, list } = await setUp({ requestsPerSecond: 2 })
    const statuses = async () =>
      (await Promise.all(Array.from({ length: 6 }, () => list('page=1')))).map((a) => a.status)

    expect(await statuses()).toContain(429)
    store.control.rateLimit(0)

    expect(await statuses()).toEqual([200, 200, 200, 200, 200, 200])
  })
})

describe('the control API', () => {
  it('does over HTTP what the methods do', async () => {
    const { store, control } = await setUp({ brokenShare: 0 })

    const changed = await control('change', { count: 3, fields: { pricing: { price_sell: 1.25 } } })
    const removed = await control('remove', { ids: [changed.body.ids![0]] })
    const added = await control('add', { count: 2 })
    const broken = await control('break', { count: 2 })
    await control('merge', { loser: changed.body.ids![1], survivor: changed.body.ids![2] })

    expect([changed, removed, added, broken].map(({ body }) => body.ids?.length)).toEqual([
      3,
      1,
      2,
      2,
    ])
    expect(store.ids()).toHaveLength(200)
    expect(store.ids('broken').sort()).toEqual(broken.body.ids!.sort())
    expect((await control('catalog')).body).toEqual(store.catalog())
    await control('repair', {})
    expect(store.ids('broken')).toEqual([])
  })

  it.each([
    ['change', { count: 'many' }],
    ['fault', { kind: 'earthquake' }],
    ['remove', { ids: ['no-such-product'] }],
    ['rate-limit', {}],
  ])('refuses a %s it cannot read', async (verb, body) => {
    const { control } = await setUp()

    expect((await control(verb, body)).status).toBe(400)
    expect((await control('clear', {})).status).toBe(200)
  })

  it('does not know every verb', async () => {
    const { control } = await setUp()

    expect((await control('explode', {})).status).toBe(404)
  })

  it('keeps the time of last change when stock is sold, and moves it when details change', async () => {
    const { store } = await setUp({ brokenShare: 0 })
    const product = (id: string) =>
      store.catalog().find((candidate) => candidate['product_id'] === id)!
    const id = store.ids().find((candidate) => Number(product(candidate)['sellable_quantity']) > 5)!
    const before = product(id)

    store.control.sell([id], 3)
    const sold = product(id)
    store.control.change([id])

    expect(sold['sellable_quantity']).toBe(Number(before['sellable_quantity']) - 3)
    expect(sold['last_updated_at']).toBe(before['last_updated_at'])
    expect(product(id)['last_updated_at']).not.toBe(before['last_updated_at'])
  })

  it('plays a fault after so many requests, so many times', async () => {
    const { store, list } = await setUp()
    store.control.setFault({ kind: 'status', status: 503, after: 1, times: 2 })

    const statuses: number[] = []
    for (let count = 0; count < 5; count++) {
      const response = await list('page=1').catch(() => ({ status: 0 }))
      statuses.push(response.status)
    }

    expect(statuses).toEqual([200, 503, 503, 200, 200])
    expect(store.requests.map(({ fault }) => fault).filter(Boolean)).toEqual(['status', 'status'])
  })

  it.each(['cut_body', 'reset'] as const)('breaks the connection for %s', async (kind) => {
    const { store, list } = await setUp()
    store.control.setFault({ kind })

    await expect(list('page=1')).rejects.toThrow()
    expect((await list('page=1')).status).toBe(200)
  })
})

type SignedToken = { aud: string; iss: string; oid: string; iat: number; exp: number; jti: string }

/** A v3 token as the connector makes it, with one thing changed before it is signed. */
function sign(
  credentials: { certificate_id: string; organization_id: string; private_key: string },
  url: string,
  change: (token: SignedToken) => void = () => {},
): string {
  const account = treez.readAccount({
    settings: { dispensary: 'demo', api_version: 'v3' },
    credentials,
  })
  const auth = treez.auth(account.settings)
  if (auth.type !== 'signed_request') throw new Error('v3 signs its requests')
  const { authorization } = auth.headers(account, { method: 'GET', url, now: new Date() })
  const claims = JSON.parse(
    Buffer.from(authorization!.split('.')[0]!, 'base64url').toString(),
  ) as SignedToken
  change(claims)
  const segment = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${segment}.${
    signText('RSA-SHA256', Buffer.from(segment), credentials.private_key).toString('base64url')
  }`
}
