// Do all callers of one account together keep its rate, its pauses and its circuit?
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { x } from '../../supabase/functions/_shared/connectors/x.ts'
import { databaseBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { refusal, useDatabase } from '../support/database.ts'

const database = useDatabase()
const { admin, call } = database

type Turn = { wait_ms: number; circuit: 'closed' | 'open' | 'half_open'; retry_after_ms?: number }

const acquire = (key: string, perSecond = 1000, burst = 1) =>
  call<Turn>('service_role', 'acquire_request', {
    p_key: key,
    p_requests_per_second: perSecond,
    p_burst: burst,
  })
const acquireWith = (key: string, more: Record<string, unknown>) =>
  call<Turn>('service_role', 'acquire_request', {
    p_key: key,
    p_requests_per_second: 1000,
    p_burst: 1,
    ...more,
  })
const report = (key: string, outcome: string, retryAfterMs: number | null = null) =>
  call('service_role', 'report_request', {
    p_key: key,
    p_outcome: outcome,
    p_retry_after_ms: retryAfterMs,
  })
const budgetOf = async (key: string) => {
  const [budget] = await admin`
    select *, extract(epoch from open_until - clock_timestamp())::float as open_for_seconds
    from private.request_budgets where key = ${key}`
  if (!budget) throw new Error(`no budget ${key}`)
  return budget
}
/** Moves a budget's past back by this much, as if the time had gone by. */
const letPass = (key: string, seconds: number) =>
  admin`
  update private.request_budgets set
    next_free_at = next_free_at - make_interval(secs => ${seconds}),
    blocked_until = blocked_until - make_interval(secs => ${seconds}),
    window_started_at = window_started_at - make_interval(secs => ${seconds}),
    open_until = open_until - make_interval(secs => ${seconds})
  where key = ${key}`
const failTimes = async (key: string, times: number) => {
  for (let time = 0; time < times; time++) {
    await acquire(key)
    await report(key, 'failure')
  }
}

describe('the rate', () => {
  it('is one for all: twenty callers at once get turns a gap apart', async () => {
    const key = randomUUID()
    const started = Date.now()

    const turns = await Promise.all(Array.from({ length: 20 }, () => acquire(key, 2)))

    const waits = turns.map((turn) => turn.wait_ms).toSorted((one, other) => one - other)
    const took = Date.now() - started
    expect(turns.every((turn) => turn.circuit === 'closed')).toBe(true)
    // the n-th turn is n half-seconds after the first caller's, less the time until its caller came
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(index * 500)
      expect(wait).toBeGreaterThanOrEqual(index * 500 - took)
    }
  })

  it('lets a burst go ahead of its time, and spaces what follows', async () => {
    const key = randomUUID()

    const waits = []
    for (let turn = 0; turn < 6; turn++) waits.push((await acquire(key, 0.1, 4)).wait_ms)

    expect(waits.slice(0, 4)).toEqual([0, 0, 0, 0])
    expect(waits[4]).toBeGreaterThan(9_000)
    expect(waits[4]).toBeLessThanOrEqual(10_000)
    expect(waits[5]).toBeGreaterThan(19_000)
  })

  it('fills the burst again with time', async () => {
    const key = randomUUID()
    for (let turn = 0; turn < 4; turn++) await acquire(key, 0.1, 4)

    await letPass(key, 20)

    const waits = []
    for (let turn = 0; turn < 3; turn++) waits.push((await acquire(key, 0.1, 4)).wait_ms)
    expect(waits.slice(0, 2)).toEqual([0, 0])
    expect(waits[2]).toBeGreaterThan(0)
  })

  it("is an account's own: another account does not wait for it", async () => {
    const [busy, idle] = [randomUUID(), randomUUID()]
    for (let turn = 0; turn < 3; turn++) await acquire(busy, 0.1)

    expect((await acquire(busy, 0.1)).wait_ms).toBeGreaterThan(20_000)
    expect((await acquire(idle, 0.1)).wait_ms).toBe(0)
  })
})

describe('a turn that is too far away', () => {
  it('is told and not taken: whoever waits for less loses nothing by the question', async () => {
    const key = randomUUID()
    const slowly = (maxWaitMs: number) =>
      acquireWith(key, { p_requests_per_second: 0.1, p_max_wait_ms: maxWaitMs })
    await slowly(0)

    const refused = []
    for (let time = 0; time < 5; time++) refused.push((await slowly(5_000)).wait_ms)
    const taken = await slowly(20_000)
    const behind = await slowly(30_000)

    for (const wait of refused) expect(wait).toBeGreaterThan(9_000)
    expect(taken.wait_ms).toBeLessThanOrEqual(10_000)
    expect(behind.wait_ms).toBeGreaterThan(19_000)
  })

  it('is not the probe of an open circuit', async () => {
    const key = randomUUID()
    await failTimes(key, 5)
    await letPass(key, 31)
    await admin`
      update private.request_budgets set blocked_until = clock_timestamp() + interval '1 minute'
      where key = ${key}`

    const refused = await acquireWith(key, { p_max_wait_ms: 1_000 })
    const probe = await acquireWith(key, { p_max_wait_ms: 90_000 })

    expect([refused.circuit, probe.circuit]).toEqual(['closed', 'half_open'])
  })
})

