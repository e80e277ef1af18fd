// Whose call is next? Turns, limits, and slow endpoints that hold nobody up.
import { beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Callable,
  CallSlots,
  type SlotBounds,
} from '../../../supabase/functions/_shared/webhooks/call-slots.ts'

const BOUNDS: SlotBounds = {
  atOnce: 20,
  reserve: 4,
  slowAfterMs: 1_000,
  slowAtOnce: 30,
  ahead: 10,
  waiting: 100,
  waitingBytes: 1_000,
}

beforeEach(() => {
  vi.useFakeTimers()
  return () => vi.useRealTimers()
})

function setUp(bounds: Partial<SlotBounds> = {}) {
  const slots = new CallSlots({ ...BOUNDS, ...bounds }, () => {})
  /** Calls under way, oldest first: whose they are, and how to end them. */
  const underWay: { endpointId: string; end: () => void }[] = []
  const callables = (endpointId: string, count: number, parts: Partial<Callable> = {}) =>
    Array.from({ length: count }, (): Callable => ({
      endpointId,
      atOnce: 100,
      byteSize: 1,
      beginUntil: Infinity,
      call() {
        const { promise, resolve } = Promise.withResolvers<void>()
        const entry = { endpointId, end: resolve }
        underWay.push(entry)
        return promise.finally(() => underWay.splice(underWay.indexOf(entry), 1))
      },
      ...parts,
    }))
  const count = (endpointId: string) =>
    underWay.filter((call) => call.endpointId === endpointId).length
  const end = async (endpointId: string) => {
    underWay.find((call) => call.endpointId === endpointId)!.end()
    await vi.advanceTimersByTimeAsync(0)
  }
  return { slots, underWay, callables, count, end }
}

describe('call slots', () => {
  it('give endpoints turns, however much one has', () => {
    const { slots, callables, underWay } = setUp({ atOnce: 6, reserve: 0 })

    slots.add([...callables('a', 10), ...callables('b', 2), ...callables('c', 1)])

    const order = underWay.map(({ endpointId }) => endpointId)
    expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'a'])
  })

  it('keep to what an endpoint takes at once', async () => {
    const { slots, callables, count, end } = setUp()
    slots.add(callables('a', 5, { atOnce: 2 }))
    const before = count('a')

    await end('a')

    expect([before, count('a')]).toEqual([2, 2])
  })

  it('leave the last ones to endpoints that have few', () => {
    const { slots, callables, count } = setUp()

    slots.add(callables('a', 40))
    slots.add(callables('b', 2))

    expect([count('a'), count('b')]).toEqual([16, 2])
  })

  it('of the reserve are free again although every other is kept by an endpoint that hangs', async () => {
    const { slots, callables, count, underWay } = setUp()
    for (let number = 0; number < 100; number++) slots.add(callables(`hangs-${number}`, 1))
    await vi.advanceTimersByTimeAsync(1_000 * 30)
    const hanging = underWay.length

    slots.add(callables('answers', 5))

    expect(hanging).toBe(100)
    expect(count('answers')).toBe(4)
  })

  it('are free again once a call is slow, and its endpoint waits among the slow', async () => {
    const { slots, callables, count } = setUp()
    slots.add(callables('slow', 50))
    const before = [count('slow'), slots.room()]

    await vi.advanceTimersByTimeAsync(1_000)
    slots.add(callables('fast', 20))

    expect(before).toEqual([16, 0])
    expect([count('slow'), count('fast')]).toEqual([30, 16])
  })

  it('take an endpoint back among the fast ones when it answers in time', async () => {
    const { slots, callables, count, end } = setUp({ slowAtOnce: 2 })
    slots.add(callables('a', 10, { atOnce: 2 }))
    await vi.advanceTimersByTimeAsync(1_000)
    await end('a') // late
    await end('a')
    await end('a') // in time

    slots.add(callables('b', 40))

    // one of them is fast again
    expect([count('a'), count('b')]).toEqual([2, 15])
  })

  it('stay taken by slow calls for which there is no room', async () => {
    const { slots, callables, count } = setUp({ slowAtOnce: 5 })
    for (let number = 0; number < 20; number++) slots.add(callables(`slow-${number}`, 1))

    await vi.advanceTimersByTimeAsync(1_000)
    slots.add(callables('fast', 20))

    expect([slots.underWay, count('fast')]).toEqual([25, 5])
  })

  it('have room for what can begin and some more, not for what is too large', () => {
    const { slots, callables } = setUp()
    const empty = slots.room()
    slots.add(callables('a', 18))
    const busy = slots.room()
    slots.add(callables('b', 10, { byteSize: 600, atOnce: 1 }))

    expect([empty, busy, slots.room()]).toEqual([30, 12, 0])
  })

  it('give back what has waited for too long, and what waits for one endpoint', () => {
    const { slots, callables } = setUp({ atOnce: 0 })
    slots.add([...callables('a', 2, { beginUntil: 10 }), ...callables('a', 3, { beginUntil: 20 })])
    slots.add(callables('b', 4, { beginUntil: 30 }))

    const late = slots.takeBack({ now: 10 })
    const ofOne = slots.takeBack({ endpointId: 'b' })

    expect([late.length, ofOne.length, slots.takeBack({ now: Infinity }).length]).toEqual([2, 4, 3])
  })
})
