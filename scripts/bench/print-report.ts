// How does a report look in a terminal?
import { isReached, type Report, type Table } from './benchmark.ts'

export function printReport(report: Report): void {
  const { machine } = report
  console.log(`${report.command}  (${report.measured_at})`)
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB; Node ${machine.node}, Postgres ${machine.postgres}`,
  )
  for (const table of report.tables) printTable(table)
  printTable({
    title: 'Targets',
    columns: ['what', 'asked', 'is', ''],
    rows: report.targets.map((target) => [
      target.what,
      `${target.at_most ? '≤' : '≥'} ${target.asked}`,
      target.is,
      isReached(target) ? 'reached' : 'missed',
    ]),
  })
  for (const note of report.notes) console.log(`\n${note}`)
}

function printTable({ title, columns, rows }: Table): void {
  const lines = [columns, ...rows.map((row) => row.map(cell))]
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => (line[index] ?? '').length))
  )
  // the first column holds names, the others numbers
  const print = (line: string[]) =>
    console.log(
      line.map((text, index) =>
        index === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[index]!)
      ).join('  ').trimEnd(),
    )
  console.log(`\n${title}`)
  print(columns)
  print(widths.map((width) => '-'.repeat(width)))
  for (const line of lines.slice(1)) print(line)
}

function cell(value: string | number | null): string {
  if (value === null) return '–'
  if (typeof value === 'string') return value
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
