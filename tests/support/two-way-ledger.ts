// What people of both sides did in a history, and what has to be left of it.
import { expect } from 'vitest'
import { type Field, FIELDS, type Fields } from './two-way-platform.ts'

export type ConflictRow = {
  id: string
  record_id: string
  source_id: string
  kind: string
  base: Fields | null
  local: Fields | null
  remote: Fields | null
  policy: string
  decision: string
  overturned_at: Date | null
  /** To the microsecond, which a Date does not hold. */
  is_local_later: boolean
}

type Side = 'local' | 'remote'
/** What is left at the end: the platform's records, and what was decided. */
type Left = { live: (Fields & { id: string })[]; conflicts: ConflictRow[] }

export class Ledger {
  #count = 0
  /** Everything a person wrote, by value: each is written once. */
  readonly #written = new Map<string, string>()
  /** What a person saw when they wrote over it, or deleted it. */
  readonly #overwritten = new Set<string>()
  /** Addresses that were given up: should somebody else take one, the platform would refuse it to whoever wins it back. */
  readonly #givenUp = new Set<string>()
  #deletions: { side: Side; fields: Fields; source_id: string }[] = []
  readonly #here: { row_id: string; field: Field; value: string | null }[] = []
  #clears: { side: Side; phone: string | null; field: Field; value: string }[] = []

  newValue(name: Field): string {
    const number = `${name[0]}${++this.#count}`
    const value = name === 'email' ? `${number}@people.test` : number
    this.#written.set(value, name)
    return value
  }

  newFields(pick: number): Fields {
    // a few addresses, so that the two sides come to have the same
    const shared = `p${pick % 4}@people.test`
    const email = pick % 5 === 4 // and some have none
      ? null
      : this.#givenUp.has(shared)
      ? this.newValue('email')
      : shared
    return {
      email,
      first_name: this.newValue('first_name'),
      company: pick % 6 === 0 ? '' : pick % 3 === 0 ? null : this.newValue('company'),
      phone: this.newValue('phone'),
    }
  }

  /** They were not written after all. */
  forget(fields: Fields): void {
    for (const name of FIELDS) if (fields[name] !== null) this.#written.delete(fields[name])
  }

  /** Somebody looked at these and wrote something else. */
  overwrote(fields: Fields, names: readonly Field[] = FIELDS): void {
    for (const name of names) if (fields[name] !== null) this.#overwritten.add(fields[name])
    if (names.includes('email') && names !== FIELDS && fields.email) {
      this.#givenUp.add(fields.email)
    }
  }

  /** Of what is written here nothing is sent: it is expected nowhere, and what it replaces is there still. */
  staysHere(row_id: string, field: Field, value: string | null): void {
    if (value !== null) this.#overwritten.add(value)
    this.#here.push({ row_id, field, value })
  }

  /** Whether a field of a row is as it was written while nothing was sent. */
  mayDiffer(row_id: string, field: Field, value: string | null): boolean {
    return this.#here.some((each) =>
      each.row_id === row_id && each.field === field && (each.value || null) === (value || null)
    )
  }

  /** What was changed in these fields, emptied ones too, has not gone out, and is given up. */
  gaveUp(fields: Fields, names: readonly Field[]): void {
    for (const name of names) if (fields[name] !== null) this.#overwritten.add(fields[name])
    this.#clears = this.#clears.filter(({ side, phone, field }) =>
      side !== 'local' || phone !== fields.phone || !names.includes(field)
    )
  }

  gaveUpDeletion({ phone }: Fields, source_id: string): void {
    this.#deletions = this.#deletions.filter(({ side, fields, source_id: id }) =>
      side !== 'local' || id !== source_id && fields.phone !== phone
    )
  }

  cleared(side: Side, fields: Fields, field: Field): void {
    this.overwrote(fields, [field])
    this.#clears.push({ side, phone: fields.phone, field, value: fields[field] ?? '' })
  }

  deleted(side: Side, fields: Fields, source_id: string, isPushed: boolean): void {
    this.overwrote(fields)
    if (isPushed) this.#deletions.push({ side, fields, source_id })
    // it comes back as it is there, and whoever deleted it gave up what they had cleared
    if (side === 'local' && !isPushed) {
      this.#clears = this.#clears.filter((clear) =>
        clear.side !== 'local' || clear.phone !== fields.phone
      )
    }
  }

  expectNoEditLost({ live, conflicts }: Left, told: (what: string) => string): void {
    const kept = new Set<string | null>()
    const keep = (fields: Partial<Fields> | null) => {
      for (const name of FIELDS) if (fields?.[name] != null) kept.add(fields[name])
    }
    live.forEach(keep)
    for (const { base, local, remote } of conflicts) [base, local, remote].forEach(keep)
    const lost = [...this.#written].filter(([value]) =>
      !kept.has(value) && !this.#overwritten.has(value)
    )
    expect(lost, told('edits are lost')).toEqual([])
  }

  /** What was emptied stays empty, or a conflict shows the record with it and without. */
  expectNoClearLost({ live, conflicts }: Left, told: (what: string) => string): void {
    const lost = this.#clears.filter(({ phone, field, value }) =>
      live.some((record) =>
        record[field] === value && (field !== 'email' || record.phone === phone)
      ) &&
      !conflicts.some((conflict) => shows(conflict, field, value))
    )
    expect(lost, told('what was cleared is back')).toEqual([])
  }

  expectNoDeletionLost({ live, conflicts }: Left, told: (what: string) => string): void {
    for (const { fields, source_id } of this.#deletions) {
      const came = live.filter(({ id, phone }) => id === source_id || phone === fields.phone)
      if (came.length === 0) continue
      const isDecided = conflicts.some((conflict) =>
        conflict.source_id === source_id ||
        [conflict.local, conflict.remote, conflict.base].some((version) =>
          version?.phone === fields.phone
        )
      )
      // made again here, with the same address
      const isMadeAgain = came.some(({ phone }) => phone !== fields.phone)
      expect(isDecided || isMadeAgain, told(`a deletion of ${source_id} is lost`)).toBe(true)
    }
  }
}

const shows = ({ base, local, remote }: ConflictRow, field: Field, value: string): boolean =>
  [base, local, remote].some((version) => version?.[field] === value) &&
  [local, remote].some((version) => version?.[field] !== value)
