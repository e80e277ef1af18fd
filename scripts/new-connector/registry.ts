// Where does a connector's line go in the registry? Two lists in it, both in the order of the slugs.
import type { Names } from './names.ts'
import { UserError } from '../stack/user-error.ts'

const IMPORT = /^import \{ (\w+) \} from '\.\/([a-z0-9-]+)\.ts'$/
const ENTRY = /^ {2}(\w+),$/

/** @throws UserError when the connector is there, or the file no longer looks like a list */
export function withConnector(registry: string, { slug, camel }: Names): string {
  const lines = registry.split('\n')
  const slugs = new Map<string, string>() // by the name in code
  for (const line of lines) {
    const [, name, file] = IMPORT.exec(line) ?? []
    if (name !== undefined && file !== undefined) slugs.set(name, file)
  }
  if (slugs.has(camel) || [...slugs.values()].includes(slug)) {
    throw new UserError(`"${slug}" is taken: the registry has it already.`)
  }
  const imports = insert(
    lines,
    `import { ${camel} } from './${slug}.ts'`,
    (line) => IMPORT.exec(line)?.[2],
    slug,
  )
  const entries = insert(
    imports,
    `  ${camel},`,
    (line) => slugs.get(ENTRY.exec(line)?.[1] ?? ''),
    slug,
  )
  return entries.join('\n')
}

/** Before the first line whose slug comes later, or behind the last that has one. */
function insert(
  lines: string[],
  line: string,
  slugOf: (line: string) => string | undefined,
  slug: string,
): string[] {
  const known = lines.flatMap((each, index) => {
    const found = slugOf(each)
    return found === undefined ? [] : [{ index, slug: found }]
  })
  if (known.length === 0) {
    throw new UserError('The registry is not the list it was: add the line by hand.')
  }
  const at = known.find((each) => each.slug > slug)?.index ?? known.at(-1)!.index + 1
  return [...lines.slice(0, at), line, ...lines.slice(at)]
}
