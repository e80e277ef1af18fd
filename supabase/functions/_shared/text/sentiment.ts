// Does a text sound pleased or displeased?
import { polarity } from 'polarity'
import { ownWords } from './own-words.ts'

/** The strongest word of the list weighs as much. */
const STRONGEST = 5

/** How many words before one may turn its sense around: `not at all good`. */
const NEGATION_REACH = 3
const NEGATIONS = /^(?:not|no|never|without|hardly|cannot|cant|dont|isnt|wasnt|\w+n't)$/

/**
 * -1 (displeased) to 1 (pleased), in hundredths: the average weight of the words in an English word list
 * (AFINN-165, with emoji), each turned around at half its weight after a `not` shortly before it.
 *
 * A hint, not a judgement. The list knows neither irony nor who is meant, weighs a word the same wherever it
 * stands, and reads every language as English unless `language` says otherwise.
 *
 * @param language BCP 47, where the platform says; null for another than English.
 * @returns 0 when nothing in it is in the list. Null when there is nothing that could be: no text, or none in
 *   Latin letters and no emoji.
 */
export function sentimentScore(text: string | null, language?: string | null): number | null {
  if (language && !/^(?:en|und)\b/i.test(language)) return null
  const words = ownWords(text)
  const weights = words.split(/[.,;:!?\n]+/).flatMap(weightsOf)
  if (weights.length === 0) return /\p{Script=Latin}/u.test(words) ? 0 : null
  const average = weights.reduce((sum, weight) => sum + weight, 0) / weights.length
  return Math.round(average / STRONGEST * 100) / 100 || 0 // not -0
}

/** The weights of those words of a clause that are in the list. */
function weightsOf(clause: string): number[] {
  const words = clause.toLowerCase().replaceAll('’', "'")
    .match(/\p{L}[\p{L}\p{M}'-]*|\p{Extended_Pictographic}\uFE0F?/gu) ?? []
  return words.flatMap((word, index) => {
    if (NEGATIONS.test(word)) return []
    const weight = polarity([word]).polarity || polarity([word.replace('\uFE0F', '')]).polarity
    if (weight === 0) return []
    const before = words.slice(Math.max(0, index - NEGATION_REACH), index)
    return [before.some((near) => NEGATIONS.test(near)) ? -weight / 2 : weight]
  })
}
