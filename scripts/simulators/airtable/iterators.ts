// Where was a list left? Offsets that are good for a while and then forgotten.
import type { FormulaRow } from './formula.ts'

export type Iterators = {
  /** Keeps what is left of a list; answers the offset to ask on with. */
  keep(rows: FormulaRow[]): string
  /** Null for an offset that ended or never was. */
  find(offset: string): FormulaRow[] | null
  /** Forgets all of them now. */
  expire(): void
}

/** @param lifetimeMs How long a list may rest between two pages. */
export function iterators(lifetimeMs: number, now: () => number): Iterators {
  const kept = new Map<string, { rows: FormulaRow[]; until: number }>()
  let count = 0
  return {
    keep(rows) {
      count += 1
      const offset = `itr${String(count).padStart(14, '0')}/${rows[0]?.id ?? ''}`
      kept.set(offset, { rows, until: now() + lifetimeMs })
      return offset
    },
    find(offset) {
      const found = kept.get(offset)
      return found && found.until > now() ? found.rows : null
    },
    expire: () => kept.clear(),
  }
}
