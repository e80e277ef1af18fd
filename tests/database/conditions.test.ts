// Do the contract and SQL take the same conditions, and which documents fit one?
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Condition } from '../../supabase/functions/_shared/contracts/conditions.ts'
import { useDatabase } from '../support/database.ts'

const { owner } = useDatabase()

const isTakenByContract = (value: unknown) => Condition.safeParse(value).success

/** What SQL says of each, in one statement. */
async function takenBySql(values: unknown[]): Promise<boolean[]> {
  const rows = await owner`
    select private.is_condition(value) as taken
    from jsonb_array_elements(${
    JSON.stringify(values)
  }::text::jsonb) with ordinality as given (value, number)
    order by number`
  return rows.map(({ taken }) => taken)
}

async function fits(condition: unknown, document: unknown): Promise<boolean> {
  const [row] = await owner`
    select private.condition_holds(${JSON.stringify(condition)}::text::jsonb, ${
    JSON.stringify(document)
  }::text::jsonb) as fits`
  return row?.fits
}

const price = { field: 'data.price', operator: 'gte', value: 10 }
const nested = (levels: number): unknown => levels === 1 ? price : { not: nested(levels - 1) }
/** Of so many JSON values in all: each comparison is four, itself among them. */
const ofValues = (count: number) => {
  const groups = [20, 20, 20, 20, 20, 19].map((size) => ({ or: Array(size).fill(price) }))
  const filled = 2 + groups.length * 2 + 119 * 4
  return {
    and: [...groups, { field: 'a', operator: 'in', value: Array(count - filled - 4).fill(1) }],
  }
}
/** Of so many characters of text in all. */
const ofCharacters = (count: number) => ({
  field: 'a',
  operator: 'in',
  value: [...Array(9).fill('🂡'.repeat(1_000)), 'a'.repeat(count - 9_000 - 'ain'.length)],
})

describe('a condition', () => {
  it.each<[string, unknown]>([
    ['compares with a number', price],
    ['compares with null', { field: 'subject', operator: 'ne', value: null }],
    ['asks for one of a hundred', {
      field: 'type',
      operator: 'in',
      value: Array(100).fill('order.created'),
    }],
    ['asks for a beginning', { field: 'type', operator: 'starts_with', value: '' }],
    ['asks whether something is there', { field: 'a', operator: 'exists', value: false }],
    ['has a field of 200 letters that need two code units each', {
      ...price,
      field: '🂡'.repeat(200),
    }],
    ['has a text of 1,000 such letters', {
      field: 'a',
      operator: 'eq',
      value: '🂡'.repeat(1_000),
    }],
    ['has a number with hundreds of digits', { field: 'a', operator: 'lt', value: 1e308 }],
    ['joins twenty', { and: Array(20).fill(price) }],
    ['is eight levels deep', nested(8)],
    ['is made of 500 values', ofValues(500)],
    ['has 10,000 characters of text', ofCharacters(10_000)],
  ])('that %s is taken by both', async (_what, condition) => {
    expect(isTakenByContract(condition)).toBe(true)
    expect(await takenBySql([condition])).toEqual([true])
  })

  it.each<[string, unknown]>([
    ['is text', 'price > 10'],
    ['is null', null],
    ['is a list', [price]],
    ['says nothing', {}],
    ['joins nothing', { and: [] }],
    ['joins null', { or: null }],
    ['joins one that says nothing', { and: [price, {}] }],
    ['joins twenty-one', { or: Array(21).fill(price) }],
    ['is nine levels deep', nested(9)],
    ['is made of 501 values', ofValues(501)],
    ['has 10,001 characters of text', ofCharacters(10_001)],
    ['both joins and negates', { and: [price], not: price }],
    ['joins in two ways', { and: [price], or: [price] }],
    ['compares and joins', { ...price, and: [price] }],
    ['has a field without a name', { ...price, field: '' }],
    ['has a field of 201 letters', { ...price, field: 'a'.repeat(201) }],
    ['has a number as field', { ...price, field: 1 }],
    ['has no operator', { field: 'a', value: 1 }],
    ['has no value', { field: 'a', operator: 'eq' }],
    ['has an unknown operator', { ...price, operator: 'matches' }],
    ['has another operator’s value', { ...price, value: true }],
    ['has an object as value', { field: 'a', operator: 'eq', value: {} }],
    ['has a value of 1,001 characters', { field: 'a', operator: 'eq', value: 'a'.repeat(1_001) }],
    ['asks for one of none', { field: 'a', operator: 'in', value: [] }],
    ['asks for one of 101', { field: 'a', operator: 'in', value: Array(101).fill(1) }],
    ['asks for one of some lists', { field: 'a', operator: 'in', value: [[1]] }],
    ['asks for a number as beginning', { field: 'a', operator: 'starts_with', value: 1 }],
    ['asks whether something is "yes"', { field: 'a', operator: 'exists', value: 'yes' }],
    ['has a field of its own', { ...price, note: 'cheap' }],
    [
      'has a field called __proto__',
      JSON.parse('{"field":"a","operator":"eq","value":1,"__proto__":1}'),
    ],
    ['is called __proto__', JSON.parse('{"__proto__":{"field":"a","operator":"eq","value":1}}')],
  ])('that %s is refused by both', async (_what, condition) => {
    expect(isTakenByContract(condition)).toBe(false)
    expect(await takenBySql([condition])).toEqual([false])
  })

  it('is judged alike by both, whatever it is', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom('type', ''),
    )
      .filter((value) => !value.includes('\0') && value.isWellFormed())
    const value = fc.oneof(
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constantFrom(null, {}, [], [1, 'a'], [{}]),
      fc.array(fc.oneof(text, fc.integer()), { maxLength: 3 }),
    )
    const operator = fc.constantFrom(
      'eq',
      'ne',
      'gt',
      'gte',
      'lt',
      'lte',
      'in',
      'contains',
      'starts_with',
      'exists',
      'like',
      7,
      null,
    )
    const comparison = fc.record({ field: fc.oneof(text, fc.constant(3)), operator, value }, {
      requiredKeys: [],
    })
    const good = fc.record({
      field: fc.constantFrom('type', 'data.a'),
      operator: fc.constantFrom('eq', 'contains', 'gt'),
      value: fc.oneof(text, fc.integer()),
    })
    const { condition } = fc.letrec((tie) => ({
      condition: fc.oneof(
        { maxDepth: 9, withCrossShrink: true },
        comparison,
        good,
        fc.record({ and: fc.oneof(fc.array(tie('condition'), { maxLength: 3 }), value) }),
        fc.record({ or: fc.array(tie('condition'), { maxLength: 3 }) }),
        fc.record({ not: tie('condition') }),
        fc.record({ not: tie('condition'), and: value }, { requiredKeys: [] }),
        value,
      ),
    }))
    const taken = { by: 0, of: 0 }

    await fc.assert(
      fc.asyncProperty(fc.array(condition, { minLength: 200, maxLength: 200 }), async (values) => {
        const bySql = await takenBySql(values)
        const apart = values.filter((value, index) => isTakenByContract(value) !== bySql[index])
        taken.by += bySql.filter(Boolean).length
        taken.of += values.length
        expect(apart).toEqual([])
      }),
      { numRuns: 25 },
    )

    expect(taken.of).toBe(5_000)
    expect(taken.by).toBeGreaterThan(500) // and many were good
  })

  it('says where it is wrong', () => {
    const { error } = Condition.safeParse({
      and: [price, { not: { field: 'a', operator: 'matches', value: 1 } }, { or: [] }, { is: 1 }],
    })

    expect(error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
      [
        'and.1.not.operator',
        'must be eq, ne, gt, gte, lt, lte, in, contains, starts_with or exists',
      ],
      ['and.2.or', 'must be a list of 1 to 20 conditions'],
      ['and.3', 'must have field, and, or, or not'],
    ])
  })
})