describe('a further limit', () => {
  const further = (key: string) => ({ key: `${key}:search`, requests_per_second: 0.1, burst: 2 })

  it('holds the calls that name it, and no others', async () => {
    const key = randomUUID()

    const named = []
    for (let turn = 0; turn < 4; turn++) {
      named.push((await acquireWith(key, { p_limits: [further(key)] })).wait_ms)
    }
    const other = await acquireWith(key, {})

    expect(named.slice(0, 2).every((wait) => wait < 100)).toBe(true)
    expect(named[2]).toBeGreaterThan(9_000)
    expect(named[3]).toBeGreaterThan(19_000)
    expect(other.wait_ms).toBeLessThan(100)
  })

  it('whose turn is too far away takes none of the account either', async () => {
    const key = randomUUID()
    const slow = { p_requests_per_second: 0.5, p_burst: 3, p_max_wait_ms: 1_000 }
    for (let turn = 0; turn < 2; turn++) {
      await acquireWith(key, { ...slow, p_limits: [further(key)] })
    }

    for (let time = 0; time < 5; time++) {
      await acquireWith(key, { ...slow, p_limits: [further(key)] })
    }

    expect((await acquireWith(key, slow)).wait_ms).toBe(0) // the third of its burst
    expect((await acquireWith(key, slow)).wait_ms).toBeGreaterThan(1_000)
  })

  it('that the platform throttled pauses its own calls only', async () => {
    const key = randomUUID()
    await acquireWith(key, { p_limits: [further(key)] })
    await report(`${key}:search`, 'throttled', 30_000)

    expect((await acquireWith(key, { p_limits: [further(key)] })).wait_ms).toBeGreaterThan(29_000)
    expect((await acquireWith(key, {})).wait_ms).toBeLessThan(100)
  })
})

describe("the app's part of a limit, by X's numbers", () => {
  const MENTIONS_OF_A_USER = 300
  const MENTIONS_OF_THE_APP = 450

  /** Turns that each account can have in one quarter of an hour, where all ask for as many as they can get. */
  async function turnsInAWindow(accounts: number): Promise<number[]> {
    const app = `x:app:${randomUUID()}`
    const { rateLimit, limits } = x.paceOf({})
    const db = {
      call: <Result>(name: string, args?: Record<string, unknown>) =>
        call<Result>('service_role', name, args),
    }
    const ends = Date.now() + 900_000
    return await Promise.all(Array.from({ length: accounts }, async () => {
      const budget = databaseBudget(db, { account: `x:${randomUUID()}`, app }, rateLimit, limits)
      for (let taken = 0;; taken++) {
        const maxWaitMs = ends - Date.now()
        const { wait_ms } = await budget.acquire({ limit: 'mentions', maxWaitMs })
        if (wait_ms > maxWaitMs) return taken
      }
    }))
  }

  it('is shared by four accounts, and no account has more than its own', async () => {
    const turns = await turnsInAWindow(4)

    const total = turns.reduce((sum, each) => sum + each, 0)
    expect(total).toBeLessThanOrEqual(MENTIONS_OF_THE_APP)
    expect(total).toBeGreaterThan(MENTIONS_OF_THE_APP - 5)
    for (const each of turns) expect(each).toBeLessThanOrEqual(MENTIONS_OF_A_USER)
  })

  it('leaves one account alone its whole window', async () => {
    const [turns] = await turnsInAWindow(1)

    expect(turns).toBeLessThanOrEqual(MENTIONS_OF_A_USER)
    expect(turns).toBeGreaterThan(MENTIONS_OF_A_USER - 5)
  })

  it('whose turn is too far away takes none of the account’s part', async () => {
    const key = randomUUID()
    const own = { key: `${key}:own`, requests_per_second: 0.1, burst: 2 }
    const app = { key: `${key}:app`, requests_per_second: 0.1, burst: 1 }
    const soon = { p_max_wait_ms: 1_000 }
    await acquireWith(key, { ...soon, p_limits: [own, app] })

    const refused = await acquireWith(key, { ...soon, p_limits: [own, app] })

    expect(refused.wait_ms).toBeGreaterThan(9_000)
    expect((await acquireWith(key, { ...soon, p_limits: [own] })).wait_ms).toBeLessThan(100)
    expect((await acquireWith(key, { ...soon, p_limits: [own] })).wait_ms).toBeGreaterThan(9_000)
  })
})

