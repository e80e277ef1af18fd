// Which form is on this page? Enough of HTML for a plain consent page: one form, inputs, buttons.

export type HtmlForm = {
  method: string
  /** As written; empty means the page's own address. */
  action: string
  /** Names and values as the page fills them in. */
  fields: Record<string, string>
  buttons: { name: string; value: string; label: string }[]
}

/** The page's first form, or `null`. */
export function firstForm(html: string): HtmlForm | null {
  const found = /<form\b([^>]*)>(.*?)<\/form>/is.exec(html)
  if (!found) return null
  const [, opening = '', inside = ''] = found
  const form = attributesOf(opening)
  const inputs = [...inside.matchAll(/<input\b([^>]*)>/gi)].map(([, text = '']) =>
    attributesOf(text)
  )
  const buttons = [...inside.matchAll(/<button\b([^>]*)>(.*?)<\/button>/gis)]
  return {
    method: (form['method'] ?? 'get').toUpperCase(),
    action: form['action'] ?? '',
    fields: Object.fromEntries(
      inputs.filter(({ name }) => name).map(({ name, value = '' }) => [name!, value]),
    ),
    buttons: buttons.map(([, text = '', label = '']) => {
      const { name = '', value = '' } = attributesOf(text)
      return { name, value, label: label.trim() }
    }),
  }
}

const attributesOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)]
      .map(([, name = '', double, single, bare]) => [
        name.toLowerCase(),
        unescaped(double ?? single ?? bare ?? ''),
      ]),
  )

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const unescaped = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name]!)
