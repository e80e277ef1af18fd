import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentHash } from '../../supabase/functions/_shared/connectors/content-hash.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { decimalText } from '../../supabase/functions/_shared/connectors/vocabulary/decimal.ts'
import { platformWords } from '../../supabase/functions/_shared/connectors/vocabulary/platform-words.ts'
import { timestampText } from '../../supabase/functions/_shared/connectors/vocabulary/timestamp.ts'
import { Decimal } from '../../supabase/functions/_shared/contracts/amounts.ts'
import { sampleConnector } from './sample-connectors.ts'

describe('an amount', () => {
  it.each<[unknown, string]>([
    [0, '0'],
    [-0, '0'],
    [45, '45'],
    [45.1, '45.1'],
    [10.29, '10.29'],
    [0.1 + 0.2, '0.3'],
    [1.1 * 3, '3.3'],
    [44.989999999999995, '44.99'],
    [-12.5, '-12.5'],
    [1e-7, '0.0000001'],
    [123456789012345, '123456789012345'],
    ['45.00', '45'],
    [' 0012.340 ', '12.34'],
    ['+7', '7'],
    ['-0.00', '0'],
    ['999999999999999.9999999999', '999999999999999.9999999999'],
  ])('%j is %s', (value, text) => {
    expect(decimalText(value)).toBe(text)
    expect(Decimal.safeParse(text).success).toBe(true)
  })

  it.each([
    NaN,
    Infinity,
    1e21,
    '',
    ' ',
    '1,50',
    '$5',
    '1e3',
    '0x10',
    '.5',
    '5.',
    '--1',
    'call us',
    null,
    true,
    {},
    [1],
  ])(
    '%j is none',
    (value) => {
      expect(decimalText(value)).toBeNull()
    },
  )

  it('in cents is always the text a person would write', () => {
    fc.assert(fc.property(fc.integer({ min: -1e12, max: 1e12 }), (cents) => {
      const sign = cents < 0 ? '-' : ''
      const whole = Math.floor(Math.abs(cents) / 100)
      const rest = String(Math.abs(cents) % 100).padStart(2, '0').replace(/0+$/, '')
      expect(decimalText(cents / 100)).toBe(`${sign}${whole}${rest && `.${rest}`}`)
    }))
  })

  it('never grows digits, however the number came about', () => {
    fc.assert(fc.property(fc.double({ noNaN: true, min: -1e14, max: 1e14 }), (value) => {
      const text = decimalText(value)
      if (text !== null) expect(text).toMatch(/^-?\d{1,15}(\.\d{1,10})?$/)
    }))
  })
})

describe('a time', () => {
  it.each([
    ['2026-10-20T09:15:00.000-07:00', '2026-10-20T16:15:00.000Z'],
    ['2026-10-01T12:00:00.000-0700', '2026-10-01T19:00:00.000Z'],
    ['2026-10-01T12:00:00Z', '2026-10-01T12:00:00.000Z'],
    ['2026-10-01 12:00+00:00', '2026-10-01T12:00:00.000Z'],
    ['2026-10-01T12:00:00.123456Z', '2026-10-01T12:00:00.123Z'],
  ])('%s is %s', (value, text) => {
    expect(timestampText(value)).toBe(text)
  })

  it.each([
    'yesterday',
    '',
    '2026-10-01',
    '2026-10-01T12:00:00',
    '2026-13-01T00:00:00Z',
    1700000000,
    null,
  ])(
    '%j is none: without an offset nobody knows when it was',
    (value) => {
      expect(timestampText(value)).toBeNull()
    },
  )
})

describe('a content hash', () => {
  it('is short and does not depend on the order of keys, at any depth', () => {
    const one = contentHash({ name: 'A' }, { a: 1, b: { c: [1, { d: 2, e: 3 }] } })
    const two = contentHash({ name: 'A' }, { b: { c: [1, { e: 3, d: 2 }] }, a: 1 })

    expect(one).toBe(two)
    expect(one).toMatch(/^[\w-]{22}$/)
  })

  it.each<[unknown, unknown]>([
    [{ name: 'B' }, { a: 1 }],
    [{ name: 'A' }, { a: '1' }],
    [{ name: 'A' }, { a: [1] }],
    [{ name: 'A' }, { a: null }],
    [{ name: 'A' }, {}],
  ])('tells %j %j apart', (columns, raw) => {
    expect(contentHash(columns, raw)).not.toBe(contentHash({ name: 'A' }, { a: 1 }))
  })

  it('depends on the order of lists, which means something', () => {
    expect(contentHash({}, [1, 2])).not.toBe(contentHash({}, [2, 1]))
  })

  it('is the same for the same JSON and different for different JSON', () => {
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const same = contentHash({}, a) === contentHash({}, b)
      expect(contentHash({}, JSON.parse(JSON.stringify(a)))).toBe(contentHash({}, a))
      if (JSON.stringify(a) === JSON.stringify(b)) expect(same).toBe(true)
    }))
  })
})

describe('a mapping that trips over one record', () => {
  it('refuses that record and says so', () => {
    const connector = sampleConnector({ type: 'none' })
    const stream = connector.streams.products!
    const tripping = {
      ...connector,
      streams: {
        products: {
          ...stream,
          toRecord: () => {
            throw new TypeError('no such tier')
          },
        },
      },
    }

    const result = parseRecord(tripping, 'products', { id: 'a', title: 'Stool' }, {
      settings: {},
      account: {},
    })

    expect(result).toEqual({
      ok: false,
      source_id: 'a',
      code: 'invalid_record',
      message: 'record: cannot be mapped: no such tier',
      issues: [{ path: '', message: 'cannot be mapped: no such tier' }],
    })
    expect(
      parseRecord(connector, 'products', { id: 'a', title: 'Stool' }, { settings: {}, account: {} })
        .ok,
    )
      .toBe(true)
  })
})

describe('what a platform said', () => {
  it('is one short line without people, tokens and links that carry them', () => {
    const said = platformWords(
      'Address ada.l+x@people.example is taken\n  by "Grace" <grace@people.example>; see ' +
        'https://acme.example/?access_token=abcdef and Bearer abcdefghijkl',
    )

    expect(said).toBe(
      'Address … is taken by "Grace" <…>; see https://acme.example/?access_token=[redacted] and Bearer [redacted]',
    )
  })

  it('is cut where it is long, and nothing where there is nothing', () => {
    expect(platformWords('word '.repeat(100))).toHaveLength(201)
    expect([undefined, null, 7, {}, ''].map(platformWords)).toEqual(['', '', '', '', ''])
  })
})
