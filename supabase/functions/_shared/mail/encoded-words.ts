// What does `=?utf-8?Q?caf=C3=A9?=` in a mail's header say? RFC 2047.

const WORD = String.raw`=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=`
/** Words with nothing but white space in between are one text: a letter may be cut between two of them. */
const RUN = new RegExp(`${WORD}(?:\\s+${WORD})*`, 'gi')

/** The text with its encoded words decoded; one in an unknown charset stays as it is. */
export function decodeWords(text: string): string {
  return text.replace(RUN, (run) => {
    try {
      return decodeRun(run)
    } catch {
      return run
    }
  })
}

function decodeRun(run: string): string {
  let text = ''
  let charset = ''
  let bytes: number[] = []
  const flush = () => {
    if (bytes.length > 0) text += new TextDecoder(charset).decode(new Uint8Array(bytes))
    bytes = []
  }
  for (const [, itsCharset, encoding, content] of run.matchAll(new RegExp(WORD, 'gi'))) {
    if (itsCharset!.toLowerCase() !== charset) flush()
    charset = itsCharset!.toLowerCase()
    bytes.push(...(encoding!.toLowerCase() === 'b' ? ofBase64(content!) : ofQuoted(content!)))
  }
  flush()
  return text
}

const ofBase64 = (text: string) => [...atob(text)].map((character) => character.charCodeAt(0))

function ofQuoted(text: string): number[] {
  const bytes: number[] = []
  for (let at = 0; at < text.length; at++) {
    const hex = text[at] === '=' ? /^[\da-f]{2}/i.exec(text.slice(at + 1, at + 3))?.[0] : undefined
    if (hex !== undefined) {
      bytes.push(parseInt(hex, 16))
      at += 2
    } else bytes.push(text[at] === '_' ? 0x20 : text.charCodeAt(at))
  }
  return bytes
}
