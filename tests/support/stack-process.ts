// Run as a process of its own: keeps one shared stack until it is told to stop, or whoever started it has gone.
import process from 'node:process'
import type { SharedStack, StartedStack } from './shared-stacks.ts'

const { start } = await import(process.argv[2]!) as { start(): Promise<StartedStack> }
const { stack, remote, stop } = await start()
const { url, functionsUrl, dbUrl, adminDbUrl, publishableKey, secretKey } = stack
const seen: SharedStack = {
  stack: { url, functionsUrl, dbUrl, adminDbUrl, publishableKey, secretKey },
  remote,
}
process.once('disconnect', async () => {
  await stop()
  process.exit()
})
process.send!(seen)
