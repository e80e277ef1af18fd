import { describe, expect, it, onTestFinished } from 'vitest'
import { startDutchieSimulator } from '../../../scripts/simulators/dutchie.ts'
import { windowLimit } from '../../../scripts/simulators/parts/window-limit.ts'
import { startShopifySimulator } from '../../../scripts/simulators/shopify.ts'
import { startStripeSimulator } from '../../../scripts/simulators/stripe.ts'

const simulators = [
  ['dutchie', startDutchieSimulator, 'products'],
  ['shopify', startShopifySimulator, 'products'],
  ['stripe', startStripeSimulator, 'customers'],
] as const

describe.each(simulators)('the simulated platform %s', (_, start, records) => {
  async function setUp() {
    const platform = await start()
    onTestFinished(platform.stop)
    const send = async (method: string, verb: string, body?: string) => {
      const answer = await fetch(`${platform.url}/_control/${verb}`, {
        method,
        ...(body === undefined ? {} : { body }),
      })
      return { status: answer.status, body: await answer.json() as Record<string, unknown> }
    }
    return { platform, send }
  }

  it('is bent over HTTP as it is in the process', async () => {
    const { platform, send } = await setUp()
    const before = (await send('GET', records)).body as unknown as object[]

    const added = await send('POST', `${records}/add`, '{"count":2}')
    const removed = await send('POST', `${records}/remove`, '{"count":1}')
    const changed = await send('POST', `${records}/change`, JSON.stringify(added.body))
    const after = (await send('GET', records)).body as unknown as object[]

    expect(added).toMatchObject({ status: 200, body: { ids: { length: 2 } } })
    expect(removed).toMatchObject({ status: 200, body: { ids: { length: 1 } } })
    expect(changed.body['ids']).toEqual(added.body['ids'])
    expect(after).toHaveLength(before.length + 1)
    expect(platform.requests).toEqual([]) // control is no call to the platform
  })

  it('plays a fault once, and forgets it when told to', async () => {
    const { platform, send } = await setUp()
    const status = async () => (await fetch(`${platform.url}/anything`)).status

    await send('POST', 'fault', '{"kind":"status","status":418}')
    const played = [await status(), await status()]
    await send('POST', 'fault', '{"kind":"status","status":418}')
    await send('POST', 'clear', '{}')

    expect(played[0]).toBe(418)
    expect(played[1]).not.toBe(418)
    expect(await status()).not.toBe(418)
    expect((await send('GET', 'requests')).body).toHaveLength(1)
  })

  it.each([
    ['POST', 'no-such-verb', '{}', 404],
    ['POST', 'fault', '{"kind":"earthquake"}', 400],
    ['POST', `${records}/change`, '{"ids":["nobody"]}', 400],
    ['POST', `${records}/add`, 'no json', 400],
    ['POST', 'toString', '{}', 404],
  ])('refuses %s %s %s with %i', async (method, verb, body, status) => {
    const { send } = await setUp()

    expect((await send(method, verb, body)).status).toBe(status)
    expect((await send('POST', 'clear', '{}')).status).toBe(200)
  })
})

describe('a limit by window', () => {
  it('lets no span of its length see more, and counts what it refused', () => {
    let now = 0
    const limit = windowLimit(2, 1000, () => now)
    const take = (at: number) => {
      now = at
      return limit.take('a')
    }

    expect([take(0), take(900), take(999), take(1000), take(1001)]).toEqual([0, 0, 1, 0, 899])
    expect(limit.take('b')).toBe(0)
    expect([limit.most('a'), limit.refused('a'), limit.refused('b')]).toEqual([2, 2, 0])
  })
})
