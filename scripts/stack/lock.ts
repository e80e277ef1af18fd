// Is another stack using this data directory?
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isRunning } from './processes.ts'
import { UserError } from './user-error.ts'

/** Marks the directory as used by this process; answers the function that frees it. */
export function lockDataDir(lockFile: string): () => void {
  if (existsSync(lockFile)) {
    const [pid, startedAt] = readFileSync(lockFile, 'utf8').split(' ')
    const owner = Number(pid)
    // The same process id with another start time is some other program, after a `kill -9` or a reboot.
    if (owner && isRunning(owner) && startOf(owner) === startedAt) {
      throw new UserError(
        `A stack already runs on this data directory (process ${owner}): stop it, or choose another with --data.`,
      )
    }
  }
  writeFileSync(lockFile, `${process.pid} ${startOf(process.pid)}`)
  return () => rmSync(lockFile, { force: true })
}

/** Start time in clock ticks since boot; empty where the system has no /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
