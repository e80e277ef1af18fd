// Where may stacks that are gone after their tests keep their data? In memory, where the system has a
// folder for that: what a test asks is what survives a killed process, not a lost machine.
import { existsSync, statfsSync } from 'node:fs'
import { availableMemory } from 'node:process'

const FOLDER = '/dev/shm'
/** A dozen stacks at once, each of a few hundred megabytes at most. */
const NEEDED_BYTES = 4 * 2 ** 30

/** The folder, or null where there is none with enough room (macOS has none, a container often 64 MB). */
export function memoryFolder(): string | null {
  if (!existsSync(FOLDER)) return null
  const { bavail, bsize } = statfsSync(FOLDER)
  return Math.min(bavail * bsize, availableMemory()) >= NEEDED_BYTES ? FOLDER : null
}
