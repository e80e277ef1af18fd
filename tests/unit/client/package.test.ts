import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appWithPackage, compileErrors, examplesOf } from './built-package.ts'

const run = promisify(execFile)
let app: string

beforeAll(async () => {
  app = await appWithPackage(['zod', '@supabase', '@types'], ['node'])
}, 60_000)

afterAll(() => rm(app, { recursive: true, force: true }))

describe('the built package', () => {
  it('compiles every example of README.md and of the pages about the client in an app of its own', async () => {
    const pages = await Promise.all(
      ['README.md', 'docs/client.md', 'docs/two-way-sync.md', 'docs/webhooks-in.md'].map(
        examplesOf,
      ),
    )
    const examples = pages.flat()

    await Promise.all(
      examples.map((code, index) => writeFile(join(app, `example-${index}.ts`), code)),
    )

    expect(await compileErrors(app)).toEqual([])
    expect(examples.length).toBeGreaterThan(3)
  })

  it('contains our own code only, and none that needs a server', async () => {
    const bundle = await readFile(join(app, 'node_modules/plugboard/dist/index.js'), 'utf8')

    const files = [...bundle.matchAll(/^\/\/ (\S+\.[cm]?[jt]s)$/gm)].map(([, file]) => file ?? '')
    const imports = [...bundle.matchAll(/^import .* from "(.*)"/gm)].map(([, name]) => name)

    expect(imports).toEqual(['zod'])
    expect(files).toContain('src/index.ts')
    expect(files.filter((file) => !/^(src|supabase\/functions\/_shared\/contracts)\//.test(file)))
      .toEqual([])
  })

  it('does nothing when it is imported', async () => {
    const code = `
      const before = new Set(Object.getOwnPropertyNames(globalThis))
      for (const name of ['fetch', 'setTimeout', 'setInterval', 'queueMicrotask']) {
        globalThis[name] = () => { throw new Error(name + ' was called') }
      }
      const { createPlugboard } = await import('plugboard')
      const added = Object.getOwnPropertyNames(globalThis).filter((key) => !before.has(key))
      console.log(typeof createPlugboard, added.filter((key) => !key.startsWith('__zod')))`
    await writeFile(join(app, 'import.mjs'), code)

    const { stdout } = await run(process.execPath, [join(app, 'import.mjs')])

    expect(stdout.trim()).toBe('function []')
  })
})
