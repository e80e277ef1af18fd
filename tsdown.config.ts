// How is the client library built? As ES modules with declarations, for browsers and servers alike.
import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: 'src/index.ts',
  platform: 'neutral',
  target: 'es2022',
  dts: { generator: 'tsgo' },
  // Only our own code goes in: a dependency that is not declared fails the build.
  deps: { onlyBundle: [] },
})
