// How many calls are being answered at the same moment, and is this one too many?

export type Connections = {
  /** Answers a call, or refuses it while as many as are allowed are under way. */
  during<Answer>(answer: () => Answer | Promise<Answer>, refuse: () => Answer): Promise<Answer>
  /** Every call from now on takes until the returned function is called. */
  hold(): () => void
  /** The most that were answered at the same moment. */
  most(): number
}

export function connections(allowed: number): Connections {
  let underWay = 0
  let most = 0
  let held: Promise<void> | null = null
  return {
    async during(answer, refuse) {
      if (underWay >= allowed) return refuse()
      underWay += 1
      most = Math.max(most, underWay)
      try {
        await held
        return await answer()
      } finally {
        underWay -= 1
      }
    },
    hold() {
      const gate = Promise.withResolvers<void>()
      held = gate.promise
      return () => {
        held = null
        gate.resolve()
      }
    },
    most: () => most,
  }
}
