import { describe, expect, it } from 'vitest'
import { databaseBudget } from '../../../supabase/functions/_shared/http/budget.ts'

function recordingDatabase(answer: unknown) {
  const calls: [string, Record<string, unknown>][] = []
  return {
    calls,
    call<T>(fn: string, args: Record<string, unknown>): Promise<T> {
      calls.push([fn, args])
      return Promise.resolve(answer as T)
    },
  }
}

const keysOf = (slug: string, account: string) => ({
  account: `${slug}:${account}`,
  app: `${slug}:app`,
})

describe('the request budget in Postgres', () => {
  it("takes one request out of the account's budget", async () => {
    const db = recordingDatabase({ wait_ms: 120, circuit: 'closed' })

    const grant = await databaseBudget(db, keysOf('treez', 'shop'), {
      requestsPerSecond: 4,
      burst: 20,
    })
      .acquire()

    expect(grant).toEqual({ wait_ms: 120, circuit: 'closed' })
    expect(db.calls).toEqual([
      ['acquire_request', {
        p_key: 'treez:shop',
        p_requests_per_second: 4,
        p_burst: 20,
        p_cost: 1,
        p_limits: null,
        p_max_wait_ms: null,
      }],
    ])
  })

  it('takes it out of a further limit in the same call, if it can be had in time', async () => {
    const db = recordingDatabase({ wait_ms: 0, circuit: 'closed' })
    const budget = databaseBudget(db, keysOf('acme', 'shop'), { requestsPerSecond: 4, burst: 20 }, {
      search: { requestsPerSecond: 1, burst: 2 },
    })

    await budget.acquire({ limit: 'search', cost: 3, maxWaitMs: 60_000 })

    expect(db.calls.map(([, args]) => args)).toEqual([{
      p_key: 'acme:shop',
      p_requests_per_second: 4,
      p_burst: 20,
      p_cost: 3,
      p_limits: [{ key: 'acme:shop:search', requests_per_second: 1, burst: 2 }],
      p_max_wait_ms: 60_000,
    }])
    await expect(budget.acquire({ limit: 'no-such' })).rejects.toThrow('no limit "no-such"')
  })

  it('reports how a call went, with whole milliseconds or none', async () => {
    const db = recordingDatabase(null)
    const budget = databaseBudget(db, keysOf('treez', 'shop'), { requestsPerSecond: 4, burst: 20 })

    await budget.report('throttled', 7_000.4)
    await budget.report('failure')

    expect(db.calls).toEqual([
      ['report_request', { p_key: 'treez:shop', p_outcome: 'throttled', p_retry_after_ms: 7_001 }],
      ['report_request', { p_key: 'treez:shop', p_outcome: 'failure', p_retry_after_ms: null }],
    ])
  })

  it('counts what follows a colon in the name of a limit apart, each with all of the limit', async () => {
    const db = recordingDatabase({ wait_ms: 0, circuit: 'closed' })
    const limits = { post: { requestsPerSecond: 1, burst: 1 } }
    const budget = databaseBudget(
      db,
      keysOf('slack', 'T1'),
      { requestsPerSecond: 9, burst: 9 },
      limits,
    )

    await budget.acquire({ limit: 'post:C1' })
    await budget.report('throttled', 1_000, 'post:C2')

    expect(db.calls.map(([, args]) => [args['p_key'], args['p_limits']])).toEqual([
      ['slack:T1', [{ key: 'slack:T1:post:C1', requests_per_second: 1, burst: 1 }]],
      ['slack:T1:post:C2', undefined],
    ])
    await expect(budget.acquire({ limit: 'read:C1' })).rejects.toThrow('has no limit')
  })

  it("takes what all accounts of the app share after the account's own, whatever follows the colon", async () => {
    const db = recordingDatabase({ wait_ms: 0, circuit: 'closed' })
    const limits = {
      post: { requestsPerSecond: 1, burst: 1, app: { requestsPerSecond: 3, burst: 4 } },
    }

    for (const account of ['T1', 'T2']) {
      await databaseBudget(
        db,
        keysOf('acme', account),
        { requestsPerSecond: 9, burst: 9 },
        limits,
      ).acquire({ limit: `post:of-${account}` })
    }

    const app = { key: 'acme:app:post', requests_per_second: 3, burst: 4 }
    expect(db.calls.map(([, args]) => args['p_limits'])).toEqual([
      [{ key: 'acme:T1:post:of-T1', requests_per_second: 1, burst: 1 }, app],
      [{ key: 'acme:T2:post:of-T2', requests_per_second: 1, burst: 1 }, app],
    ])
  })
})
