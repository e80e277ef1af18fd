// Are there points left for this query? A bucket that fills at the rate of the shop's plan, and what was counted.

export type CostBucket = {
  /** Takes the points a query may cost at most; false when there are too few. */
  take(requested: number): boolean
  /** Gives back what a query did not cost in the end. */
  giveBack(points: number): void
  status(): { maximumAvailable: number; currentlyAvailable: number; restoreRate: number }
  counts(): { queries: number; throttled: number; points: number }
  set(plan: { maximum?: number; restoreRate?: number }): void
}

export function costBucket(
  plan: { maximum: number; restoreRate: number },
  now: () => number,
): CostBucket {
  let { maximum, restoreRate } = plan
  let held = { points: maximum, at: now() }
  const counted = { queries: 0, throttled: 0, points: 0 }
  const available = () => Math.min(maximum, held.points + ((now() - held.at) / 1000) * restoreRate)
  return {
    take(requested) {
      const points = available()
      if (requested > points) {
        counted.throttled += 1
        return false
      }
      counted.queries += 1
      counted.points += requested
      held = { points: points - requested, at: now() }
      return true
    },
    giveBack(points) {
      held = { points: Math.min(maximum, available() + points), at: now() }
      counted.points -= points
    },
    status: () => ({
      maximumAvailable: maximum,
      currentlyAvailable: Math.floor(available()),
      restoreRate,
    }),
    counts: () => ({ ...counted }),
    set(changes) {
      maximum = changes.maximum ?? maximum
      restoreRate = changes.restoreRate ?? restoreRate
      held = { points: maximum, at: now() }
    },
  }
}
