// What did the sender write, without what is quoted below it?

/** Enough of a text to judge it by; an Edge Function has two seconds of CPU for a whole batch. */
const MOST_CHARACTERS = 10_000

/** From one of these lines on, everything is the message that is answered. */
const QUOTE_BEGINS =
  /^(?:-{2,}\s*(?:original message|forwarded message)\s*-{2,}|_{20,}|on .{4,120}(?:\n.{0,80})? wrote:)\s*$/im

/** The lines a sender wrote, without addresses of web pages and mailboxes, whose letters mean nothing. */
export function ownWords(text: string | null): string {
  const whole = (text ?? '').slice(0, MOST_CHARACTERS)
  const quoteAt = whole.search(QUOTE_BEGINS)
  return (quoteAt < 0 ? whole : whole.slice(0, quoteAt))
    .split(/\r?\n/)
    .filter((line) => !/^\s*>/.test(line))
    .join('\n')
    .replace(/\b(?:https?:\/\/|www\.)\S+/gi, ' ')
    .replace(/[^\s@]{1,64}@[^\s@]{1,255}/g, ' ')
    .trim()
}
