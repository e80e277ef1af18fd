// How long is a post as X counts it? (docs.x.com, "Counting characters", read 2026-11-20)

/** Code points that count once: Latin and its neighbours, and the punctuation between them. */
const SINGLE: readonly (readonly [number, number])[] = [[0, 4351], [8192, 8205], [8208, 8223], [
  8242,
  8247,
]]

/** However long an address is, X shortens it to this. Addresses without `https://` are left to X. */
const URL_LENGTH = 23
const URLS = /https?:\/\/[^\s<>"]+/gi

/** An emoji counts twice, of however many code points it is made. */
const EMOJI = /\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3/u

/** 280 is the most that a post may have. */
export function weightedLength(text: string): number {
  let length = 0
  const rest = text.normalize('NFC').replaceAll(URLS, () => {
    length += URL_LENGTH
    return ''
  })
  // not once for all: the first one costs 20 ms, which every cold start of a function would pay
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
  for (const { segment } of graphemes.segment(rest)) length += weightOf(segment)
  return length
}

function weightOf(grapheme: string): number {
  if (EMOJI.test(grapheme) && grapheme.codePointAt(0)! > 255) return 2
  if (grapheme.includes('\u20e3')) return 2
  return [...grapheme].reduce((sum, character) => sum + (isSingle(character) ? 1 : 2), 0)
}

function isSingle(character: string): boolean {
  const point = character.codePointAt(0)!
  return SINGLE.some(([first, last]) => point >= first && point <= last)
}
