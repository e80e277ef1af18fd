import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type LeaflySimulatorOptions,
  startLeaflySimulator,
} from '../../scripts/simulators/leafly.ts'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { leafly } from '../../supabase/functions/_shared/connectors/leafly.ts'
import { readInput, runAction } from '../../supabase/functions/_shared/connectors/run-action.ts'
import { memoryTokenCache } from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { conformance, type ConnectorFixture } from './conformance.ts'
import { leaflyWebhooks } from './webhooks/leafly.ts'

const variant = {
  id: 'treez:6c0f:3.5g',
  medical: false,
  price: '40.00',
  amount: 3.5,
  unit: 'g',
  inventoryLevel: 12,
}
const flower = {
  id: 'treez:6c0f',
  type: 'Flower',
  name: 'Lemon Drift',
  strain: 'Lemon Drift',
  brand: 'Acme',
  description: 'Citrus.',
  total_thc: { content: 24.1, unit: 'percent' },
  total_cbd: { content: null, unit: 'percent' },
  availableForPickup: true,
  imageUrl: 'https://img.example.com/101.png',
  variants: [variant],
}
const sent = { ...flower, variants: [{ ...variant, price: 4000 }] }
const gummy = (id: string) => ({
  id,
  type: 'Edible',
  name: 'Gummy',
  variants: [{ ...variant, id: `${id}:1`, price: '0.01', unit: 'each', amount: 1 }],
})

const at = (key: string) => `/v2/menu_integration/${key}`
const fixture: ConnectorFixture = {
  settings: { menu_integration_key: 'key-1' },
  credentials: { client_id: 'client', client_secret: 'secret-of-client' },
  webhooks: leaflyWebhooks,
  other: {
    'POST /token': { access_token: 'token-1', token_type: 'Bearer', expires_in: 3600 },
    [`GET ${at('key-1')}/status`]: {
      totalItemCount: 3,
      integratedItemCount: 1,
      manualItemCount: 2,
    },
  },
  streams: {},
  actions: {
    push_menu: {
      input: { items: [flower] },
      wrongInput: { input: { items: [] }, path: 'items' },
      requests: [{ request: `POST ${at('key-1')}/menu/items`, body: { items: [sent] } }],
      answers: [{ body: {} }],
      output: { accepted: 1 },
    },
    push_menu_items: {
      input: { items: [flower] },
      wrongInput: { input: { items: [{ ...flower, image_url: 'x' }] }, path: 'items.0.image_url' },
      requests: [{ request: `PUT ${at('key-1')}/menu/items`, body: { items: [sent] } }],
      answers: [{}],
      output: { accepted: 1 },
    },
    delete_menu_items: {
      input: { ids: Array.from({ length: 501 }, (_, index) => `gone-${index}`) },
      wrongInput: { input: { ids: [] }, path: 'ids' },
      requests: [
        {
          request: `DELETE ${at('key-1')}/menu/items`,
          body: { ids: Array.from({ length: 500 }, (_, index) => `gone-${index}`) },
        },
        { request: `DELETE ${at('key-1')}/menu/items`, body: { ids: ['gone-500'] } },
      ],
      answers: [{ body: {} }, { body: {} }],
      output: { accepted: 501 },
    },
  },
}
conformance(leafly, fixture)

async function setUp(options: LeaflySimulatorOptions = {}) {
  const clock = fakeClock('2026-11-20T09:00:00Z')
  const store = await startLeaflySimulator({ now: clock.now, ...options })
  onTestFinished(store.stop)
  const tokens = memoryTokenCache()
  const open = (settings: object = {}, credentials: object = {}) =>
    openAccount({
      connector: leafly,
      settings: { ...store.settings, ...settings },
      credentials: { ...store.credentials, ...credentials },
      clock,
      tokens,
      overrides: { leafly: { baseUrl: store.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        log: createLog({}, () => {}),
        random: () => 0.5,
      }),
    })
  const act = (name: string, input: unknown) => {
    const action = findAction(leafly, name)
    return runAction(action, readInput(action, input), {
      account: open(),
      settings: { ...store.settings },
      facts: {},
      idempotency_key: 'a',
      now: clock.now(),
    })
  }
  const pushes = () => store.requests.filter(({ path }) => path.endsWith('/menu/items'))
  return { clock, store, open, act, pushes }
}

