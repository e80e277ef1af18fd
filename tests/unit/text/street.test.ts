// Do the lines of a postal address survive a platform that holds them in one text?
import { expect, it } from 'vitest'
import {
  linesOf,
  streetOf,
} from '../../../supabase/functions/_shared/connectors/vocabulary/street.ts'

it.each([
  ['one line', '1 High St', { line1: '1 High St', line2: null }],
  ['two lines', '1 High St\nFloor 2', { line1: '1 High St', line2: 'Floor 2' }],
  ['three lines', 'Acme\n1 High St\nFloor 2', { line1: 'Acme', line2: '1 High St\nFloor 2' }],
  ['nothing', null, { line1: null, line2: null }],
])('%s of a street go back as they came', (_name, street, lines) => {
  expect(linesOf(street)).toEqual(lines)
  expect(streetOf(lines)).toBe(street)
})

it('white space, line ends of Windows and empty lines are none', () => {
  expect(linesOf(' 1 High St \r\n\r\n Floor 2 ')).toEqual({ line1: '1 High St', line2: 'Floor 2' })
})
