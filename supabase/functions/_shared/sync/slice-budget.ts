// What one worker may spend before it hands over.

export type SliceBudget = {
  /**
   * Records to read and map, a large one counting as several: a stand-in for CPU time, of which a
   * request has 2 s. Counted down.
   */
  recordsLeft: number
  /** When to stop, in ms since 1970. */
  deadline: number
}
