// What lies in a mailbox? Mail of every kind: plain, HTML, both, with files, from lists, machines and groups.
import type { SeededRandom } from '../parts/seeded-random.ts'
import type { GmailHeader, GmailPart, NewMail } from './mailbox.ts'

const PEOPLE = [
  ['Bob Mertens', 'bob@north.example'],
  ['=?utf-8?Q?Zo=C3=AB_K=2E?=', 'zoe@north.example'],
  ['"Lovelace, Grace"', 'grace@south.example'],
] as const
const TOPICS = ['Delivery on Friday', 'Invoice 4711', 'The new menu', 'Opening hours', 'A question']
const SENTENCES = [
  'Thank you for the great help yesterday, everybody was happy.',
  'The delivery was late again and two boxes are broken, this is terrible.',
  'Could you please send me the price list?',
  'The meeting is on Monday at ten.',
  'See you soon.',
]

export function makeMail(random: SeededRandom, own: string, at: string, index: number): NewMail {
  const [name, address] = random.pick(PEOPLE)
  const text = `${random.pick(SENTENCES)}\r\n${random.pick(SENTENCES)}\r\n`
  const headers: GmailHeader[] = [
    { name: index % 3 === 0 ? 'FROM' : 'From', value: `${name} <${address}>` },
    { name: 'To', value: own },
    { name: 'Subject', value: random.pick(TOPICS) },
    { name: 'Message-ID', value: `<seed-${index}@north.example>` },
  ]
  const labelIds = ['INBOX', ...(random.chance(0.5) ? ['UNREAD'] : [])]
  const mail = { labelIds, at, snippet: text.slice(0, 60).replace("'", '&#39;').trim() }
  switch (index % 6) {
    case 1:
      return { ...mail, payload: htmlPart(`<p>${text}</p>`, headers) }
    case 2:
      return {
        ...mail,
        payload: multipart('alternative', [textPart(text), htmlPart(`<b>${text}</b>`)], headers),
      }
    case 3:
      return {
        ...mail,
        payload: multipart('mixed', [textPart(text), filePart('prices.pdf')], headers),
      }
    case 4:
      return {
        ...mail,
        payload: textPart(text, [...headers, { name: 'List-Id', value: '<news.north.example>' }]),
      }
    default:
      return { ...mail, payload: textPart(text, headers) }
  }
}

export const textPart = (text: string, headers: GmailHeader[] = []): GmailPart =>
  leaf('text/plain', text, headers)

export const htmlPart = (html: string, headers: GmailHeader[] = []): GmailPart =>
  leaf('text/html', html, headers)

const leaf = (mimeType: string, content: string, headers: GmailHeader[]): GmailPart => ({
  partId: '',
  mimeType,
  filename: '',
  headers: [...headers, { name: 'Content-Type', value: `${mimeType}; charset="UTF-8"` }],
  body: { size: content.length, data: Buffer.from(content).toString('base64url') },
})

export const filePart = (filename: string): GmailPart => ({
  partId: '',
  mimeType: 'application/pdf',
  filename,
  headers: [{ name: 'Content-Disposition', value: `attachment; filename="${filename}"` }],
  body: { size: 4711 },
})

export const multipart = (
  kind: string,
  parts: GmailPart[],
  headers: GmailHeader[] = [],
): GmailPart => ({
  partId: '',
  mimeType: `multipart/${kind}`,
  filename: '',
  headers,
  body: { size: 0 },
  parts: parts.map((part, index) => ({ ...part, partId: String(index) })),
})
