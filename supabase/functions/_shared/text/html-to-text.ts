// What does a page or mail in HTML say? Its words in lines, quotes marked as in a plain mail.
import { decodeEntities } from './html-entities.ts'

/** Enough of a mail to read; what follows in a longer one is not looked at. */
const MOST_CHARACTERS = 1_000_000

/** Their content is not for people. */
const SKIPPED = new Set(['head', 'style', 'script', 'title', 'template', 'noscript'])
/** They begin and end a line. */
const BLOCKS = new Set(
  'address article aside blockquote center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tr ul'
    .split(' '),
)
/** They have an empty line before and after. */
const SPACED = new Set(['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'ul', 'ol', 'table'])

/** Plain text of an HTML document or fragment; links keep their words and lose their addresses. */
export function htmlToText(html: string): string {
  const source = html.slice(0, MOST_CHARACTERS)
  const lower = source.toLowerCase()
  const lines: string[] = []
  let line = ''
  let quotes = 0

  const endLine = () => {
    const text = line.replace(/\s+/g, ' ').trim()
    line = ''
    if (text !== '') lines.push('> '.repeat(quotes) + text)
  }
  const emptyLine = () => {
    if (lines.length > 0 && lines.at(-1) !== '') lines.push('')
  }
  const enter = (name: string, isEnd: boolean) => {
    if (name === 'br') return line.trim() === '' ? emptyLine() : endLine()
    if (name === 'td' || name === 'th') return void (line += ' ')
    if (!BLOCKS.has(name)) return
    endLine()
    if (SPACED.has(name)) emptyLine()
    if (name === 'blockquote') quotes = Math.max(0, quotes + (isEnd ? -1 : 1))
    if (name === 'li' && !isEnd) line = '- '
  }

  let at = 0
  while (at < source.length) {
    const tag = source.indexOf('<', at)
    if (tag < 0) break
    line += decodeEntities(source.slice(at, tag))
    if (source.startsWith('<!--', tag)) {
      at = after(source.indexOf('-->', tag), 3, source)
      continue
    }
    const [, slash, name] = /^<(\/?)([a-z][a-z\d]*)/.exec(lower.slice(tag, tag + 20)) ?? []
    if (name === undefined) {
      // `<!doctype>` and `<?xml?>` say nothing; a lone `<` is text
      const isMarkup = /^<[!?/]/.test(source.slice(tag, tag + 2))
      if (!isMarkup) line += '<'
      at = isMarkup ? after(source.indexOf('>', tag), 1, source) : tag + 1
      continue
    }
    at = after(source.indexOf('>', tag), 1, source)
    if (slash === '' && SKIPPED.has(name)) {
      const end = lower.indexOf(`</${name}`, at)
      if (end >= 0) at = after(source.indexOf('>', end), 1, source)
      continue
    }
    enter(name, slash === '/')
  }
  if (at < source.length) line += decodeEntities(source.slice(at))
  endLine()
  return lines.join('\n').trim()
}

/** Behind what was found; the end when it was not. */
const after = (found: number, length: number, source: string) =>
  found < 0 ? source.length : found + length
