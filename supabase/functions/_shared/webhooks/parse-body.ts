// What does the body of a webhook hold? JSON or a form, by its content type; whatever cannot be read is undefined.
import { storable } from '../connectors/vocabulary/storable.ts'

const MOST_FIELDS = 1_000
/** Of objects and lists within one another; deeper ones would overflow somebody's stack. */
const DEEPEST = 64

/** Never throws; what it gives can be stored. A form's bracket keys become objects: `data[merges][FNAME]=Ada`. */
export function parseBody(contentType: string | null, bytes: Uint8Array): unknown {
  const text = decode(bytes)
  if (text === undefined || text.trim() === '') return undefined
  return isForm(contentType) ? parseForm(text) : parseJson(text)
}

const isForm = (contentType: string | null) =>
  /^\s*application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType ?? '')

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A byte order mark is left out, and what is no UTF-8 is no text. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function parseJson(text: string): unknown {
  if (isTooDeep(text)) return undefined
  try {
    return storable(JSON.parse(text), text)
  } catch {
    return undefined
  }
}

function isTooDeep(json: string): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (isText && character === '\\') at++
    else if (character === '"') isText = !isText
    else if (isText) continue
    else if (character === '[' || character === '{') depth++
    else if (character === ']' || character === '}') depth--
    if (depth > DEEPEST) return true
  }
  return false
}

type Fields = { [name: string]: string | Fields }

/** Names of any kind, `__proto__` too, are only names here. */
const noFields = (): Fields => Object.create(null)

function parseForm(text: string): unknown {
  const fields = [...new URLSearchParams(text)]
  if (fields.length > MOST_FIELDS) return undefined
  const form = noFields()
  for (const [key, value] of fields) {
    const path = pathOf(key)
    let place = form
    for (const name of path.slice(0, -1)) {
      const next = place[name]
      place = typeof next === 'object' ? next : place[name] = noFields()
    }
    place[path.at(-1)!] = value.replaceAll('\0', '')
  }
  return form
}

/** `data[merges][FNAME]` → data, merges, FNAME; a name that is not written so is itself. */
function pathOf(key: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])+)$/.exec(key)
  if (!match) return [key]
  const path = [match[1]!, ...match[2]!.slice(1, -1).split('][')]
  return path.length > DEEPEST ? [key] : path
}
