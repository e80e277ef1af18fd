// `npm run generate`: writes every file that is made from another one.
import { spawnSync } from 'node:child_process'

/** In this order: the database's types are made from migrations, two of which are generated. */
export const generators = [
  { name: 'error table', script: 'scripts/generate-error-docs.ts' },
  { name: 'connector catalog and pages', script: 'scripts/generate-connectors.ts' },
  { name: 'event types', script: 'scripts/generate-event-types.ts' },
  { name: 'database types', script: 'scripts/generate-types.ts' },
]

if (import.meta.main) {
  for (const { name, script } of generators) {
    console.log(name)
    const { status } = spawnSync('node', [script], { stdio: 'inherit' })
    if (status !== 0) process.exit(status ?? 1)
  }
}
