// What do our commands share at the terminal? Options, plain errors, and the way out.
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { UserError } from './stack/user-error.ts'

/** The options of a command line, none of which is unknown. @throws UserError */
export function parseOptions<const Options extends ParseArgsOptionsConfig>(
  args: string[],
  options: Options,
) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new UserError(`${message}; see --help.`)
  }
}

/** @throws UserError when the text is not a whole number within these bounds. */
export function wholeNumber(option: string, text: string, least = 0, most = 1e9): number {
  const number = text.trim() === '' ? NaN : Number(text)
  if (Number.isInteger(number) && number >= least && number <= most) return number
  throw new UserError(`${option} wants a whole number from ${least} to ${most}, not "${text}".`)
}

/** A port to listen on; 0 means any free one. @throws UserError */
export function portNumber(option: string, text: string): number {
  return wholeNumber(option, text, 0, 65_535)
}

/** Ctrl-C and its relatives stop everything once, then the process ends. */
export function stopOnSignals(stop: () => Promise<unknown>): void {
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      console.log(`${signal}: stopping`)
      stop().then(() => process.exit(0), (error) => {
        console.error(error)
        process.exit(1)
      })
    })
  }
}

/** Runs a command; what the person can solve is one sentence, exit code 2. */
export async function runCommand(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof UserError ? error.message : error)
    process.exit(error instanceof UserError ? 2 : 1)
  }
}
