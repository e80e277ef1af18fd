// How does a text sound to a word list? Often right, and known to be wrong where the last tests say so.
import { describe, expect, it } from 'vitest'
import { sentimentScore } from '../../../supabase/functions/_shared/text/sentiment.ts'

describe('the score', () => {
  it.each([
    ['I love it, thank you!', 0.5],
    ['This is terrible. I am very disappointed.', -0.5],
    ['The parcel is on the table.', 0],
    ['GOOD', 0.6],
    ['good and bad', 0],
    ['😀', 0.4],
    ['❤️', 0.6],
    ['Спасибо ❤️', 0.6],
  ])('of %j is %d', (text, expected) => {
    expect(sentimentScore(text)).toBe(expected)
  })

  it.each([
    null,
    '',
    '  \n ',
    'Спасибо большое',
    '素晴らしい',
    '12345',
    'https://great.example/love',
  ])(
    'of %j is unknown: nothing in it could be in the list',
    (text) => {
      expect(sentimentScore(text)).toBeNull()
    },
  )

  it('stays between -1 and 1 in hundredths, whatever is written', () => {
    const scores = ['superb '.repeat(500), 'bastard '.repeat(500), 'superb good fine abandon']
      .map((text) => sentimentScore(text)!)

    expect(scores.slice(0, 2)).toEqual([1, -1])
    expect(String(scores[2])).toMatch(/^0\.\d{1,2}$/)
  })

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'of the word %j is 0, though every object has it',
    (word) => {
      expect(sentimentScore(word)).toBe(0)
    },
  )
})

describe('a negation', () => {
  it.each([
    ['not good', -0.3],
    ['not at all good', -0.3],
    ['It isn’t good', -0.3],
    ["don't worry", 0.3],
    ['no problem', 0.2],
  ])('turns the word after it around, at half its weight: %j', (text, expected) => {
    expect(sentimentScore(text)).toBe(expected)
  })

  it('reaches neither over a comma nor far', () => {
    expect(sentimentScore('No, that is good')).toBe(0.6)
    expect(sentimentScore('not that anybody had asked but good')).toBe(0.6)
  })
})

describe('what is not the sender’s own', () => {
  it.each([
    ['lines quoted with >', 'Thanks, great!\n> This is terrible and awful'],
    ['an answered mail', 'Thanks, great!\n\nOn Mon, 5 Jan 2026, Ada wrote:\nThis is terrible'],
    ['a forwarded one', 'Thanks, great!\n----- Original Message -----\nThis is terrible'],
    ['addresses', 'Thanks, great! https://x.example/terrible awful@terrible.example'],
  ])('does not count: %s', (_what, text) => {
    expect(sentimentScore(text)).toBe(sentimentScore('Thanks, great!'))
    expect(sentimentScore(`${text}\nterrible`)).not.toBeNull()
  })
})

it('of a text known to be in another language is unknown, where letters alone would mislead', () => {
  const german = 'Die Ware ist da'

  expect(sentimentScore(german)).toBe(-0.6) // the article is read as a death
  expect(sentimentScore(german, 'de')).toBeNull()
  expect(sentimentScore('good', 'en-GB')).toBe(0.6)
  expect(sentimentScore('good', 'und')).toBe(0.6)
  expect(sentimentScore('good', null)).toBe(0.6)
})

it('is wrong about irony, and about words that happen to be a topic', () => {
  expect(sentimentScore('Great, it broke on the first day. Brilliant.')).toBeGreaterThan(0)
  expect(sentimentScore('We sell pepper spray and cancer insurance.')).toBeLessThan(0)
})
