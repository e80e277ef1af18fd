import { expect, it } from 'vitest'
import type { Receiver } from '../../../supabase/functions/_shared/webhooks/receiver.ts'
import { ReceiverCache } from '../../../supabase/functions/_shared/webhooks/receiver-cache.ts'
import { fakeClock } from '../../support/fake-clock.ts'

/** Knows ids that begin with `known`. */
function cacheThatCounts() {
  const clock = fakeClock('2026-11-20T09:00:00.000Z')
  const asked: string[] = []
  const cache = new ReceiverCache((id) => {
    asked.push(id)
    return Promise.resolve(id.startsWith('known') ? { integrationId: id } as Receiver : null)
  }, clock)
  return { cache, clock, asked }
}

it('remembers what is there and what is not, for a minute', async () => {
  const { cache, clock, asked } = cacheThatCounts()

  for (const id of ['known', 'made up', 'known', 'made up']) await cache.get(id)
  clock.advance(60_001)
  await cache.get('known')

  expect(asked).toEqual(['known', 'made up', 'known'])
})

it('forgets ids that strangers made up before those that are there, and holds a bounded number', async () => {
  const { cache, asked } = cacheThatCounts()
  await cache.get('known')

  for (let number = 0; number < 5_000; number++) await cache.get(`made up ${number}`)
  const before = asked.length
  await cache.get('known')
  await cache.get('made up 4999')
  await cache.get('made up 0')

  expect(asked.slice(before)).toEqual(['made up 0'])
})

it('does not remember a failure', async () => {
  let isAway = true
  const receiver = { integrationId: 'known' } as Receiver
  const cache = new ReceiverCache(
    () => isAway ? Promise.reject(new Error('away')) : Promise.resolve(receiver),
    fakeClock('2026-11-20T09:00:00.000Z'),
  )

  await expect(cache.get('known')).rejects.toThrow('away')
  isAway = false

  expect((await cache.get('known')).receiver).toBe(receiver)
})
