// The limit: one COPY of prepared CSV straight into the table, which must be empty.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type postgres from 'postgres'
import type { RecordRow } from '../../../supabase/functions/_shared/sync/write-batch.ts'
import type { Integration } from './bench-store.ts'
import { type Catalog, readBatches } from './records.ts'
import { Stopwatch } from './stopwatch.ts'

/** Answers the seconds from the command to its commit. */
export async function writeCopy(
  sql: postgres.Sql,
  integration: Integration,
  catalog: Catalog,
): Promise<number> {
  let columns: string[] = []
  const chunks: Buffer[] = []
  for (const { rows } of readBatches(catalog, 200, false)) {
    columns = Object.keys(rows[0]!)
    chunks.push(Buffer.from(rows.map((row) => csvLine(integration, row, columns)).join('')))
  }
  const into = ['organization_id', 'integration_id', 'source', ...columns].join(', ')
  const clock = new Stopwatch()
  await clock.time(async () => {
    const copy = sql.unsafe(`copy public.products (${into}) from stdin (format csv)`)
    const target = await copy.writable()
    await pipeline(Readable.from(chunks), target)
  })
  return clock.seconds
}

function csvLine(integration: Integration, row: RecordRow, columns: string[]): string {
  const cells = [integration.organization_id, integration.id, 'treez']
  for (const column of columns) cells.push(csvCell(column, row[column]))
  return cells.join(',') + '\n'
}

function csvCell(column: string, value: unknown): string {
  if (value === null) return ''
  return `"${csvText(column, value).replaceAll('"', '""')}"`
}

function csvText(column: string, value: unknown): string {
  if (typeof value !== 'object') return String(value)
  // the one array of Postgres' own; the others are JSON
  return column === 'image_urls' ? arrayLiteral(value as string[]) : JSON.stringify(value)
}

function arrayLiteral(items: string[]): string {
  return `{${items.map((item) => JSON.stringify(item)).join(',')}}`
}
