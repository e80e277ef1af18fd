// How does a report look in a terminal?
import { align } from '../table.ts'
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
  // the first column holds names, the others numbers
  const isLeft = columns.map((_, column) => column === 0)
  const [names = '', ...lines] = align([columns, ...rows.map((row) => row.map(cell))], isLeft)
  console.log(`\n${title}\n${names}\n${'-'.repeat(names.length)}`)
  for (const line of lines) console.log(line)
}

function cell(value: string | number | null): string {
  if (value === null) return '–'
  if (typeof value === 'string') return value
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
