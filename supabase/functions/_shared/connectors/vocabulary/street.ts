// How does a platform that has one text of several lines hold the two lines of an address?
import type { PostalAddress } from '../../contracts/contacts.ts'

type Lines = Pick<PostalAddress, 'line1' | 'line2'>

export const streetOf = (address: Lines | null | undefined): string | null =>
  [address?.line1, address?.line2].filter(Boolean).join('\n') || null

/** Of more lines than two, those after the first are the second, and go back as they came. */
export function linesOf(street: string | null | undefined): Lines {
  const [line1, ...others] = (street ?? '').split(/\r?\n/).map((line) => line.trim())
    .filter(Boolean)
  return { line1: line1 ?? null, line2: others.join('\n') || null }
}
