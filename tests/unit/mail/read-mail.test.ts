import { describe, expect, it } from 'vitest'
import { decodeWords } from '../../../supabase/functions/_shared/mail/encoded-words.ts'
import {
  isAutomatic,
  isMailingList,
  readHeaders,
} from '../../../supabase/functions/_shared/mail/headers.ts'
import {
  attachmentsOf,
  bodyText,
  type MailPart,
} from '../../../supabase/functions/_shared/mail/parts.ts'

const data = (text: string, encoding: BufferEncoding = 'utf8') =>
  Buffer.from(text, encoding).toString('base64url')
const headers = (...pairs: [string, string][]) =>
  readHeaders(pairs.map(([name, value]) => ({ name, value })))

describe('an encoded word (RFC 2047)', () => {
  // the first five are the RFC's own, section 8
  it.each([
    ['=?ISO-8859-1?Q?a?=', 'a'],
    ['=?ISO-8859-1?Q?a?= b', 'a b'],
    ['=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=', 'ab'],
    ['=?ISO-8859-1?Q?a_b?=', 'a b'],
    ['=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=', 'a b'],
    ['=?utf-8?B?w6k=?= and =?US-ASCII*EN?Q?Keith_Moore?=', 'é and Keith Moore'],
    ['=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=', 'café'],
    ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
    ['=?x-unknown?Q?a?=', '=?x-unknown?Q?a?='],
    ['=?utf-8?B?***?=', '=?utf-8?B?***?='],
    ['no word at all = ?', 'no word at all = ?'],
  ])('%s is %s', (encoded, decoded) => {
    expect(decodeWords(encoded)).toBe(decoded)
  })
})

describe('headers', () => {
  it('are found whatever their case, the first of several, unfolded', () => {
    const read = headers(['SUBJECT', 'One\r\n two'], ['Subject', 'Three'])

    expect(read.text('Subject')).toBe('One two')
    expect(read.text('X-None')).toBeNull()
  })

  it.each<[string, { name: string | null; address: string | null }[]]>([
    ['ada@acme.example', [{ name: null, address: 'ada@acme.example' }]],
    ['Ada <ADA@acme.example>', [{ name: 'Ada', address: 'ada@acme.example' }]],
    ['"Lovelace, Ada" <ada@acme.example>', [{
      name: 'Lovelace, Ada',
      address: 'ada@acme.example',
    }]],
    ['=?utf-8?Q?L=2C_Ad=C3=A4?= <ada@acme.example>', [
      { name: 'L, Adä', address: 'ada@acme.example' },
    ]],
    ['ada@acme.example (Ada), bob@acme.example', [
      { name: 'Ada', address: 'ada@acme.example' },
      { name: null, address: 'bob@acme.example' },
    ]],
    ['Team: Ada <ada@acme.example>, bob@acme.example;', [
      { name: 'Ada', address: 'ada@acme.example' },
      { name: null, address: 'bob@acme.example' },
    ]],
    ['undisclosed-recipients:;', []],
  ])('name in %s', (value, mailboxes) => {
    expect(headers(['to', value]).mailboxes('To')).toEqual(mailboxes)
  })

  it('that repeat are read together where they list mailboxes', () => {
    expect(headers(['To', 'a@x.example'], ['to', 'b@x.example']).mailboxes('To')).toHaveLength(2)
  })

  it('tell a list and a machine from a person', () => {
    expect(isMailingList(headers(['List-Unsubscribe', '<https://x.example>']))).toBe(true)
    expect(isMailingList(headers(['Precedence', 'Bulk']))).toBe(true)
    expect(isMailingList(headers(['Subject', 'List-Id']))).toBe(false)
    expect(isAutomatic(headers(['auto-submitted', 'auto-replied']))).toBe(true)
    expect(isAutomatic(headers(['Return-Path', '<>']))).toBe(true)
    expect(isAutomatic(headers(['Auto-Submitted', 'no']))).toBe(false)
    expect(isAutomatic(headers(['Subject', 'Auto']))).toBe(false)
  })
})

describe('the text of a mail', () => {
  const plain = (text: string): MailPart => ({ mimeType: 'text/plain', body: { data: data(text) } })
  const html = (text: string): MailPart => ({ mimeType: 'text/html', body: { data: data(text) } })
  const multi = (kind: string, parts: MailPart[]): MailPart => ({
    mimeType: `multipart/${kind}`,
    parts,
  })

  it('is the plain one of two that say the same, unless it is empty', () => {
    expect(bodyText(multi('alternative', [plain('Hi'), html('<b>Ho</b>')]))).toBe('Hi')
    expect(bodyText(multi('alternative', [plain(' \r\n'), html('<b>Ho</b>')]))).toBe('Ho')
  })

  it('is found inside, joined, and without what is attached', () => {
    const attached = { ...plain('secret'), filename: 'a.txt' }
    const inner = multi('alternative', [plain('Hi'), multi('related', [html('<p>Ho'), attached])])

    expect(bodyText(multi('mixed', [inner, attached, plain('Bye\r\n')]))).toBe('Hi\n\nBye')
    expect(bodyText(multi('mixed', [attached]))).toBeNull()
  })

  it('is read in the charset it is in: UTF-8, the one it names, or old Latin', () => {
    const as = (type: string, bytes: string): MailPart => ({
      mimeType: 'text/plain',
      headers: [{ name: 'content-type', value: type }],
      body: { data: data(bytes, 'latin1') },
    })

    expect(bodyText(as('text/plain; charset=koi8-r', '\xd0\xd2\xc9'))).toBe('при')
    expect(bodyText(as('text/plain; charset="x-nobody"', 'caf\xe9'))).toBe('café')
    expect(bodyText(as('text/plain; charset=iso-8859-1', 'caf\xc3\xa9'))).toBe('café')
  })

  it('does not come from parts that nest without end', () => {
    let part = plain('deep')
    for (let level = 0; level < 5_000; level++) part = multi('mixed', [part])

    expect(bodyText(part)).toBeNull()
    expect(attachmentsOf(part)).toEqual([])
  })

  it('leaves behind what is attached: name, type and size', () => {
    const file: MailPart = {
      partId: '1',
      mimeType: 'application/pdf',
      filename: '=?utf-8?Q?pr=C3=A9.pdf?=',
      body: { size: 4711 },
    }
    const invitation: MailPart = { partId: '2', mimeType: 'text/calendar', filename: '' }

    expect(attachmentsOf(multi('mixed', [plain('Hi'), file, invitation]))).toEqual([
      { source_id: '1', name: 'pré.pdf', content_type: 'application/pdf', byte_size: 4711 },
      { source_id: '2', name: null, content_type: 'text/calendar', byte_size: null },
    ])
  })
})
