import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const project = join(import.meta.dirname, '../../..')
const run = promisify(execFile)

// A project of somebody else's: nothing of this repository but the built package and its peers.
let app: string

// As strict as apps come, so that none has to loosen its own for us.
const compilerOptions = {
  target: 'es2022',
  lib: ['es2022', 'dom'],
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  types: [],
}

beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'plugboard-app-'))
  const installed = join(app, 'node_modules/plugboard')
  const tsdown = join(project, 'node_modules/tsdown/dist/run.mjs')
  await run(process.execPath, [tsdown, '--out-dir', join(installed, 'dist')], { cwd: project })
  await copyFile(join(project, 'package.json'), join(installed, 'package.json'))
  for (const name of ['zod', '@supabase']) {
    await symlink(join(project, 'node_modules', name), join(app, 'node_modules', name))
  }
  await writeFile(join(app, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(
    join(app, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, include: ['*.ts'] }),
  )
}, 60_000)

afterAll(() => rm(app, { recursive: true, force: true }))

describe('the built package', () => {
  it('compiles every example of README.md and docs/client.md in an app of its own', async () => {
    const pages = await Promise.all(
      ['README.md', 'docs/client.md'].map((page) => readFile(join(project, page), 'utf8')),
    )
    const examples = pages.flatMap((page) => [...page.matchAll(/^```ts\n(.*?)^```/gms)])
      .map(([, code]) => code ?? '')

    await Promise.all(
      examples.map((code, index) => writeFile(join(app, `example-${index}.ts`), code)),
    )
    const tsc = join(project, 'node_modules/typescript/bin/tsc')
    const { stdout } = await run(process.execPath, [tsc, '-p', app]).catch((error) => error)

    // supabase-js' own declarations do not pass such strict settings.
    const errors = stdout.split('\n').filter((line: string) =>
      line.includes('error TS') && !line.includes('node_modules/@supabase/')
    )
    expect(errors).toEqual([])
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
