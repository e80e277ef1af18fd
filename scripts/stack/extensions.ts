// How do the stand-ins for pg_cron, pg_net and supabase_vault get into the embedded server?
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

const sourceDir = join(import.meta.dirname, 'extensions')

/** Copies the stand-in extensions into the server's extension folder, where `create extension` looks. */
export function installExtensions(extensionDir: string): void {
  for (const file of readdirSync(sourceDir)) {
    const content = readFileSync(join(sourceDir, file))
    const target = join(extensionDir, file)
    if (existsSync(target) && readFileSync(target).equals(content)) continue
    // A second stack may be reading the file at this moment: replace it in one step.
    const temporary = `${target}.${process.pid}`
    writeFileSync(temporary, content)
    chmodSync(temporary, 0o644) // the server's user reads it, whatever our umask
    renameSync(temporary, target)
  }
}

/** Changes whenever a stand-in changes. */
export function extensionsHash(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(sourceDir).sort()) {
    hash.update(file).update(readFileSync(join(sourceDir, file)))
  }
  return hash.digest('hex')
}
