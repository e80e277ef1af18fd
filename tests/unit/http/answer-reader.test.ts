import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AnswerReader } from '../../../supabase/functions/_shared/http/answer-reader.ts'

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** Reads pieces as a connection would bring them, then the connection's end. */
function read(pieces: Uint8Array[], maxBytes = 1_000) {
  const reader = new AnswerReader(maxBytes)
  for (const piece of pieces) if (!reader.isDone) reader.push(piece)
  const endsByItself = reader.isDone
  reader.end()
  return {
    status: reader.status,
    body: String.fromCharCode(...reader.bytes),
    isDone: reader.isDone,
    isCut: reader.isCut,
    isReusable: reader.isReusable,
    endsByItself,
  }
}

const HEAD = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`
const whole = (status: number, body: string) => ({
  status,
  body,
  isDone: true,
  isCut: false,
  isReusable: true,
  endsByItself: true,
})

// in the order of RFC 9112 section 6.3; the first chunked one is Wikipedia's example
const ANSWERS: [string, string, ReturnType<typeof read>][] = [
  ['204, which has no body', 'HTTP/1.1 204 No Content\r\n\r\n', whole(204, '')],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n', whole(304, '')],
  [
    'chunks',
    `${CHUNKED}4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n`,
    whole(200, 'Wikipedia in \r\nchunks.'),
  ],
  [
    'chunks with extensions and trailers',
    `${CHUNKED}a;x=y\r\n0123456789\r\n000\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n`,
    whole(200, '0123456789'),
  ],
  ['no chunk', `${CHUNKED}0\r\n\r\n`, whole(200, '')],
  ['a length', `${HEAD}content-length: 4\r\n\r\nbody`, whole(200, 'body')],
  [
    'the same length twice',
    `${HEAD}content-length: 4\r\ncontent-length: 4\r\n\r\nbody`,
    whole(200, 'body'),
  ],
  ['a length of nothing', `${HEAD}content-length: 0\r\n\r\n`, whole(200, '')],
  ['line feeds alone', 'HTTP/1.1 200\ncontent-length: 2\n\nok', whole(200, 'ok')],
  [
    'announcements before it',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HEAD}content-length: 2\r\n\r\nok`,
    whole(200, 'ok'),
  ],
  ['the end of the connection', `${HEAD}\r\nbody`, {
    ...whole(200, 'body'),
    isReusable: false,
    endsByItself: false,
  }],
  ['another encoding', `${HEAD}transfer-encoding: gzip\r\n\r\nbody`, {
    ...whole(200, 'body'),
    isReusable: false,
    endsByItself: false,
  }],
  ['half of its length', `${HEAD}content-length: 8\r\n\r\nbody`, {
    ...whole(200, 'body'),
    isDone: false,
    isReusable: false,
    endsByItself: false,
  }],
  ['half of a chunk', `${CHUNKED}8\r\nbody`, {
    ...whole(200, 'body'),
    isDone: false,
    isReusable: false,
    endsByItself: false,
  }],
]

describe('reading an answer', () => {
  it.each(ANSWERS)('with %s', (_, text, expected) => {
    expect(read([bytesOf(text)])).toEqual(expected)
  })

  it.each(ANSWERS)('with %s, however it is cut into pieces', (_, text, expected) => {
    const bytes = bytesOf(text)
    expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(expected)
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
      const ends = [...cuts, bytes.length].sort((a, b) => a - b)
      const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
      expect(read(pieces)).toEqual(expected)
    }))
  })

  it.each([
    ['a length', `${HEAD}content-length: 6\r\n\r\nabcdef`],
    ['chunks', `${CHUNKED}2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n`],
    ['the end of the connection', `${HEAD}\r\nabcdef`],
  ])('with %s keeps as much as was asked for, and no less', (_, text) => {
    expect(read([bytesOf(text)], 4)).toMatchObject({
      body: 'abcd',
      isDone: true,
      isCut: true,
      isReusable: false,
    })
    expect(read([bytesOf(text)], 6)).toMatchObject({ body: 'abcdef', isDone: true, isCut: false })
  })

  it('never fails otherwise than by saying what is wrong', () => {
    const line = fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 999',
      'a: b',
      ':',
      '',
      'content-length: 3',
      'transfer-encoding: chunked',
      '3',
      'abc',
      '0',
      'ffffffffffff',
      'é\0',
    )
    fc.assert(fc.property(fc.array(line), fc.constantFrom('\r\n', '\n'), (lines, end) => {
      try {
        read([bytesOf(lines.join(end))])
      } catch (error) {
        expect(error).toHaveProperty('name', 'NotAnAnswer')
      }
    }))
  })
})

describe('an answer that need have no end', () => {
  const KILOBYTE = 'x'.repeat(1_000)
  const repeated = (piece: string, bytes: number) => piece.repeat(Math.ceil(bytes / piece.length))
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

  it.each<[string, (bytes: number) => string]>([
    ['announcements', (bytes) => `${repeated(CONTINUE, bytes)}${HEAD}content-length: 0\r\n\r\n`],
    ['trailers', (bytes) => `${CHUNKED}0\r\n${repeated(`x-a: ${KILOBYTE}\r\n`, bytes)}\r\n`],
    [
      'chunks of one byte with long extensions',
      (bytes) => `${CHUNKED}${repeated(`1;${KILOBYTE}\r\na\r\n`, bytes)}0\r\n\r\n`,
    ],
  ])('of %s is given up beyond 64 KB, and read below', (_what, answer) => {
    expect(read([bytesOf(answer(60_000))])).toMatchObject({ status: 200, isDone: true })
    expect(() => read([bytesOf(answer(70_000))])).toThrow('it has no end')
    expect(() => read(Array.from(bytesOf(answer(70_000)), (byte) => Uint8Array.of(byte)))).toThrow(
      'it has no end',
    )
  })
})
