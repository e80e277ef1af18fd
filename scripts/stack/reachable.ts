// Can the user that Postgres runs as get to a path? Under root it is another user than ours, and a
// checkout in /root or in a `mktemp -d` folder is closed to it.
import { chmodSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from './user-error.ts'

export type UnixUser = { uid: number; gid: number }

/** True when `user` (null: ourselves) may pass through every folder on the way to `path` and use it. */
export function isReachable(path: string, user: UnixUser | null): boolean {
  if (!user) return true
  const status = statSync(path)
  const { mode, uid, gid } = status
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  const wanted = status.isDirectory() ? 0o1 : 0o4 // passing through a folder, reading a file
  if ((mode >> shift & wanted) === 0) return false
  return path === dirname(path) || isReachable(dirname(path), user)
}

/** A folder of ours that every user can reach, for what cannot stay in the project. */
export function openFolder(name: string): string {
  const path = join('/var/tmp', name)
  mkdirSync(path, { recursive: true })
  // Anybody may create names in /var/tmp: what is not ours is not to be trusted.
  const status = lstatSync(path)
  const isOurs = status.isDirectory() && status.uid === process.getuid?.() &&
    (status.mode & 0o022) === 0
  if (!isOurs) {
    throw new UserError(
      `${path} belongs to somebody else: remove it, or start from a folder that other users can pass through.`,
    )
  }
  chmodSync(path, 0o755) // whatever the umask
  return path
}
