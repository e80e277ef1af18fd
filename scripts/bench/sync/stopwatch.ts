// How long did the parts take that count?

export class Stopwatch {
  #milliseconds = 0

  get seconds(): number {
    return this.#milliseconds / 1000
  }

  /** Runs `work` on the clock; what happens between two calls does not count. */
  async time<Result>(work: () => Promise<Result>): Promise<Result> {
    const start = performance.now()
    try {
      return await work()
    } finally {
      this.#milliseconds += performance.now() - start
    }
  }
}
