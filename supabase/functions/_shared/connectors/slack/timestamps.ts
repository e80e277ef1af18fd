// When was that in Slack's words? `1780000000.000100`: seconds and a counter, an id within its channel, never a number.

export const TS = /^\d{1,10}\.\d{6}$/

/** RFC 3339. */
export const timeOf = (ts: string) =>
  new Date(Number(ts.slice(0, -7)) * 1000 + Number(ts.slice(-6, -3))).toISOString()

export const tsOf = (seconds: number) => `${Math.max(0, Math.floor(seconds))}.000000`

const order = (ts: string) => BigInt(ts.replace('.', ''))

export const isLater = (ts: string, than: string) => order(ts) > order(than)

export const latest = (a: string | undefined, b: string) => a === undefined || isLater(b, a) ? b : a

export const earliest = (a: string, b: string) => isLater(a, b) ? b : a

/** So many days later. */
export const daysAfter = (ts: string, days: number) => tsOf(Number(ts.slice(0, -7)) + days * 86_400)
