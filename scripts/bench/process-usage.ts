// What did another process use? CPU time and peak memory, as Linux counts them in /proc.
import { readFileSync, writeFileSync } from 'node:fs'
import { UserError } from '../stack/user-error.ts'

/** Linux counts in ticks of 10 ms on every architecture Node runs on. */
const TICKS_PER_SECOND = 100

/** User and system time since its start. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // the name, in parentheses, may hold spaces; utime and stime are the 14th and 15th field
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The most memory it held at once since the last {@link resetPeakMemory}, in MB. */
export function peakMemoryMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

export function resetPeakMemory(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** @throws UserError where there is no /proc. */
export function requireProc(): void {
  if (process.platform !== 'linux') {
    throw new UserError('CPU time and memory are read from /proc: this part runs on Linux only.')
  }
}
