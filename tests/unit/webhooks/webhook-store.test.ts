// Which webhooks go to Postgres together, and what becomes of the others when one is refused?
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Database,
  DatabaseError,
} from '../../../supabase/functions/_shared/platform/database.ts'
import {
  keepTogether,
  type WebhookToKeep,
} from '../../../supabase/functions/_shared/webhooks/webhook-store.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

type Call = { keys: string[]; answer(): void; fail(error: unknown): void }

/** A store whose calls of Postgres a test answers; an integration named `gone` is one that takes nothing. */
function setUp(connections = 3) {
  const calls: Call[] = []
  const db: Database = {
    async call<T>(name: string, args: Record<string, unknown>) {
      const given = name === 'receive_webhook'
        ? [{
          number: 0,
          dedupe_key: args['p_dedupe_key'],
          integration_id: args['p_integration_id'],
        }]
        : args['p_webhooks'] as { number: number; dedupe_key: string; integration_id: string }[]
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      calls.push({
        keys: given.map((one) => String(one.dedupe_key)),
        answer: resolve,
        fail: reject,
      })
      await promise
      const accepted = given.filter((one) => one.integration_id !== 'gone').map((one) => one.number)
      return (name === 'receive_webhook' ? { accepted: accepted.length > 0 } : accepted) as T
    },
    end: () => Promise.resolve(),
  }
  const keep = keepTogether(db, connections)
  return { keep, calls, keys: () => calls.map((call) => call.keys) }
}

const webhook = (dedupe_key: string, parts: Partial<WebhookToKeep> = {}): WebhookToKeep => ({
  connector: 'json-feed',
  type: 'note.added',
  dedupe_key,
  headers: {},
  proof: { scheme: 'stripe', verified_at: '2026-11-20T09:00:00.000Z' },
  body: new Uint8Array(10),
  integration_id: 'known',
  receiver_version: null,
  accounts: [],
  ...parts,
})

describe('webhooks that come at the same time', () => {
  it('wait for the first, and then go together, each with its own answer', async () => {
    const { keep, calls, keys } = setUp()
    const first = keep(webhook('1'))
    const others = [
      keep(webhook('2')),
      keep(webhook('3', { integration_id: 'gone' })),
      keep(webhook('4')),
    ]
    expect(keys()).toEqual([['1']])
    calls[0]!.answer()
    expect(await first).toBe(true)
    await vi.waitFor(() => expect(keys()).toEqual([['1'], ['2', '3', '4']]))
    calls[1]!.answer()

    expect(await Promise.all(others)).toEqual([true, false, true])
  })

  it('do not wait for one that takes long, while a connection is free', async () => {
    const { keep, calls, keys } = setUp(2)
    void keep(webhook('1'))
    const second = keep(webhook('2'))
    await vi.advanceTimersByTimeAsync(9)
    const before = keys()
    await vi.advanceTimersByTimeAsync(1)
    void keep(webhook('3'))
    await vi.advanceTimersByTimeAsync(1_000)
    const atMost = keys()
    calls[1]!.answer()
    expect(await second).toBe(true)
    await vi.advanceTimersByTimeAsync(0)

    expect([before, atMost, keys()]).toEqual([
      [['1']],
      [['1'], ['2']],
      [['1'], ['2'], ['3']],
    ])
  })

  it('are no more than a call should carry', async () => {
    const { keep, calls, keys } = setUp()
    void keep(webhook('1'))
    const body = new Uint8Array(300_000)
    for (const key of ['2', '3']) void keep(webhook(key, { body }))
    for (let number = 0; number < 60; number++) void keep(webhook(`small ${number}`))
    calls[0]!.answer()
    await vi.advanceTimersByTimeAsync(0)
    calls[1]!.answer()
    await vi.advanceTimersByTimeAsync(0)

    expect(keys().map((keys) => keys.length)).toEqual([1, 1, 50])
  })

  it('are not held back by one that is refused', async () => {
    const { keep, calls, keys } = setUp()
    void keep(webhook('1'))
    const [good, bad] = [keep(webhook('good')), keep(webhook('bad'))]
    const refused = expect(bad).rejects.toThrow('no such text')
    calls[0]!.answer()
    await vi.advanceTimersByTimeAsync(0)
    calls[1]!.fail(new DatabaseError('22P05', 'no such text'))
    await vi.advanceTimersByTimeAsync(0)
    expect(keys().slice(2)).toEqual([['good'], ['bad']])
    calls[2]!.answer()
    calls[3]!.fail(new DatabaseError('22P05', 'no such text'))

    expect(await good).toBe(true)
    await refused
  })

  it('are not tried one by one where Postgres is away', async () => {
    const { keep, calls, keys } = setUp()
    void keep(webhook('1'))
    const both = [keep(webhook('2')), keep(webhook('3'))]
    const failed = both.map((one) => expect(one).rejects.toThrow('away'))
    calls[0]!.answer()
    await vi.advanceTimersByTimeAsync(0)
    calls[1]!.fail(new DatabaseError('', 'away'))
    await Promise.all(failed)

    expect(keys()).toEqual([['1'], ['2', '3']])
    const next = keep(webhook('4'))
    calls[2]!.answer()
    expect(await next).toBe(true)
  })
})

it('a webhook of our app goes alone: its accounts say whose it is', async () => {
  const { keep, calls, keys } = setUp()
  void keep(webhook('1'))
  const ours = keep(webhook('2', { integration_id: null, accounts: ['a'] }))
  expect(keys()).toEqual([['1'], ['2']])
  calls[1]!.answer()

  expect(await ours).toBe(true)
})
