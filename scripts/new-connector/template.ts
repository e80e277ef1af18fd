// What do the three files of a new connector look like? Files that compile where they are, renamed and moved.
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Names } from './names.ts'

export const TEMPLATE = join(import.meta.dirname, 'template')

const OURS: Names = {
  slug: 'acme-store',
  camel: 'acmeStore',
  pascal: 'AcmeStore',
  title: 'Acme Store',
}

/** Where a file comes from and goes to, and where the others of the template go. */
type Move = { from: string; to: string; moved: Record<string, string> }

/** With the new names, and with imports that lead to the same files from the new place. */
export function filledIn(text: string, names: Names, { from, to, moved }: Move): string {
  const rehomed = text.replaceAll(/(from ')(\.[^']+)(')/g, (_, before, path, after) => {
    const file = join(dirname(from), path)
    const there = relative(dirname(to), moved[file] ?? file)
    return `${before}${there.startsWith('.') ? there : `./${there}`}${after}`
  })
  return rehomed
    .replaceAll(OURS.pascal, names.pascal)
    .replaceAll(OURS.camel, names.camel)
    .replaceAll(OURS.slug, names.slug)
    .replaceAll(OURS.title, names.title)
}

/** Names that the template's files and the registry import or declare, so that a connector may not have them. */
export async function usedNames(): Promise<ReadonlySet<string>> {
  const used = new Set(['connectors', 'findConnector', 'Connector'])
  for (const file of await readdir(TEMPLATE)) {
    const text = await readFile(join(TEMPLATE, file), 'utf8')
    for (const [, list = ''] of text.matchAll(/^import \{([^}]+)\}/gm)) {
      for (const name of list.split(',')) used.add(name.replace('type ', '').trim())
    }
    for (
      const [, name = ''] of text.matchAll(/^(?:export )?(?:async )?(?:const|function) (\w+)/gm)
    ) {
      used.add(name)
    }
  }
  used.delete(OURS.camel)
  return used
}
