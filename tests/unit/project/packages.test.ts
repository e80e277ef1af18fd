import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const project = join(import.meta.dirname, '../../..')
const read = (file: string) => JSON.parse(readFileSync(join(project, file), 'utf8'))

type Locked = { optionalDependencies?: Record<string, string> }

describe('packages', () => {
  it('are locked for every platform, or npm ci would refuse the lock file', () => {
    const locked: Record<string, Locked> = read('package-lock.json').packages

    const missing = Object.entries(locked).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) =>
        !locked[`node_modules/${name}`] && !locked[`${path}/node_modules/${name}`]
      )
    )

    expect(Object.keys(locked).length).toBeGreaterThan(100)
    expect(missing).toEqual([])
  })

  it('are pinned to exact versions', () => {
    const { dependencies, devDependencies } = read('package.json')

    const loose = Object.entries<string>({ ...dependencies, ...devDependencies })
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))

    expect(loose).toEqual([])
  })

  it.each(['deno.json', 'supabase/functions/deno.json'])(
    'have the same version in %s, so that functions run what the tests ran',
    (file) => {
      const { dependencies, devDependencies } = read('package.json')
      const versions: Record<string, string> = { ...dependencies, ...devDependencies }

      const imports = Object.entries<string>(read(file).imports)
      const others = imports.filter(([name, specifier]) => {
        const [, packageName = '', version] =
          /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(specifier) ?? []
        return versions[packageName] !== version || !name.startsWith(packageName)
      })

      expect(imports.length).toBeGreaterThan(5)
      expect(others).toEqual([])
    },
  )
})
