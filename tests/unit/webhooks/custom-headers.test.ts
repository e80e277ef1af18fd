import { describe, expect, it } from 'vitest'
import { checkCustomHeaders } from '../../../supabase/functions/_shared/webhooks/custom-headers.ts'

/** What was found wrong; nothing when the headers may be sent. */
function wrongWith(headers: Record<string, string>) {
  try {
    checkCustomHeaders(headers)
    return undefined
  } catch (error) {
    return error
  }
}

const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, 'value']))

describe('headers that people add to their webhooks', () => {
  it.each([
    [{}],
    [{ 'X-Team': 'sales', authorization: 'Bearer abc.def', "odd!#$%&'*+.^_`|~": 'a\tb c' }],
    [{ 'x-empty': '' }],
    [{ 'x-webhooks': 'not ours', 'x-content-type': 'neither', accept: '*/*' }],
    [{ [`x${'y'.repeat(99)}`]: 'z'.repeat(2_000) }],
    [many(20)],
  ])('%j may be sent', (headers) => {
    expect(wrongWith(headers)).toBeUndefined()
    expect(() => new Headers(headers)).not.toThrow()
  })

  it.each([
    'Host',
    'Content-Length',
    'content-type',
    'Content-Encoding',
    'Transfer-Encoding',
    'Connection',
    'Keep-Alive',
    'Upgrade',
    'TE',
    'Trailer',
    'Expect',
    'Proxy-Authorization',
    'proxy-connection',
    'Webhook-Id',
    'webhook-timestamp',
    'WEBHOOK-SIGNATURE',
    'svix-id',
    'X-Webhook-Signature',
    'User-Agent',
    'Accept-Encoding',
    'Cookie',
    'Set-Cookie',
  ])('%s is the sender’s own', (name) => {
    expect(wrongWith({ [name]: 'value', 'x-team': 'sales' })).toMatchObject({
      code: 'invalid_endpoint',
      errors: [{ path: `headers.${name}`, message: 'is set by the sender of the webhook' }],
    })
  })

  it.each(['', 'two words', 'x:', 'x\r\ny', 'x\0', 'ü', 'x(y)', 'x/y', ' x', '__proto__ '])(
    '%j is not the name of a header',
    (name) => {
      expect(wrongWith({ [name]: 'value' })).toMatchObject({
        code: 'invalid_endpoint',
        errors: [{ message: 'is not the name of a header' }],
      })
    },
  )

  it.each([
    'a\r\nhost: other',
    'a\nb',
    'a\rb',
    'a\0b',
    '\x1b[31m',
    '\x7f',
    'é',
    '😀',
    ' a',
    'a ',
    '\t',
  ])(
    'the value %j cannot be sent everywhere',
    (value) => {
      expect(wrongWith({ 'x-team': value })).toMatchObject({
        code: 'invalid_endpoint',
        errors: [{ path: 'headers.x-team', message: expect.stringContaining('printable ASCII') }],
      })
    },
  )

  it.each([
    ['a name of 101 characters', { [`x${'y'.repeat(100)}`]: 'a' }, 'must not be longer than 100'],
    ['a value of 2001 characters', { 'x-team': 'a'.repeat(2_001) }, 'must not be longer than 2000'],
    ['21 headers', many(21), 'must not be more than 20'],
    ['one name in two spellings', { 'X-Team': 'a', 'x-team': 'b' }, 'is named twice'],
  ])('%s is too much', (_, headers, message) => {
    expect(wrongWith(headers)).toMatchObject({
      code: 'invalid_endpoint',
      errors: [{ message: expect.stringContaining(message) }],
    })
  })

  it('names each header at fault and repeats no value', () => {
    const error = wrongWith({ host: 'hush-1', 'x-team': 'hush-2\n', 'x-good': 'hush-3' })

    expect(error).toMatchObject({ errors: [{ path: 'headers.host' }, { path: 'headers.x-team' }] })
    expect(JSON.stringify([error, String(error)])).not.toContain('hush')
  })
})
