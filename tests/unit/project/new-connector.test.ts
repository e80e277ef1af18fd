import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { namesOf } from '../../../scripts/new-connector/names.ts'
import { withConnector } from '../../../scripts/new-connector/registry.ts'
import { UserError } from '../../../scripts/stack/user-error.ts'

const project = join(import.meta.dirname, '../../..')
const CONNECTORS = 'supabase/functions/_shared/connectors'
const REGISTRY = `${CONNECTORS}/index.ts`

describe('npm run new-connector', () => {
  let copy = ''
  const read = (path: string) => readFileSync(join(copy, path), 'utf8')
  const run = (program: string, ...args: string[]) => {
    const path = `${join(project, 'node_modules/.bin')}:${process.env['PATH']}`
    const env = { ...process.env, PATH: path, NO_COLOR: '1' }
    const { status, stdout, stderr } = spawnSync(program, args, {
      cwd: copy,
      encoding: 'utf8',
      env,
    })
    return { status, output: stdout + stderr }
  }
  const begin = (...args: string[]) => run('node', 'scripts/new-connector.ts', ...args)

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'new-connector-'))
    const parts = ['scripts', 'supabase', 'tests', 'docs', 'deno.json', 'package.json']
    for (const part of [...parts, 'tsconfig.json', 'vitest.config.ts']) {
      cpSync(join(project, part), join(copy, part), { recursive: true })
    }
    symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'))
  })
  afterAll(() => rmSync(copy, { recursive: true, force: true }))

  it('writes a connector, a test and a simulator that run, are formatted, linted and typed', () => {
    const slug = 'zen-shop-2'
    const files = [
      `${CONNECTORS}/${slug}.ts`,
      `scripts/simulators/${slug}.ts`,
      `tests/connectors/${slug}.test.ts`,
    ]

    const begun = begin(slug, '--name', 'Zen Shop')

    expect(begun).toMatchObject({ status: 0 })
    for (const path of [...files, REGISTRY]) expect(begun.output).toContain(`wrote ${path}`)
    expect(read(files[0]!)).toContain("name: 'Zen Shop'")
    for (const path of files) expect(read(path)).not.toMatch(/acme/i)
    expect(run('deno', 'fmt', '--check', ...files, REGISTRY)).toMatchObject({ status: 0 })
    expect(run('deno', 'lint', ...files, REGISTRY)).toMatchObject({ status: 0 })
    expect(run('deno', 'check', files[0]!, files[1]!)).toMatchObject({ status: 0 })
    expect(run('node', 'scripts/generate-connectors.ts').output).toContain(
      `wrote docs/connectors/${slug}.md`,
    )
    const tests = run(
      ...['vitest', 'run', '--project', 'unit'] as const,
      ...[
        files[2]!,
        'tests/connectors/conformance.test.ts',
        'tests/connectors/generated-files.test.ts',
      ],
      // of the other two, what is about the new connector
      ...['-t', `the registry|says what the connectors say|${slug}|Zen Shop|the simulator`],
    )
    expect(tests, tests.output).toMatchObject({ status: 0 })
    expect(tests.output).toMatch(/Test Files {2}3 passed/)
  }, 120_000)

  it.each([
    [[], 'Say one slug'],
    [['one', 'two'], 'Say one slug'],
    [['Acme'], '"Acme" cannot be a slug'],
    [['treez'], `"treez" is taken: ${CONNECTORS}/treez.ts is there already.`],
    [['account'], `"account" is taken: ${CONNECTORS}/account.ts is there already.`],
    [['start'], '"start" is taken: scripts/simulators/start.ts is there already.'],
    [['fine', '--nmae', 'x'], "Unknown option '--nmae'; see --help."],
  ])('refuses %j in words, and changes nothing', (args, text) => {
    const before = read(REGISTRY)

    const { status, output } = begin(...args)

    expect(status).toBe(2)
    expect(output).toContain(text)
    expect(output).not.toContain('    at ')
    expect(read(REGISTRY)).toBe(before)
  })

  it('says what it takes', () => {
    const { status, output } = begin('--help')

    expect(status).toBe(0)
    expect(output).toContain('npm run new-connector SLUG')
  })
})

describe('the names of a connector', () => {
  const used = new Set(['secret'])

  it('follow from the slug', () => {
    expect(namesOf('acme-store-2', undefined, used)).toEqual({
      slug: 'acme-store-2',
      camel: 'acmeStore2',
      pascal: 'AcmeStore2',
      title: 'Acme Store 2',
    })
    expect(namesOf('x', 'X (Twitter)', used)).toMatchObject({ camel: 'x', title: 'X (Twitter)' })
  })

  it.each(['', 'a_b', '-a', 'a-', 'a--b', '9gag', 'Ä', '../x', 'x.ts', 'a'.repeat(41)])(
    'refuse the slug "%s"',
    (slug) => {
      expect(() => namesOf(slug, undefined, used)).toThrow(UserError)
    },
  )

  it.each(['apps', 'work'])('refuse "%s", which webhooks know as something else', (slug) => {
    expect(() => namesOf(slug, undefined, used)).toThrow(/addresses of webhooks/)
    expect(() => namesOf(`${slug}-com`, undefined, used)).not.toThrow()
  })

  it.each(['delete', 'class', 'await', 'secret'])(
    'refuse "%s", which code uses for itself',
    (slug) => {
      expect(() => namesOf(slug, undefined, used)).toThrow(/means something else/)
      expect(() => namesOf(`${slug}-com`, undefined, used)).not.toThrow()
    },
  )

  it.each(["O'Hara", 'a"b', 'a\nb', '', 'a'.repeat(61)])('refuse to call it %j', (title) => {
    expect(() => namesOf('acme', title, used)).toThrow(UserError)
  })
})

describe('the registry', () => {
  const registry = [
    "import type { Connector } from './define-connector.ts'",
    "import { jsonFeed } from './json-feed.ts'",
    "import { treez } from './treez.ts'",
    '',
    'export const connectors: readonly Connector[] = [',
    '  jsonFeed,',
    '  treez,',
    ']',
  ]
  const names = (slug: string) => namesOf(slug, undefined, new Set())

  it.each([['acme', 1, 6], ['leafly', 2, 7], ['zen-shop', 3, 8]])(
    'gets %s where it belongs by its slug',
    (slug, importAt, entryAt) => {
      const lines = withConnector(registry.join('\n'), names(slug)).split('\n')

      expect(lines[importAt]).toBe(`import { ${names(slug).camel} } from './${slug}.ts'`)
      expect(lines[entryAt]).toBe(`  ${names(slug).camel},`)
      expect(lines.filter((line) => !line.includes(names(slug).camel))).toEqual(registry)
    },
  )

  it('does not get one twice', () => {
    expect(() => withConnector(registry.join('\n'), names('treez'))).toThrow(/taken/)
  })
})
