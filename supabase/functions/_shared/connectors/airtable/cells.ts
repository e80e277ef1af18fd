// What does a cell hold, whatever kind of field it stands in?
import { readPath } from '../vocabulary/read-path.ts'

/** The text of a cell; null for one that is empty, could not be computed, or holds no text. */
export function cellText(cell: unknown): string | null {
  return cellTexts(cell)[0] ?? null
}

/** Lookups and multiple choices are lists; people have a name, a computed cell in trouble has none. */
export function cellTexts(cell: unknown): string[] {
  if (Array.isArray(cell)) return cell.flatMap(cellTexts)
  if (typeof cell === 'number' && Number.isFinite(cell)) return [String(cell)]
  if (typeof cell === 'string') return cell.trim() === '' ? [] : [cell.trim()]
  const named = readPath(cell, 'email') ?? readPath(cell, 'name')
  return typeof named === 'string' ? cellTexts(named) : []
}

/** The web address in a URL or text field. An attachment has no text: its address changes at each reading. */
export function cellAddress(cell: unknown): string | null {
  const text = cellText(cell)
  return text !== null && /^https?:\/\//i.test(text) && URL.canParse(text) ? text : null
}

/** Airtable keeps no such cell, so no row can be found by it. */
export const isEmptyCell = (cell: unknown) =>
  cell === undefined || cell === null || cell === false ||
  typeof cell === 'string' && cell.trim() === '' || Array.isArray(cell) && cell.length === 0
