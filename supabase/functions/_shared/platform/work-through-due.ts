// A worker that claims what is due, a few at a time, until nothing is or its share of time is over.
import type { Clock } from './clock.ts'

/**
 * @param claim So many as may be worked on at once.
 * @param work Never fails: one that cannot be worked on must not keep the others from it.
 * @returns How many were worked on.
 */
export async function workThroughDue<Item>(
  clock: Clock,
  workForMs: number,
  claim: () => Promise<Item[]>,
  work: (item: Item) => Promise<unknown>,
): Promise<number> {
  const deadline = clock.now().getTime() + workForMs
  let count = 0
  while (clock.now().getTime() < deadline) {
    const due = await claim()
    if (due.length === 0) break
    await Promise.all(due.map(work))
    count += due.length
  }
  return count
}