const menuOf = (count: number) => Array.from({ length: count }, (_, index) => gummy(`g-${index}`))

describe('the whole menu', () => {
  it('is taken at once and shows when Leafly has worked it in', async () => {
    const { clock, store, act } = await setUp()

    const outcome = await act('push_menu', { items: [flower] })

    expect(outcome).toEqual({ status: 'success', output: { accepted: 1 } })
    expect(store.menu()).toEqual([])
    clock.advance(300_000)
    expect(store.menu()).toMatchObject([{
      id: 'treez:6c0f',
      filed_as: 'Flower',
      published: true,
      variants: [{ price: 4000, inventoryLevel: 10 }],
    }])
  })

  it('replaces everything that was sent before and is not in it', async () => {
    const { store, act } = await setUp()
    await act('push_menu', { items: menuOf(3) })
    store.control.process()

    await act('push_menu', { items: [gummy('g-1'), gummy('new')] })
    store.control.process()

    expect(store.menu().map(({ id }) => id)).toEqual(['g-1', 'new'])
  })

  it('is not sent when more than half would go, unless that is meant', async () => {
    const { store, act, pushes } = await setUp()
    await act('push_menu', { items: menuOf(10) })
    store.control.process()
    const sentBefore = pushes().length

    const refused = act('push_menu', { items: menuOf(4) })

    await expect(refused).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringContaining('has 10 items and would be left with 4'),
      errors: [{ path: 'input.allow_smaller' }],
    })
    expect(pushes()).toHaveLength(sentBefore)
    expect(await act('push_menu', { items: menuOf(5) })).toMatchObject({ status: 'success' })
    expect(await act('push_menu', { items: menuOf(4), allow_smaller: true })).toMatchObject({
      status: 'success',
    })
  })

  it('is never empty, meant or not', () => {
    const read = (items: unknown[]) =>
      readInput(findAction(leafly, 'push_menu'), { items, allow_smaller: true })

    expect(() => read([])).toThrow(expect.objectContaining({ code: 'invalid_input' }))
    expect(() => read([flower])).not.toThrow()
  })

  it('is not sent while Leafly does not say what is there', async () => {
    const { store, act, pushes } = await setUp()
    store.control.setFault({ kind: 'status', status: 200, body: '{}', path: '/status' })

    await expect(act('push_menu', { items: [flower] })).rejects.toMatchObject({
      code: 'provider_bad_answer',
    })
    expect(pushes()).toEqual([])
  })
})

describe('a part of the menu', () => {
  it('is added or replaced, and the rest stays', async () => {
    const { store, act } = await setUp()
    await act('push_menu', { items: menuOf(3) })

    await act('push_menu_items', { items: [{ ...gummy('g-1'), name: 'Sour gummy' }, flower] })
    store.control.process()

    expect(store.menu().map(({ id, name }) => [id, name])).toEqual([
      ['g-0', 'Gummy'],
      ['g-1', 'Sour gummy'],
      ['g-2', 'Gummy'],
      ['treez:6c0f', 'Lemon Drift'],
    ])
  })

  it('is deleted by id', async () => {
    const { store, act } = await setUp()
    await act('push_menu', { items: menuOf(3) })

    await act('delete_menu_items', { ids: ['g-0', 'g-2', 'never-there'] })
    store.control.process()

    expect(store.menu().map(({ id }) => id)).toEqual(['g-1'])
  })
})

