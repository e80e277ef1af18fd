import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'

describe('the system clock', () => {
  it('sleeps as long as asked', async () => {
    vi.useFakeTimers()
    const woke = vi.fn()

    const sleep = systemClock.sleep(1_000).then(woke)
    await vi.advanceTimersByTimeAsync(999)
    expect(woke).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await sleep

    expect(woke).toHaveBeenCalledOnce()
    vi.useRealTimers()
  })

  it('wakes with the reason when its signal is aborted', async () => {
    const controller = new AbortController()
    const sleep = systemClock.sleep(60_000, controller.signal)

    controller.abort(new Error('stopping'))

    await expect(sleep).rejects.toThrow('stopping')
  })

  it('does not fall asleep when its signal is aborted already', async () => {
    await expect(systemClock.sleep(60_000, AbortSignal.abort(new Error('stopped'))))
      .rejects.toThrow('stopped')
  })
})
