import { describe, expect, it } from 'vitest'
import { parseOptions, portNumber, wholeNumber } from '../../../scripts/command-line.ts'
import { UserError } from '../../../scripts/stack/user-error.ts'
import { table } from '../../../scripts/table.ts'

describe('options', () => {
  const options = { port: { type: 'string' }, quick: { type: 'boolean' } } as const

  it('are read, and an unknown one is one sentence', () => {
    expect(parseOptions(['--port', '1', '--quick'], options)).toEqual({ port: '1', quick: true })
    expect(() => parseOptions(['--prot', '1'], options)).toThrow(
      new UserError("Unknown option '--prot'; see --help."),
    )
  })

  it.each(['', ' ', 'x', '1.5', '-1', '65536', '1e99'])('refuses the port "%s"', (text) => {
    expect(() => portNumber('--port', text)).toThrow(UserError)
  })

  it.each([['0', 0], ['65535', 65_535]])('takes the port %s', (text, port) => {
    expect(portNumber('--port', text)).toBe(port)
  })

  it('says the bounds of a number that is outside of them', () => {
    expect(wholeNumber('--runs', '3', 1)).toBe(3)
    expect(() => wholeNumber('--runs', '0', 1, 9)).toThrow(
      '--runs wants a whole number from 1 to 9, not "0".',
    )
  })
})

it('a table has words to the left, numbers to the right, and columns as wide as they need', () => {
  expect(table([{ sync: 'first', fetched: 2400 }, { sync: 'second', fetched: 7 }])).toEqual([
    'sync    fetched',
    'first      2400',
    'second        7',
  ])
})