describe('an item', () => {
  const read = (item: object) => readInput(findAction(leafly, 'push_menu_items'), { items: [item] })

  it.each([
    ['40', 4000],
    ['40.1', 4010],
    ['40.1000', 4010],
    ['0.01', 1],
    ['19.99', 1999],
  ])('of %s costs %i cents', (price, cents) => {
    expect(read({ ...flower, variants: [{ ...variant, price }] })).toMatchObject({
      items: [{ variants: [{ price: cents }] }],
    })
  })

  it.each([['price', '0'], ['price', '0.001'], ['price', '40.005'], ['price', '-1'], [
    'price',
    40,
  ]])(
    'is refused with %s %j',
    (name, value) => {
      expect(() => read({ ...flower, variants: [{ ...variant, [name]: value }] })).toThrow(
        expect.objectContaining({
          errors: [expect.objectContaining({ path: `input.items.0.variants.0.${name}` })],
        }),
      )
    },
  )

  it.each([
    ['Flower', ['g', 'oz'], ['percent']],
    ['PreRoll', ['each'], ['percent']],
    ['Concentrate', ['g', 'each'], ['percent']],
    ['Cartridge', ['g', 'each'], ['percent']],
    ['Edible', ['each'], ['mg']],
    ['Topical', ['each'], ['percent', 'mg']],
    ['Accessory', ['each'], ['percent', 'mg']],
  ])('of the type %s is sold by %j and measured in %j', (type, units, compounds) => {
    const taken = (unit: string, measure: string) => {
      const item = {
        ...gummy('x'),
        type,
        variants: [{ ...variant, unit }],
        compounds: [{ type: 'thca', content: 1, unit: measure }],
      }
      try {
        read(item)
        return true
      } catch {
        return false
      }
    }

    expect(['g', 'oz', 'each'].filter((unit) => taken(unit, compounds[0]!)).sort())
      .toEqual([...units].sort())
    expect(['percent', 'mg'].filter((measure) => taken(units[0]!, measure))).toEqual(compounds)
  })

  it.each([
    ['of a type that Leafly would misfile', { type: 'Vape' }, 'type'],
    ['with "NA" for a strain', { strain: 'N/A' }, 'strain'],
    ['with HTML', { description: '<b>Citrus</b>' }, 'description'],
    ['without variants', { variants: [] }, 'variants'],
    ['measured in the wrong unit', { total_thc: { content: 1, unit: 'mg' } }, 'total_thc.unit'],
  ])('is refused %s', (_, change, path) => {
    expect(() => read({ ...flower, ...change })).toThrow(expect.objectContaining({
      errors: [expect.objectContaining({ path: `input.items.0.${path}` })],
    }))
    expect(() => read(flower)).not.toThrow()
  })

  it('is there once, and so are its variants', () => {
    const action = findAction(leafly, 'push_menu_items')
    const other = { ...flower, id: 'other' }

    expect(() => readInput(action, { items: [flower, flower] })).toThrow()
    expect(() => readInput(action, { items: [flower, other] })).toThrow(expect.objectContaining({
      errors: [expect.objectContaining({ path: 'input.items.1.variants.0.id' })],
    }))
    expect(() =>
      readInput(action, { items: [flower, { ...other, variants: [{ ...variant, id: 'v' }] }] })
    ).not.toThrow()
  })

  it('that Leafly refuses all the same comes back with its reason', async () => {
    const { store, act } = await setUp()
    store.control.setFault({
      kind: 'status',
      status: 400,
      path: 'menu/items',
      body: '{"message":"items.0.name: too long"}',
    })

    expect(await act('push_menu_items', { items: [flower] })).toMatchObject({
      status: 'failed',
      error: { code: 'provider_rejected', detail: expect.stringContaining('name: too long') },
    })
  })
})

