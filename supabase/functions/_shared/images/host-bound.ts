// Does work side by side: so many at once, and no more than a few of them for one host.

export type Bounds = { atOnce: number; atOnceForHost: number }

/**
 * Resolves when `work` has been done for every item, each started as soon as both bounds allow and before
 * those behind it in the list that may start as well. `work` must not reject.
 */
export async function forEachBounded<Item>(
  items: readonly Item[],
  hostOf: (item: Item) => string,
  bounds: Bounds,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items]
  const running = new Set<Promise<void>>()
  const runningFor = new Map<string, number>()
  const countFor = (host: string) => runningFor.get(host) ?? 0

  while (waiting.length > 0 || running.size > 0) {
    const next = running.size < bounds.atOnce
      ? waiting.findIndex((item) => countFor(hostOf(item)) < bounds.atOnceForHost)
      : -1
    if (next === -1) {
      await Promise.race(running)
      continue
    }
    const [item] = waiting.splice(next, 1) as [Item]
    const host = hostOf(item)
    runningFor.set(host, countFor(host) + 1)
    const job: Promise<void> = work(item).finally(() => {
      running.delete(job)
      runningFor.set(host, countFor(host) - 1)
    })
    running.add(job)
  }
}

/** The host of an address; the address itself where it is none, which is refused without a call. */
export function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url
}
