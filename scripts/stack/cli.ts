// `npm run stack`: a whole local Supabase until Ctrl-C.
import { runCommand, stopOnSignals } from '../command-line.ts'
import { readOptions, stackOptionsHelp } from './options.ts'
import { startStack } from './stack.ts'

await runCommand(async () => {
  const options = await readOptions(process.argv.slice(2))
  if (!options) return console.log(`npm run stack -- [options]\n\n${stackOptionsHelp}`)

  const stack = await startStack({ ...options, log: (line) => console.log(line) })
  stopOnSignals(() => stack.stop())
  for (const [name, value] of Object.entries(stack.env)) console.log(`${name}=${value}`)
  console.log(`ready ${stack.url} (env in ${options.envFile}, Ctrl-C stops)`)
})
