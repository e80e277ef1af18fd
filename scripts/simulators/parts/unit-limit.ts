// Has this caller used up what its calls may cost? Units in a sliding window, and the most that ever were in one.

export type UnitLimit = {
  /** Takes so many units; false means the call is refused, and costs nothing. */
  take(key: string, units: number): boolean
  /** Changes the limit; 0 switches it off. */
  set(units: number): void
  /** The most that was taken in any one window. */
  most(key: string): number
  total(key: string): number
  refused(key: string): number
}

export function unitLimit(units: number, windowMs: number, now: () => number): UnitLimit {
  let limit = units
  const kept = new Map<
    string,
    { taken: { at: number; units: number }[]; most: number; total: number; refused: number }
  >()
  const of = (key: string) => {
    const known = kept.get(key) ?? { taken: [], most: 0, total: 0, refused: 0 }
    kept.set(key, known)
    return known
  }
  return {
    take(key, cost) {
      const use = of(key)
      const at = now()
      use.taken = use.taken.filter((earlier) => earlier.at > at - windowMs)
      const inWindow = use.taken.reduce((sum, earlier) => sum + earlier.units, 0) + cost
      if (limit > 0 && inWindow > limit) {
        use.refused += 1
        return false
      }
      use.taken.push({ at, units: cost })
      use.total += cost
      use.most = Math.max(use.most, inWindow)
      return true
    },
    set: (value) => void (limit = value),
    most: (key) => of(key).most,
    total: (key) => of(key).total,
    refused: (key) => of(key).refused,
  }
}
