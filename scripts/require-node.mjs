// Is this Node new enough? Plain JavaScript, loaded first (`node --import`), because an older Node
// cannot even read the TypeScript files that would say so.
const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `Plugboard needs Node 24 or newer and this is ${process.version}: run it through npm after "npm ci" with install scripts allowed, which puts Node 24 first.`,
  )
  process.exit(2)
}
