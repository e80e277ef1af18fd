import { describe, expect, it } from 'vitest'
import { weightedLength } from '../../../supabase/functions/_shared/text/weighted-length.ts'

describe('the length of a post as X counts it', () => {
  it.each([
    ['', 0],
    ['plain text', 10],
    ['crème brûlée', 12],
    ['cre\u0300me', 5], // composed first
    ['“quoted” – dash', 15],
    ['Привет', 6],
    ['日本語', 6],
    ['한국', 4],
    ['👍', 2],
    ['👩‍👩‍👧‍👦 family', 9],
    ['👍🏽', 2],
    ['🇩🇪', 2],
    ['1️⃣', 2],
    ['❤️', 2],
    ['© 2026', 6],
    ['see https://example.com/a/very/long/path?with=a&query=too', 27],
    ['http://a.example and https://b.example', 51],
  ])('of %j is %i', (text, length) => {
    expect(weightedLength(text)).toBe(length)
  })

  it('lets 280 Latin letters or 140 ideographs into a post', () => {
    expect(weightedLength('a'.repeat(280))).toBe(280)
    expect(weightedLength('字'.repeat(140))).toBe(280)
  })
})
