// `npm run new-connector SLUG`: how does a connector begin? With a file, a test and a simulator that run.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand } from './command-line.ts'
import { namesOf } from './new-connector/names.ts'
import { withConnector } from './new-connector/registry.ts'
import { filledIn, TEMPLATE, usedNames } from './new-connector/template.ts'
import { UserError } from './stack/user-error.ts'

const ROOT = join(import.meta.dirname, '..')
const CONNECTORS = 'supabase/functions/_shared/connectors'
const REGISTRY = `${CONNECTORS}/index.ts`

const help = `npm run new-connector SLUG [-- --name NAME]

Writes a connector, its test and a simulator of its platform, which run as they are, and adds the connector
to the registry. Then make them the platform's own.

  SLUG         lowercase words with hyphens, such as acme-store; it never changes
  --name NAME  what people call the platform (default: the words of the slug)
  --help       this text`

await runCommand(async () => {
  const { values, positionals } = readArguments()
  if (values.help) return console.log(help)
  const [slug, ...others] = positionals
  if (slug === undefined || others.length > 0) {
    throw new UserError(`Say one slug, such as: npm run new-connector acme-store\n\n${help}`)
  }
  const names = namesOf(slug, values.name, await usedNames())
  const targets = {
    'connector.ts': `${CONNECTORS}/${slug}.ts`,
    'simulator.ts': `scripts/simulators/${slug}.ts`,
    'test.ts': `tests/connectors/${slug}.test.ts`,
  }
  for (const path of Object.values(targets)) {
    if (existsSync(join(ROOT, path))) {
      throw new UserError(`"${slug}" is taken: ${path} is there already.`)
    }
  }
  const registry = withConnector(await readFile(join(ROOT, REGISTRY), 'utf8'), names)

  const moved = Object.fromEntries(
    Object.entries(targets).map(([file, path]) => [join(TEMPLATE, file), join(ROOT, path)]),
  )
  for (const [from, to] of Object.entries(moved)) {
    await mkdir(dirname(to), { recursive: true })
    await writeFile(to, filledIn(await readFile(from, 'utf8'), names, { from, to, moved }))
  }
  await writeFile(join(ROOT, REGISTRY), registry)
  const written = [...Object.values(targets), REGISTRY]
  execFileSync('deno', ['fmt', '--quiet', ...written], { cwd: ROOT, stdio: 'inherit' })

  console.log([
    ...written.map((path) => `wrote ${path}`),
    '',
    'They run as they are:',
    `  npx vitest run ${targets['test.ts']}`,
    '',
    'Next:',
    `1. Make ${
      targets['connector.ts']
    } the platform's own; what is to be decided is marked TODO, and the words`,
    `   are in ${CONNECTORS}/README.md.`,
    `2. Put pages as the platform documents them into ${
      targets['test.ts']
    }, and give the simulator its habits.`,
    '3. npm run generate, which writes its page and its row in the catalog: commit both.',
    '4. npm run check',
  ].join('\n'))
})

function readArguments() {
  try {
    return parseArgs({
      args: process.argv.slice(2),
      allowPositionals: true,
      options: { name: { type: 'string' }, help: { type: 'boolean', default: false } },
    })
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new UserError(`${message}; see --help.`)
  }
}
