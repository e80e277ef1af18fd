// Can this machine run what follows? Plain JavaScript, loaded first (`node --import`), because an older
// Node cannot even read the TypeScript files that would say so.
import { existsSync } from 'node:fs'

const [major = 0] = process.versions.node.split('.').map(Number)
if (!existsSync(new URL('../node_modules/zod', import.meta.url))) {
  refuse('The packages are not installed: run "npm ci" first.')
}
if (major < 24) {
  refuse(
    `Plugboard needs Node 24 or newer and this is ${process.version}: run it through npm after "npm ci" with install scripts allowed, which puts Node 24 first.`,
  )
}

function refuse(sentence) {
  console.error(sentence)
  process.exit(2)
}