describe('a platform that asks to wait', () => {
  it('is not called before that, and then at its rate, not by all who waited at once', async () => {
    const key = randomUUID()
    await acquire(key, 1)
    await report(key, 'throttled', 30_000)

    const waits = []
    for (let turn = 0; turn < 4; turn++) waits.push((await acquire(key, 1)).wait_ms)

    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeGreaterThan(29_000 + index * 1_000)
      expect(wait).toBeLessThanOrEqual(30_000 + index * 1_000)
    }
  })

  it('keeps the longest wait it asked for', async () => {
    const key = randomUUID()
    await acquire(key)
    await report(key, 'throttled', 30_000)
    await report(key, 'throttled', 1_000)

    expect((await acquire(key)).wait_ms).toBeGreaterThan(29_000)
  })

  it('without saying how long is left alone for a second', async () => {
    const key = randomUUID()
    await acquire(key)
    await report(key, 'throttled')

    const { wait_ms } = await acquire(key)

    expect(wait_ms).toBeGreaterThan(500)
    expect(wait_ms).toBeLessThanOrEqual(1_000)
  })

  it('has not failed: the circuit stays closed', async () => {
    const key = randomUUID()
    for (let time = 0; time < 10; time++) {
      await acquire(key)
      await report(key, 'throttled', 0)
    }

    expect((await acquire(key)).circuit).toBe('closed')
  })
})

describe('the circuit', () => {
  it('opens for 30 s at the fifth failure, and not at the fourth', async () => {
    const key = randomUUID()

    await failTimes(key, 4)
    const afterFour = await acquire(key)
    await report(key, 'failure')
    const afterFive = await acquire(key)

    expect(afterFour.circuit).toBe('closed')
    expect(afterFive).toMatchObject({ circuit: 'open', wait_ms: 0 })
    expect(afterFive.retry_after_ms).toBeGreaterThan(29_000)
    expect(afterFive.retry_after_ms).toBeLessThanOrEqual(30_000)
  })

  it('stays closed when failures are less than an eighth of the requests', async () => {
    const [few, many] = [randomUUID(), randomUUID()]
    for (const [key, requests] of [[few, 41], [many, 40]] as const) {
      await acquire(key)
      await admin`
        update private.request_budgets set window_request_count = ${requests} where key = ${key}`
      for (let time = 0; time < 5; time++) await report(key, 'failure')
    }

    expect((await acquire(few)).circuit).toBe('closed')
    expect((await acquire(many)).circuit).toBe('open')
  })

  it('forgets failures after two minutes', async () => {
    const key = randomUUID()
    await failTimes(key, 4)

    await letPass(key, 121)
    await failTimes(key, 4)

    expect((await acquire(key)).circuit).toBe('closed')
  })

  it('lets one probe through when the pause is over, and nobody beside it', async () => {
    const key = randomUUID()
    await failTimes(key, 5)
    await letPass(key, 31)

    const turns = await Promise.all(Array.from({ length: 5 }, () => acquire(key)))

    expect(turns.map((turn) => turn.circuit).toSorted()).toEqual([
      'half_open',
      'open',
      'open',
      'open',
      'open',
    ])
  })

  it('sends another probe when the first did not come back within a minute', async () => {
    const key = randomUUID()
    await failTimes(key, 5)
    await letPass(key, 31)
    await acquire(key)

    const tooEarly = await acquire(key)
    await letPass(key, 61)

    expect(tooEarly.circuit).toBe('open')
    expect((await acquire(key)).circuit).toBe('half_open')
  })

  it('closes when the probe succeeds, and counts failures from nothing', async () => {
    const key = randomUUID()
    await failTimes(key, 5)
    await letPass(key, 31)
    await acquire(key)

    await report(key, 'success')
    await failTimes(key, 4)

    expect((await acquire(key)).circuit).toBe('closed')
    expect(await budgetOf(key)).toMatchObject({ opened_count: 0 })
  })

  it('closes when the probe is told to wait: the platform is alive', async () => {
    const key = randomUUID()
    await failTimes(key, 5)
    await letPass(key, 31)
    await acquire(key)

    await report(key, 'throttled', 5_000)

    const turn = await acquire(key)
    expect(turn.circuit).toBe('closed')
    expect(turn.wait_ms).toBeGreaterThan(4_000)
  })

  it('doubles its pause with each failed probe, up to ten minutes', async () => {
    const key = randomUUID()
    await failTimes(key, 5)

    const pauses = []
    for (let probe = 0; probe < 7; probe++) {
      const { open_for_seconds } = await budgetOf(key)
      pauses.push(Math.round(open_for_seconds))
      await letPass(key, open_for_seconds + 1)
      await acquire(key)
      await report(key, 'failure')
    }

    expect(pauses).toEqual([30, 60, 120, 240, 480, 600, 600])
  })

  it('does not open further for calls that were under way when it opened', async () => {
    const key = randomUUID()
    for (let time = 0; time < 12; time++) await acquire(key)

    for (let time = 0; time < 12; time++) await report(key, 'failure')

    const { open_for_seconds, opened_count } = await budgetOf(key)
    expect(opened_count).toBe(1)
    expect(open_for_seconds).toBeLessThanOrEqual(30)
  })
})

describe('a report', () => {
  it('for an account nobody called changes nothing', async () => {
    await expect(report(randomUUID(), 'failure')).resolves.toBe('')
  })

  it('is success, failure or throttled, and nothing else', async () => {
    const key = randomUUID()
    await acquire(key)

    await expect(report(key, 'perhaps')).rejects.toMatchObject(refusal('invalid_request'))
    await expect(report(key, 'success')).resolves.toBe('')
  })
})
