// How is the client library built? As ES modules with declarations, for browsers and servers alike.
import { defineConfig } from 'tsdown'

export default defineConfig({
  // `plugboard` for front ends, `plugboard/webhooks` for the servers that receive our webhooks.
  entry: { index: 'src/index.ts', webhooks: 'src/webhooks-verifier.ts' },
  platform: 'neutral',
  target: 'es2022',
  dts: { generator: 'tsgo' },
  // Only our own code goes in: a dependency that is not declared fails the build.
  deps: { onlyBundle: [] },
})
