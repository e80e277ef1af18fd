// Where are the project's files?
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

/** The repository's root folder. */
export const projectDir = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** Files that can be rebuilt at any time: the template cluster, Deno's cache. */
export const cacheDir = join(projectDir, 'node_modules/.cache/plugboard')
