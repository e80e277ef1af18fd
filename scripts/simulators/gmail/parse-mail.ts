// What is in a mail as it came over the wire? Its headers and parts, as Gmail shows them.
import type { GmailPart } from './mailbox.ts'

/** @param raw The mail, one character a byte. */
export function parseMail(raw: string, partId = ''): GmailPart {
  const [, head = '', body = ''] = /^([\s\S]*?)\r\n\r\n([\s\S]*)$/.exec(raw) ?? [null, raw, '']
  const headers = head.replace(/\r\n(?=[ \t])/g, '').split('\r\n').filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':')
      if (colon < 1) throw new Error(`this is no header: ${line}`)
      return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() }
    })
  const of = (name: string) =>
    headers.find((header) => header.name.toLowerCase() === name)?.value ?? ''
  const mimeType = (of('content-type') || 'text/plain').split(';')[0]!.trim().toLowerCase()
  const boundary = /boundary="?([^";]+)"?/.exec(of('content-type'))?.[1]
  const about = { partId, mimeType, filename: fileName(of('content-disposition')), headers }
  if (boundary !== undefined) {
    const inner = `\r\n${body}`.split(`\r\n--${boundary}`).slice(1)
    if (!inner.at(-1)?.startsWith('--')) throw new Error('the last part does not end')
    return {
      ...about,
      body: { size: 0 },
      parts: inner.slice(0, -1).map((part, index) =>
        parseMail(
          part.replace(/^[ \t]*\r\n/, ''),
          partId === '' ? `${index}` : `${partId}.${index}`,
        )
      ),
    }
  }
  const bytes = decode(body, of('content-transfer-encoding').toLowerCase())
  return { ...about, body: { size: bytes.length, data: bytes.toString('base64url') } }
}

function decode(body: string, encoding: string): Buffer {
  if (encoding === 'base64') return Buffer.from(body, 'base64')
  if (encoding !== 'quoted-printable') return Buffer.from(body, 'latin1')
  const text = body.replace(/[ \t]*=\r\n/g, '').replace(
    /=([\dA-F]{2})/gi,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  )
  return Buffer.from(text, 'latin1')
}

/** `filename="a.txt"`, and RFC 2231's `filename*0*=utf-8''…` in one piece. */
function fileName(disposition: string): string {
  const extended = /filename\*(?:0\*)?=utf-8''([^;]+)/i.exec(disposition)?.[1]
  if (extended !== undefined) return decodeURIComponent(extended)
  return /filename="?([^";]+)"?/i.exec(disposition)?.[1] ?? ''
}
