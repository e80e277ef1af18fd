// A project of somebody else's: nothing of this repository but the built package and what it is used with.
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const project = join(import.meta.dirname, '../../..')
const run = promisify(execFile)

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
}

/**
 * Builds the package into a new folder with a tsconfig, and answers the folder. Whoever asks removes it.
 *
 * @param packages Names under `node_modules`, a package's or a scope's.
 * @param types What is declared globally there, such as `node`.
 */
export async function appWithPackage(packages: string[], types: string[] = []): Promise<string> {
  const app = await mkdtemp(join(tmpdir(), 'plugboard-app-'))
  const installed = join(app, 'node_modules/plugboard')
  const tsdown = join(project, 'node_modules/tsdown/dist/run.mjs')
  await run(process.execPath, [tsdown, '--out-dir', join(installed, 'dist')], { cwd: project })
  await copyFile(join(project, 'package.json'), join(installed, 'package.json'))
  for (const name of packages) {
    await symlink(join(project, 'node_modules', name), join(app, 'node_modules', name))
  }
  await writeFile(join(app, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(
    join(app, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, types }, include: ['*.ts'] }),
  )
  return app
}

/** The TypeScript in a page of this repository, in its order. */
export async function examplesOf(page: string): Promise<string[]> {
  const text = await readFile(join(project, page), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? '')
}

/** What tsc says, but for declarations of others that do not pass such strict settings. */
export async function compileErrors(app: string): Promise<string[]> {
  const tsc = join(project, 'node_modules/typescript/bin/tsc')
  const { stdout } = await run(process.execPath, [tsc, '-p', app]).catch((error) => error)
  return stdout.split('\n').filter((line: string) =>
    line.includes('error TS') && !/node_modules\/(?!(?:plugboard|zod)\/)/.test(line)
  )
}
