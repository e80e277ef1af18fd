// How is the client library built? One ES module with its declarations; src/ runs in browsers.
import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: 'src/index.ts',
  platform: 'browser',
  dts: true,
})