describe('access', () => {
  it('is proved by the status, with one token for many calls', async () => {
    const { store, open } = await setUp()
    const account = open()

    await account.check()
    await account.check()

    expect(store.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /token',
      'GET /v2/menu_integration/menu-key-demo/status',
      'GET /v2/menu_integration/menu-key-demo/status',
    ])
  })

  it('goes on when a token ends early', async () => {
    const { store, open } = await setUp()
    const account = open()
    await account.check()
    store.control.expireTokens()

    await expect(account.check()).resolves.toEqual({ account: {} })
  })

  it.each([
    ['the secret', {}, { client_secret: 'wrong-secret' }, 'provider_unauthorized'],
    ['the key', { menu_integration_key: 'wrong' }, {}, 'provider_forbidden'],
  ])('is refused where %s is wrong', async (_, settings, credentials, code) => {
    const { open } = await setUp()

    await expect(open(settings, credentials).check()).rejects.toMatchObject({ code })
    await expect(open().check()).resolves.toEqual({ account: {} })
  })

  it.each([
    ['production', 'https://api.leafly.com', 'https://sso.leafly.com/token'],
    ['sandbox', 'https://api-sandbox.leafly.io', 'https://sso-sandbox.leafly.io/token'],
  ])('in %s has hosts of its own', (environment, host, token) => {
    const account = leafly.readAccount({
      settings: { menu_integration_key: 'key-1', environment },
      credentials: fixture.credentials,
    })
    const auth = leafly.auth(account.settings)

    expect(leafly.baseUrl(account)).toBe(`${host}/v2/menu_integration/key-1`)
    expect(auth.type === 'client_credentials' && auth.request.path).toBe(token)
  })
})

describe('the simulated menu', () => {
  async function wire(environment: 'production' | 'sandbox' = 'production') {
    const { store, open, clock } = await setUp({ environment })
    const answer = await fetch(`${store.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', ...store.credentials }),
    })
    const { access_token } = await answer.json() as { access_token: string }
    const send = async (method: string, path: string, body?: unknown) => {
      const response = await fetch(`${store.url}/v2/menu_integration/menu-key-demo/${path}`, {
        method,
        headers: { authorization: `Bearer ${access_token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() as Record<string, unknown> }
    }
    return { store, open, clock, send }
  }

  it('misfiles a type it does not know, refuses cents that are none and names of v1', async () => {
    const { store, send } = await wire()

    const unknown = await send('POST', 'menu/items', { items: [{ ...sent, type: 'Vape' }] })
    store.control.process()

    expect(unknown.status).toBe(200)
    expect(store.menu()).toMatchObject([{ type: 'Vape', filed_as: 'Other' }])
    for (const wrong of [{ ...flower }, { ...sent, image_url: 'x' }, { ...sent, variants: [] }]) {
      expect((await send('POST', 'menu/items', { items: [wrong] })).status).toBe(400)
    }
  })

  it('would be wiped by an empty push', async () => {
    const { store, send } = await wire()
    await send('POST', 'menu/items', { items: [sent] })
    store.control.process()
    expect(store.menu()).toHaveLength(1)

    await send('POST', 'menu/items', { items: [] })
    store.control.process()

    expect(store.menu()).toEqual([])
  })

  it('tells by two times whether the last push changed anything', async () => {
    const { clock, send } = await wire()
    const push = async () => {
      await send('PUT', 'menu/items', { items: [sent] })
      clock.advance(301_000)
      return (await send('GET', 'status')).body
    }

    const first = await push()
    const second = await push()

    expect(first.lastSyncedAt).toBe(first.lastModifiedAt)
    expect(second.lastModifiedAt).toBe(first.lastModifiedAt)
    expect(second.lastSyncedAt).not.toBe(second.lastModifiedAt)
    expect(second).toMatchObject({ totalItemCount: 3, integratedItemCount: 1, manualItemCount: 2 })
  })

  it('can be read back in the sandbox only', async () => {
    expect((await (await wire('sandbox')).send('GET', 'menu')).status).toBe(200)
    expect((await (await wire()).send('GET', 'menu')).status).toBe(405)
  })
})
