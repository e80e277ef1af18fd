// Rows as lines of text: words to the left, numbers to the right.

/** One line a row under a line of names; columns as wide as their widest cell. */
export function table(rows: Record<string, string | number>[]): string[] {
  const names = Object.keys(rows[0] ?? {})
  const cells = rows.map((row) => names.map((name) => String(row[name] ?? '')))
  const isText = names.map((name) => rows.every((row) => Number.isNaN(Number(row[name]))))
  return align([names, ...cells], isText)
}

/** Lines of cells, each column as wide as its widest cell. */
export function align(lines: string[][], isLeft: boolean[]): string[] {
  const widths = isLeft.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length))
  )
  const pad = (cell: string, column: number) =>
    isLeft[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map((line) => line.map(pad).join('  ').trimEnd())
}
