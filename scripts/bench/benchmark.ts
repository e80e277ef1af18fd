// What is a benchmark, and what does it answer?

export type Benchmark = {
  /** What `--help` prints. */
  help: string
  /** @param log Progress, line by line. */
  run(args: string[], log: (line: string) => void): Promise<Report>
}

export type Report = {
  name: string
  command: string
  /** RFC 3339. */
  measured_at: string
  machine: Machine
  tables: Table[]
  targets: Target[]
  notes: string[]
}

export type Machine = {
  cpu: string
  cores: number
  memory_gb: number
  node: string
  postgres: string
}

/** Cells are numbers where a program may go on with them; `null` was not measured. */
export type Table = {
  title: string
  columns: string[]
  rows: (string | number | null)[][]
}

/** `is` and `asked` in the same unit; `at_most` for what should be small. */
export type Target = {
  what: string
  asked: number
  is: number
  at_most?: boolean
}

export function isReached({ asked, is, at_most }: Target): boolean {
  return at_most ? is <= asked : is >= asked
}
