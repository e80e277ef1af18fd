import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPlugboard, type SyncLog, type WatchOptions } from '../../../src/index.ts'
import { type Answer, fakeSupabase, json, silence } from './fake-supabase.ts'
import { syncLogId, syncLogRow } from './rows.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

const running = syncLogRow({ status: 'running' })

function watch(answers: Answer[], options?: WatchOptions) {
  const { supabase, requests } = fakeSupabase(...answers)
  const { syncs } = createPlugboard(supabase)
  return { requests, watching: syncs.watch(syncLogId, options) }
}

const answer = (...logs: SyncLog[]) => logs.map((log) => json([log]))

describe('watching a run', () => {
  it.each(['success', 'partial'] as const)('ends with the log of a %s', async (status) => {
    const finished = syncLogRow({ status, fetched_count: 12 })
    const { watching } = watch(answer(syncLogRow(), running, finished))

    await vi.runAllTimersAsync()

    expect(await watching).toEqual({ data: finished, error: null })
  })

  it('ends with the log of a failed run as data, because the watching worked', async () => {
    const error = { code: 'provider_timeout', message: 'Treez is slow.', next: 'retry' as const }
    const failed = syncLogRow({ status: 'failed', error })
    const { watching } = watch(answer(failed))

    expect(await watching).toEqual({ data: failed, error: null })
  })

  it('tells of the first state, of each change, and of the end, once each', async () => {
    const seen: [string, number][] = []
    const onProgress = (log: SyncLog) => seen.push([log.status, log.fetched_count])
    const { watching } = watch(
      answer(
        syncLogRow(),
        running,
        running,
        { ...running, fetched_count: 500 },
        syncLogRow({ status: 'success', fetched_count: 700 }),
      ),
      { onProgress },
    )

    await vi.runAllTimersAsync()
    await watching

    expect(seen).toEqual([['queued', 0], ['running', 0], ['running', 500], ['success', 700]])
  })

  it('asks less and less often, at least every 5 seconds', async () => {
    const pauses = vi.spyOn(globalThis, 'setTimeout')
    const { watching } = watch(
      answer(...Array<SyncLog>(8).fill(running), syncLogRow({ status: 'success' })),
    )

    await vi.runAllTimersAsync()
    await watching

    const waited = pauses.mock.calls.map(([, ms]) => Number(ms))
    expect(waited).toHaveLength(8)
    expect(waited).toEqual(waited.toSorted((a, b) => a - b))
    expect(waited[0]).toBeLessThanOrEqual(1_000)
    expect(waited.at(-1)).toBe(5_000)
  })

  it('asks sooner again once something has changed', async () => {
    const pauses = vi.spyOn(globalThis, 'setTimeout')
    const { watching } = watch(
      answer(
        ...Array<SyncLog>(5).fill(running),
        { ...running, fetched_count: 500 },
        syncLogRow({ status: 'success' }),
      ),
    )

    await vi.runAllTimersAsync()
    await watching

    const waited = pauses.mock.calls.map(([, ms]) => Number(ms))
    expect(waited[5]).toBe(waited[0])
    expect(waited[4]).toBeGreaterThan(waited[0]!)
  })

  it('rejects with what it tells throws, and asks no more', async () => {
    const mistake = new Error('the page is gone')
    const { watching, requests } = watch(answer(running), {
      onProgress: () => {
        throw mistake
      },
    })

    await expect(watching).rejects.toBe(mistake)
    await vi.runAllTimersAsync()
    expect(requests).toHaveLength(1)
  })

  it('asks no sooner than an interval longer than that', async () => {
    const pauses = vi.spyOn(globalThis, 'setTimeout')
    const { watching } = watch(
      answer(running, running, running, syncLogRow({ status: 'success' })),
      { intervalMs: 20_000 },
    )

    await vi.runAllTimersAsync()
    await watching

    expect(pauses.mock.calls.map(([, ms]) => ms)).toEqual([20_000, 20_000, 20_000])
  })

  it('ends when the log cannot be read', async () => {
    const { watching } = watch([json([])])

    const { data, error } = await watching

    expect(data).toBeNull()
    expect(error?.code).toBe('sync_log_not_found')
  })

  it('ends at once when its signal is aborted between two reads', async () => {
    const controller = new AbortController()
    const { watching, requests } = watch(answer(running), { signal: controller.signal })
    await vi.advanceTimersByTimeAsync(600)
    const asked = requests.length

    controller.abort()

    expect((await watching).error?.code).toBe('aborted')
    expect(asked).toBeGreaterThan(0)
    expect(requests).toHaveLength(asked)
  })

  it('ends at once when its signal is aborted during a read', async () => {
    const controller = new AbortController()
    const { watching } = watch([silence], { signal: controller.signal })

    controller.abort()
    await vi.runAllTimersAsync()

    expect((await watching).error?.code).toBe('aborted')
  })

  it('ends at once when what it tells aborts its signal', async () => {
    const controller = new AbortController()
    const { watching, requests } = watch(answer(running), {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })

    expect((await watching).error?.code).toBe('aborted')
    expect(requests).toHaveLength(1)
  })

  it('asks nothing when its signal is aborted already', async () => {
    const { watching, requests } = watch(answer(running), { signal: AbortSignal.abort() })

    expect((await watching).error?.code).toBe('aborted')
    expect(requests).toEqual([])
  })

  it('leaves no timer and no listener behind, however it ends', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const finished = answer(running, running, syncLogRow({ status: 'success' }))
    const first = watch(finished, { signal })
    await vi.runAllTimersAsync()
    await first.watching
    const afterSuccess = [getEventListeners(signal, 'abort').length, vi.getTimerCount()]
    const second = watch(answer(running), { signal })
    await vi.advanceTimersByTimeAsync(600)

    controller.abort()
    await second.watching

    const afterAbort = [getEventListeners(signal, 'abort').length, vi.getTimerCount()]
    expect(afterSuccess).toEqual([0, 0])
    expect(afterAbort).toEqual([0, 0])
  })
})
