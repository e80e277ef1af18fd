// Which words are no connector's slug? Those that mean something else where its slug stands in an address of ours.

/** Of `/webhook-receive/…`: where business apps send their events, and where a worker is rung for. */
export const RESERVED_SLUGS: readonly string[] = ['apps', 'work']
