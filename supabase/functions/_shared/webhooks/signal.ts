// Lets a loop sleep until something happens or a time has passed, whichever comes first.

export class Signal {
  #wake: (() => void) | undefined

  /** Ends the wait, if anybody waits. */
  give(): void {
    this.#wake?.()
  }

  async wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#wake = resolve
    await promise
    clearTimeout(timer)
    this.#wake = undefined
  }
}
