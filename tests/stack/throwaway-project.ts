// A project of a few files for one test: its own migrations, functions and config.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export type ThrowawayProject = {
  supabaseDir: string
  /** Writes a file; the path is relative to `supabase/`. */
  write(path: string, content: string): void
  remove(): void
}

/** Creates the project with these files, their paths relative to `supabase/`. */
export function createProject(files: Record<string, string> = {}): ThrowawayProject {
  const root = mkdtempSync(join(tmpdir(), 'plugboard-project-'))
  const supabaseDir = join(root, 'supabase')
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(supabaseDir, path)), { recursive: true })
    writeFileSync(join(supabaseDir, path), content)
  }
  write('config.toml', 'project_id = "throwaway"\n')
  mkdirSync(join(supabaseDir, 'functions'))
  for (const [path, content] of Object.entries(files)) write(path, content)
  return { supabaseDir, write, remove: () => rmSync(root, { recursive: true, force: true }) }
}
