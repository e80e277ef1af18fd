// What if something happens while a run reads? The store keeps page 2 until it has happened.
import { expect, vi } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { productRequests } from './compare-catalog.ts'

/**
 * Starts a sync of a store of several pages, does `work` after page 1 was given and before page 2 is
 * made up, and answers what the sync answered.
 */
export async function betweenPages<Answer>(
  store: TreezSimulator,
  sync: () => Promise<Answer>,
  work: () => unknown,
): Promise<Answer> {
  store.control.clear()
  const gate = Promise.withResolvers<void>()
  store.control.setFault({ kind: 'hold', until: gate.promise, after: 1, path: 'product_list' })
  const answer = sync()
  try {
    await vi.waitFor(() => expect(productRequests(store)).toHaveLength(1), {
      interval: 5,
      timeout: 5_000,
    })
    await work()
  } finally {
    gate.resolve()
  }
  return await answer
}
