import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBody } from '../../../supabase/functions/_shared/webhooks/parse-body.ts'
import { bytes } from './ask.ts'

const FORM = 'application/x-www-form-urlencoded'
const json = (text: string, contentType: string | null = 'application/json') =>
  parseBody(contentType, bytes(text))
const form = (text: string, contentType = FORM) => parseBody(contentType, bytes(text))

describe('a JSON body', () => {
  it.each([null, 'application/json; charset=utf-8', 'text/plain', 'application/problem+json'])(
    'is read, also where it is called %s',
    (contentType) => expect(json('{"a":[1]}', contentType)).toEqual({ a: [1] }),
  )

  it('may begin with a byte order mark and blanks', () => {
    expect(json('\ufeff{"a":1}')).toEqual({ a: 1 })
    expect(json('\r\n {"a":1}\r\n')).toEqual({ a: 1 })
  })

  it.each(['', ' ', '{', '{"a":1}}', 'hello', '{a:1}'])('that is none (%s) is nothing', (text) => {
    expect(json(text)).toBeUndefined()
  })

  it('that is no UTF-8 is nothing', () => {
    expect(parseBody('application/json', Uint8Array.of(0x22, 0xff, 0x22))).toBeUndefined()
    expect(parseBody(FORM, Uint8Array.of(0x61, 0x3d, 0xff))).toBeUndefined()
  })

  it('of a hundred thousand levels is nothing, and brackets in a text are no levels', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

    expect(json(nested(100_000))).toBeUndefined()
    expect(json(nested(50))).toBeInstanceOf(Array)
    expect(json(JSON.stringify({ text: `\\"${'['.repeat(1000)}` })))
      .toEqual({ text: `\\"${'['.repeat(1000)}` })
  })

  it('can be stored: no NUL, no half of a pair', () => {
    expect(json('{"a":"b\\u0000c","d":"\\ud800"}')).toEqual({ a: 'bc', d: '\ufffd' })
  })
})

describe('a form', () => {
  it('is read with objects where keys have brackets', () => {
    expect(form('type=profile&data%5Bid%5D=1&data[merges][FNAME]=Ada+L&data[merges][x y]=%26'))
      .toEqual({ type: 'profile', data: { id: '1', merges: { FNAME: 'Ada L', 'x y': '&' } } })
  })

  it('is known by its type, whatever its case and parameters', () => {
    expect(form('a=1', 'Application/X-WWW-Form-Urlencoded; charset=UTF-8')).toEqual({ a: '1' })
    expect(form('a=1', 'application/x-www-form-urlencoded-not')).toBeUndefined()
  })

  it('keeps the last of two values, and an odd key as it is', () => {
    expect(form('a=1&a=2&b[=3&[c]=4&d]e[f]=5&=6'))
      .toEqual({ a: '2', 'b[': '3', '[c]': '4', 'd]e[f]': '5', '': '6' })
  })

  it('cannot reach what every object has', () => {
    const read = form('__proto__[polluted]=1&constructor[prototype][polluted]=1&a=1')

    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(read).toMatchObject({ a: '1' })
  })

  it('with more fields than a webhook has is nothing', () => {
    const fields = (count: number) => Array.from({ length: count }, (_, i) => `k${i}=`).join('&')

    expect(form(fields(1001))).toBeUndefined()
    expect(Object.keys(form(fields(1000)) as object)).toHaveLength(1000)
  })
})

it('no bytes of any type make it fail', () => {
  fc.assert(fc.property(
    fc.oneof(fc.uint8Array(), fc.json().map(bytes), fc.webQueryParameters().map(bytes)),
    fc.constantFrom(null, FORM, 'application/json', 'multipart/form-data'),
    (body, contentType) => {
      JSON.stringify(parseBody(contentType, body))
    },
  ))
})