describe('a document', () => {
  const document = {
    type: 'order.created',
    subject: null,
    data: {
      total: '49.50',
      count: 3,
      tags: ['vip', 7],
      paid: true,
      at: '2026-11-20T09:00:00Z',
      by: { name: 'Ada' },
      'a.b': 1,
    },
  }

  it.each<[boolean, string, string, unknown]>([
    [true, 'type', 'eq', 'order.created'],
    [false, 'type', 'eq', 'order.updated'],
    [true, 'data.count', 'eq', 3.0],
    [true, 'data.total', 'eq', 49.5], // amounts are text
    [false, 'data.total', 'eq', '49.5'],
    [true, 'data.total', 'gt', 9], // not as text, where 4 comes before 9
    [false, 'data.total', 'gt', 49.5],
    [true, 'data.total', 'gte', 49.5],
    [true, 'data.at', 'lt', '2026-12-01T00:00:00Z'],
    [false, 'data.by', 'lt', 5],
    [false, 'data.nothing', 'lt', 5],
    [false, 'data.nothing', 'gte', 5],
    [true, 'data.nothing', 'eq', null],
    [true, 'data.nothing', 'ne', 'x'],
    [true, 'subject', 'eq', null],
    [false, 'subject', 'exists', true],
    [true, 'data.by.name', 'exists', true],
    [true, 'data.nothing', 'exists', false],
    [true, 'data.tags', 'contains', 'vip'],
    [true, 'data.tags', 'contains', 7],
    [false, 'data.tags', 'contains', 'vi'],
    [true, 'type', 'contains', 'created'],
    [false, 'type', 'contains', '%'],
    [false, 'data.count', 'contains', 3],
    [true, 'type', 'starts_with', 'order.'],
    [false, 'type', 'starts_with', 'order_'],
    [true, 'type', 'in', ['a', 'order.created']],
    [true, 'data.count', 'in', [1, 2, 3]],
    [false, 'data.count', 'in', ['3']],
    [true, 'data.paid', 'eq', true],
    [false, 'data.paid', 'eq', 'true'],
    [false, 'data.a.b', 'eq', 1], // a name with a dot cannot be reached
    [true, 'data.tags.0', 'eq', 'vip'],
  ])('fits (%s): %s %s %j', async (expected, field, operator, value) => {
    const condition = { field, operator, value }

    expect(await takenBySql([condition])).toEqual([true])
    expect(await fits(condition, document)).toBe(expected)
    expect(await fits({ not: condition }, document)).toBe(!expected)
  })

  it('fits what is joined as the words say', async () => {
    const yes = { field: 'data.count', operator: 'eq', value: 3 }
    const no = { field: 'data.count', operator: 'eq', value: 4 }

    const fitting = await Promise.all(
      [{ and: [yes, yes] }, { and: [yes, no] }, { or: [no, yes] }, { or: [no, no] }]
        .map((condition) => fits(condition, document)),
    )

    expect(fitting).toEqual([true, false, true, false])
  })

  it('fits when nothing is asked', async () => {
    const [row] = await owner`select private.condition_holds(null, '{}') as fits`

    expect(row?.fits).toBe(true)
  })

  it('that cannot be compared fits no order and fails nothing', async () => {
    const odd = [{}, [], '1e999', '--1', '١', true, null, 'NaN', '1'.repeat(40)]

    const fitting = await Promise.all(
      odd.map((value) => fits({ field: 'a', operator: 'gt', value: 1 }, { a: value })),
    )

    expect(fitting).toEqual(odd.map(() => false))
  })
})
