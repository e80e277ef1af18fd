import { describe, expect, it } from 'vitest'
import { forEachBounded, hostOf } from '../../../supabase/functions/_shared/images/host-bound.ts'

/** Does work that ends when told to, and keeps count. */
function controlled() {
  const started: string[] = []
  const ending = new Map<string, () => void>()
  const work = (item: string) => {
    started.push(item)
    return new Promise<void>((resolve) => ending.set(item, resolve))
  }
  /** Ends the work for an item and lets what follows from it happen. */
  const end = async (item: string) => {
    ending.get(item)!()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { started, work, end }
}

describe('bounded work', () => {
  it('is so much at once, so much of it for one host, and passes by what has to wait', async () => {
    const { started, work, end } = controlled()
    const items = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']

    const done = forEachBounded(items, (item) => item[0]!, { atOnce: 4, atOnceForHost: 2 }, work)

    expect(started).toEqual(['a1', 'a2', 'b1', 'c1'])
    await end('b1')
    expect(started.slice(4)).toEqual(['c2'])
    await end('a2')
    expect(started.slice(5)).toEqual(['a3'])
    for (const item of ['a1', 'a3', 'c1', 'c2']) await end(item)
    await expect(done).resolves.toBeUndefined()
  })

  it('ends at once where there is none', async () => {
    const bounds = { atOnce: 6, atOnceForHost: 2 }

    await expect(forEachBounded([], String, bounds, () => Promise.resolve())).resolves
      .toBeUndefined()
  })

  it.each([
    ['https://Images.Example/a.png', 'images.example'],
    ['https://images.example:8443/a.png', 'images.example:8443'],
    ['no address', 'no address'],
  ])('knows the host of %s', (url, host) => {
    expect(hostOf(url)).toBe(host)
  })
})
